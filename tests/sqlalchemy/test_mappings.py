"""Everything that a mapper can be told: inheritance, keys, composites, hybrids, versions, deferral."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, Integer, String, func, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    composite,
    deferred,
    mapped_column,
    relationship,
    sessionmaker,
    synonym,
)
from sqlalchemy.types import JSON

from hookline import Hooks, UnknownFieldError, ValidationError, becomes, changed
from hookline.sqlalchemy import attach
from tests.sqlalchemy.recording import committed, logged


class Base(DeclarativeBase):
    pass


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
    tricks: Mapped[int] = mapped_column(default=0)
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Cat(Animal):
    lives: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "cat"}


class Line(Base):
    __tablename__ = "line"
    order: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None]


@dataclasses.dataclass
class Point:
    x: int | None
    y: int | None


class Place(Base):
    __tablename__ = "place"
    id: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[str] = mapped_column(default="Ada")
    last: Mapped[str] = mapped_column(default=lambda: "Lovelace")
    initials: Mapped[str] = mapped_column(String, default=lambda context: context.get_current_parameters()["first"][0])
    label: Mapped[str] = mapped_column(server_default="none")
    px: Mapped[int | None]
    py: Mapped[int | None]
    at: Mapped[Point] = composite("px", "py")
    notes: Mapped[str | None] = deferred(mapped_column(String))
    extra: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON))
    touched: Mapped[int] = mapped_column(Integer, default=0, onupdate=7)
    version: Mapped[int] = mapped_column(nullable=False)
    surname = synonym("last")
    shout: Mapped[str] = column_property(func.upper(first))
    __mapper_args__ = {"version_id_col": version}

    @hybrid_property
    def full(self) -> str:
        return f"{self.first} {self.last}"


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Any:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    return maker


def test_joined_and_single_inheritance_fire_the_hooks_of_their_bases(hooks: Hooks, sessions: Any) -> None:
    base, exact, dogs = (
        logged(hooks, "before", Animal),
        logged(hooks, "before", Animal, exact=True),
        logged(hooks, "after", Dog),
    )
    log = committed(hooks, Animal)
    with sessions() as session:
        session.add_all([Dog(name="Rex", tricks=1), Cat(name="Tom", lives=9), Animal(name="It")])
        session.commit()
        rex = session.scalars(select(Dog)).one()
        rex.name = "Max"
        session.commit()
        rex.tricks = 2
        session.commit()
        session.delete(rex)
        session.commit()
    assert [row[1] for row in base] == ["Dog", "Cat", "Animal", "Dog", "Dog", "Dog"]
    assert [row[1] for row in exact] == ["Animal"]
    assert [row[0] for row in dogs] == ["insert", "update", "update", "delete"]
    assert log[-3:] == [
        ("update", "Dog", {"name": ("Rex", "Max")}),
        ("update", "Dog", {"tricks": (1, 2)}),
        ("delete", "Dog", {"id": rex.id, "kind": "dog", "name": "Max", "tricks": 2}),
    ]


def test_a_composite_key_is_a_tuple(hooks: Hooks, sessions: Any) -> None:
    keys: list[Any] = []
    hooks.add(lambda change: keys.append(change.key), "after", "write", Line, name="key")
    log = committed(hooks)
    with sessions() as session:
        session.add(Line(order=1, number=2, text="a"))
        session.commit()
        line = session.get(Line, (1, 2))
        line.number = 3
        session.commit()
        session.delete(line)
        session.commit()
    assert keys == [(1, 2), (1, 3), (1, 3)]
    assert log[1] == ("update", "Line", {"number": (2, 3)})


def test_composites_hybrids_and_synonyms_can_be_read_and_asked_for(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.before("save", Place, when=changed("at") | changed("full"))
    def look(change: Any) -> None:
        seen.append((change.event, change.new["at"], change.new["full"], change.new["surname"]))
        change.new["at"] = Point(9, change.new["at"].y if change.new["at"] else None)

    @hooks.after_commit("update", Place)
    def after(change: Any) -> None:
        seen.append(
            (
                change.old["at"],
                change.new["at"],
                change.old["full"],
                change.new["full"],
                sorted(change.fields),
            )
        )

    with sessions() as session:
        place = Place(at=Point(1, 2))
        session.add(place)
        session.commit()
        place.at = Point(3, 4)
        session.commit()
        assert seen.pop(0) == ("insert", Point(1, 2), "Ada Lovelace", "Lovelace")
        assert seen.pop(0) == ("update", Point(3, 4), "Ada Lovelace", "Lovelace")
        assert seen.pop(0) == (
            Point(9, 2), Point(9, 4), "Ada Lovelace", "Ada Lovelace", ["py", "touched", "version"]
        )  # fmt: skip
        place.first = "Augusta"
        session.commit()
        assert seen.pop(0)[2] == "Augusta Lovelace"
        assert place.at == Point(9, 4)


def test_defaults_of_python_are_there_before_the_write_and_those_of_the_database_for_check(
    hooks: Hooks, sessions: Any
) -> None:
    seen: list[Any] = []

    @hooks.before("insert", Place)
    def before(change: Any) -> None:
        seen.append((change.new["first"], change.new["last"], change.new["initials"], change.new["label"]))

    @hooks.check("insert", Place)
    def label_is_known(change: Any) -> None:
        seen.append(("check", change.new["label"], change.new["version"], change.key is not None))
        if change.new["label"] == "bad":
            raise ValidationError(change.entity, {"label": "is bad"})

    with sessions() as session:
        session.add(Place())
        session.commit()
        assert seen == [("Ada", "Lovelace", "A", None), ("check", "none", 1, True)]
        session.add(Place(label="bad"))
        with pytest.raises(ValidationError):
            session.commit()


def test_a_version_counter_and_onupdate_values_are_part_of_the_change(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Place)
    checked: list[Any] = []
    hooks.add(lambda change: checked.append(change.new["touched"]), "check", "update", Place, name="late")
    with sessions() as session:
        place = Place()
        session.add(place)
        session.commit()
        log.clear()
        place.first = "Augusta"
        session.commit()
    assert log == [("update", "Place", {"first": ("Ada", "Augusta"), "touched": (0, 7), "version": (1, 2)})]
    assert checked == [7]


def test_old_values_are_real_when_the_attribute_was_never_loaded(hooks: Hooks, sessions: Any) -> None:
    log, before = committed(hooks, Place), logged(hooks, "before", Place)
    with sessions() as session:
        place = Place(notes="secret")
        session.add(place)
        session.commit()
        log.clear()
        before.clear()
        place.notes = "public"  # expired by the commit, and deferred
        session.commit()
        place.notes = "public"  # the same again, without loading it
        session.commit()
    assert before == [("update", "Place", {"notes": ("secret", "public")})]
    assert log == [("update", "Place", {"notes": ("secret", "public"), "touched": (0, 7), "version": (1, 2)})]


def test_a_deleted_row_is_known_whole(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Place)
    with sessions() as session:
        place = Place(notes="secret", at=Point(1, None))
        session.add(place)
        session.commit()
        session.expire_all()
        log.clear()
        session.delete(place)
        session.commit()
    assert log[0][2]["notes"] == "secret"
    assert log[0][2]["px"] == 1


def test_mutable_values_changed_in_place(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("save", Place)
    def stamp(change: Any) -> None:
        change.entity.extra["stamped"] = True

    log = committed(hooks, Place)
    with sessions() as session:
        place = Place(extra={"a": 1})
        session.add(place)
        session.commit()
        assert log.take()[0][2]["extra"] == {"a": 1, "stamped": True}
        place.extra["b"] = 2
        session.commit()
    assert log[0][2]["extra"][1] == {"a": 1, "stamped": True, "b": 2}


def test_sql_expressions_are_known_after_the_write(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Line)
    checked: list[Any] = []
    hooks.add(lambda change: checked.append(change.new["text"]), "check", "save", Line, name="text")
    with sessions() as session:
        line = Line(order=1, number=1, text=func.upper("abc"))
        session.add(line)
        session.commit()
        line.text = Line.text + "D"
        session.commit()
        line.text = Line.text + ""
        session.commit()
    assert checked == ["ABC", "ABCD", "ABCD"]
    assert log == [
        ("insert", "Line", {"number": 1, "order": 1, "text": "ABC"}),
        ("update", "Line", {"text": ("ABC", "ABCD")}),
    ]


def test_a_field_that_is_not_there_is_an_error_with_a_hint(hooks: Hooks, sessions: Any) -> None:
    with pytest.raises(UnknownFieldError, match="Did you mean 'tricks'"):
        hooks.add(print, "check", "save", Dog, name="x", when=becomes("trick", 1)) if False else hooks.check(
            "save", Dog, when=becomes("trick", 1)
        )(lambda change: None)

    @hooks.before("save", Dog)
    def wrong(change: Any) -> None:
        change.new["nmae"] = "x"

    with sessions() as session:
        session.add(Dog(name="Rex"))
        with pytest.raises(UnknownFieldError, match="Did you mean 'name'"):
            session.flush()


def test_merge_is_an_update_or_an_insert(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Line)
    with sessions() as session:
        session.merge(Line(order=1, number=1, text="a"))
        session.commit()
    with sessions() as session:
        session.merge(Line(order=1, number=1, text="b"))
        session.merge(Line(order=1, number=1, text="b"))
        session.commit()
    assert [row[0] for row in log] == ["insert", "update"]


def test_deleting_and_adding_the_same_key_is_an_update(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Line)
    with sessions() as session:
        session.add(Line(order=1, number=1, text="a"))
        session.commit()
        log.clear()
        session.delete(session.get(Line, (1, 1)))
        session.add(Line(order=1, number=1, text="b"))
        session.commit()
        assert log.take() == [("update", "Line", {"text": ("a", "b")})]
        session.delete(session.get(Line, (1, 1)))
        session.flush()
        session.add(Line(order=1, number=1, text="b"))
        session.commit()
        assert log.take() == []


def test_names_in_any_script(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Animal)
    with sessions() as session:
        session.add(Animal(name="Жучка"))
        session.commit()
    assert log[0][2]["name"] == "Жучка"


def test_server_side_timestamps_can_be_read_after_the_commit(engine: Engine) -> None:
    class Base2(DeclarativeBase):
        pass

    class Stamp(Base2):
        __tablename__ = "stamp"
        id: Mapped[int] = mapped_column(primary_key=True)
        made: Mapped[dt.datetime] = mapped_column(server_default=func.now())
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("stamp.id"))
        owner: Mapped[Stamp | None] = relationship(remote_side=id)
        __mapper_args__ = {"eager_defaults": False}

    Base2.metadata.create_all(engine)
    hooks, seen = Hooks(), []
    hooks.add(lambda change: seen.append(change.new["made"]), "after", "insert", Stamp, name="a")
    hooks.add(lambda change: seen.append(change.new["made"]), "after_commit", "insert", Stamp, name="b")
    with Session(engine) as session:
        attach(hooks, session)
        session.add(Stamp())
        session.commit()
    assert isinstance(seen[0], dt.datetime)
    assert seen[0] == seen[1]
