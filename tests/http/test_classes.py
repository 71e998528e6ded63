"""Classes of every kind: what clients see of them, and may write."""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    ARRAY,
    Computed,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    Numeric,
    SmallInteger,
    String,
    TypeDecorator,
    create_engine,
    func,
    types,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
    synonym,
)

from hookline import TargetError
from hookline.errors import UnknownOptionError
from hookline.http import CRUD
from tests.http.conftest import served


class Base(DeclarativeBase): ...


class Arrays(DeclarativeBase):
    """Tables that SQLite does not have."""


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Money(TypeDecorator[Decimal]):
    """Whole cents."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


class Everything(Base):
    """A column of each type."""

    __tablename__ = "everything"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    copy: Mapped[int | None]  # names that pydantic has for itself
    json: Mapped[str | None]
    model_config: Mapped[str | None]
    size: Mapped[Size | None]
    letter: Mapped[Literal["a", "b"] | None] = mapped_column(Enum("a", "b", name="letter"))
    day: Mapped[date | None]
    moment: Mapped[datetime | None] = mapped_column(DateTime())
    clock: Mapped[time | None]
    lasts: Mapped[timedelta | None] = mapped_column(Interval())
    price: Mapped[Decimal | None] = mapped_column(Money())
    exact: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    wide: Mapped[float | None] = mapped_column(Double())
    small: Mapped[int | None] = mapped_column(SmallInteger())
    yes: Mapped[bool | None]
    raw: Mapped[bytes | None]
    text: Mapped[str] = mapped_column(String(5), default="x")
    loud: Mapped[str | None] = mapped_column(Computed("upper(text)"))
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    _hidden: Mapped[int | None] = mapped_column("hidden")
    other_text = synonym("text")


async def test_values_of_every_type_come_back_as_they_were_sent(tables: Any, sessions: Any) -> None:
    Base.metadata.create_all(tables)
    sent = {
        "copy": 7, "json": "{}", "model_config": "c", "size": "s", "letter": "b", "day": "2024-02-29",
        "moment": "2024-02-29T12:00:00.000001", "clock": "23:59:59", "lasts": "P1DT2H", "price": "9.90",
        "exact": "-1234.56", "wide": 1e300, "small": -32768, "yes": False, "raw": "AP8=", "text": "ÄÖ🙂",
    }  # fmt: skip
    async with served(CRUD(Everything, sessions, read_only=False)) as http:
        created = await http.post("/", json=sent)
        assert created.status_code == 201, created.text
        told = created.json()
        expected = {**sent, "price": "9.9", "moment": "2024-02-29T12:00:00.000001Z"}
        assert {name: told[name] for name in sent} == expected
        assert UUID(told["id"])
        assert told["made_at"]
        assert "_hidden" not in told
        again = await http.get(f"/{told['id']}/")
        assert again.json() == told
        for name, value in (("moment", "2024-02-29T12:00:00.000001"), ("raw", None), ("price", "9.9"), ("size", "s")):
            if value is not None:
                found = await http.get("/", params={name: value})
                assert len(found.json()["rows"]) == 1, (name, found.text)
        assert (await http.patch(f"/{told['id']}/", json={"loud": "A"})).json()["errors"][0]["code"] == "read_only"
        for wrong in ({"small": 32768}, {"text": "123456"}, {"exact": "1.234"}, {"size": "m"}, {"letter": "c"},
                      {"raw": "%"}, {"yes": 1}, {"copy": "7"}, {"day": 0}, {"moment": "0"}):  # fmt: skip
            assert (await http.patch(f"/{told['id']}/", json=wrong)).status_code == 422, wrong


def test_a_moment_with_a_zone_is_kept_in_utc_where_the_column_has_none() -> None:
    resource = CRUD(Everything, sessionmaker()).resource
    assert resource.fields["moment"].kind.read("2024-02-29T12:00:00+02:00") == datetime(2024, 2, 29, 10)  # noqa: DTZ001


class Numbered(Arrays):
    """A number that only the database gives."""

    __tablename__ = "numbered"
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Identity(always=True))


def test_what_only_the_database_gives_is_not_written() -> None:
    assert not CRUD(Numbered, sessionmaker()).resource.fields["number"].writable


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column()
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "animal"}


class Dog(Animal):
    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
    breed: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Cat(Animal):
    lives: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "cat"}


async def test_classes_that_inherit_are_served_with_all_their_fields(tables: Any, sessions: Any) -> None:
    Base.metadata.create_all(tables)
    async with served(CRUD(Dog, sessions, read_only=False)) as dogs, served(CRUD(Animal, sessions)) as animals:
        assert (await dogs.post("/", json={"name": "Rex", "breed": "Pug", "kind": "cat"})).status_code == 422
        rex = await dogs.post("/", json={"name": "Rex", "breed": "Pug"})
        assert rex.json() == {"id": 1, "kind": "dog", "name": "Rex", "breed": "Pug"}
        assert (await dogs.patch("/1/", json={"breed": "Mops", "name": "Max"})).json()["name"] == "Max"
        assert (await animals.get("/")).json()["rows"] == [{"id": 1, "kind": "dog", "name": "Max"}]
        assert (await dogs.delete("/1/")).status_code == 204
        async with served(CRUD(Cat, sessions, read_only=False)) as cats:
            assert (await cats.post("/", json={"name": "Tom"})).json()["kind"] == "cat"
            assert (await cats.get("/")).json()["rows"][0]["name"] == "Tom"
            assert (await dogs.get("/")).json()["rows"] == []


class Table(MappedAsDataclass, Base):
    __tablename__ = "table_of_data"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str]
    legs: Mapped[int] = mapped_column(default=4)


async def test_a_mapped_dataclass_is_made_by_its_own_constructor(tables: Any, sessions: Any) -> None:
    Base.metadata.create_all(tables)
    async with served(CRUD(Table, sessions, read_only=False)) as http:
        assert (await http.post("/", json={"name": "desk"})).json() == {"id": 1, "name": "desk", "legs": 4}


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column()
    above_id: Mapped[int | None] = mapped_column(ForeignKey("part.id"))
    above: Mapped[Part | None] = relationship(remote_side=id, back_populates="below")
    below: Mapped[list[Part]] = relationship(back_populates="above")
    shout = column_property(func.upper(name))


async def test_a_class_that_refers_to_itself_and_a_column_property(tables: Any, sessions: Any) -> None:
    Base.metadata.create_all(tables)
    options: dict[str, Any] = {"max_depth": 2, "references": {"above_id": "name"}, "types": {"shout": str}}
    async with served(CRUD(Part, sessions, read_only=False, **options)) as http:
        await http.post("/", json={"name": "car"})
        wheel = await http.post("/", json={"name": "wheel", "above_id": 1})
        assert wheel.json()["shout"] == "WHEEL"
        told = (await http.get("/2/?__fields=name,above.name,above.below.name")).json()
        assert told == {
            "name": "wheel",
            "above": {"name": "car", "below": {"rows": [{"name": "wheel"}], "more": False}},
        }
        assert (await http.get("/references/above_id/?__search=ca")).json()["rows"] == [{"value": 1, "label": "car"}]
        assert (await http.post("/", json={"name": "x", "shout": "X"})).status_code == 422


class Coordinates:
    """A class that nobody has explained to pydantic."""


class Position(types.UserDefinedType[Coordinates]):
    cache_ok = True

    def get_col_spec(self) -> str:
        return "TEXT"


class Odd(Base):
    __tablename__ = "odd"
    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[Coordinates] = mapped_column(Position())


class Numbers(Arrays):
    __tablename__ = "numbers"
    id: Mapped[int] = mapped_column(primary_key=True)
    some: Mapped[list[int]] = mapped_column(ARRAY(Integer))


def test_a_list_of_numbers_is_a_list_of_numbers() -> None:
    schema = CRUD(Numbers, sessionmaker(), read_only=False).resource.new.json_schema()
    assert schema["properties"]["some"]["items"]["type"] == "integer"


def test_what_cannot_be_served_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(TargetError, match=r"Odd.place holds 'Coordinates'.*types=\{'place': ...\}"):
        CRUD(Odd, sessionmaker())
    assert "place" not in CRUD(Odd, sessionmaker(), secret=["place"]).resource.fields
    with pytest.raises(TargetError, match="serves a mapped class"):
        CRUD(Coordinates, sessionmaker())
    with pytest.raises(TargetError, match=r"no field 'nmae'. Did you mean 'name'"):
        CRUD(Part, sessionmaker(), read_only_fields=["nmae"])
    with pytest.raises(TargetError, match="is part of the key"):
        CRUD(Part, sessionmaker(), secret=[Part.id])
    with pytest.raises(TargetError, match="is no foreign key"):
        CRUD(Part, sessionmaker(), references={"name": "name"})
    with pytest.raises(TargetError, match="no field 'title' that can name a row"):
        CRUD(Part, sessionmaker(), label="title")
    with pytest.raises(TargetError, match="opens a session for each request"):
        CRUD(Part, Session())
    with pytest.raises(TargetError, match="StaticPool"):
        CRUD(Part, sessionmaker(create_engine("sqlite://")))
    with pytest.raises(UnknownOptionError, match="is more than max_page_size"):
        CRUD(Part, sessionmaker(), page_size=10, max_page_size=5)
    with pytest.raises(UnknownOptionError, match="without read_only=False they cannot"):
        CRUD(Part, sessionmaker(), allow_bulk_delete=True)
