"""What a delivery keeps comes back as it was: every type of column, on every database."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import math
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Date,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    NullPool,
    Numeric,
    PickleType,
    String,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    create_engine,
    func,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column, sessionmaker

from hookline import DeliveryError, Hooks
from hookline.sqlalchemy import Outbox, attach
from hookline.sqlalchemy.outbox.values import arrived, plain, travelling, typed
from tests.durable.deliveries import durable, work


class Colour(enum.Enum):
    RED = "rouge"
    BLUE = "bleu"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Status(enum.StrEnum):
    NEW = "new"
    PAID = "paid"


class Money:
    def __init__(self, amount: Decimal, currency: str) -> None:
        self.amount, self.currency = amount, currency

    def __composite_values__(self) -> tuple[Decimal, str]:
        return self.amount, self.currency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.__composite_values__() == other.__composite_values__()

    __hash__ = None  # type: ignore[assignment]


class Point:
    """A type that only its column knows."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


class PointType(TypeDecorator[Point]):
    impl = String
    cache_ok = True

    def process_bind_param(self, value: Point | None, dialect: Any) -> str | None:
        return None if value is None else f"{value.x}/{value.y}"

    def process_result_value(self, value: str | None, dialect: Any) -> Point | None:
        return None if value is None else Point(*map(int, value.split("/")))


class Loud(TypeDecorator[str]):
    """A type whose values are plain, and which stores something else."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.upper()

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.lower()


class Base(DeclarativeBase):
    pass


class Thing(Base):
    """A key of several columns, and a column of each type."""

    __tablename__ = "thing"
    part: Mapped[str] = mapped_column(String, primary_key=True)
    number: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    text: Mapped[str | None] = mapped_column(Text)
    big: Mapped[int | None] = mapped_column(BigInteger)
    truth: Mapped[bool | None]
    real: Mapped[float | None] = mapped_column(Float(53))
    exact: Mapped[Decimal | None] = mapped_column(Numeric(30, 10))
    day: Mapped[dt.date | None] = mapped_column(Date)
    clock: Mapped[dt.time | None] = mapped_column(Time)
    naive: Mapped[dt.datetime | None] = mapped_column(DateTime)
    aware: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    span: Mapped[dt.timedelta | None] = mapped_column(Interval)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    status: Mapped[Status | None] = mapped_column(Enum(Status))
    said: Mapped[str | None] = mapped_column(String)
    level: Mapped[int | None] = mapped_column(Integer)
    data: Mapped[Any] = mapped_column(JSON)
    counters: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON()), nullable=True)  # type: ignore[arg-type]
    point: Mapped[Point | None] = mapped_column(PointType)
    loud: Mapped[str | None] = mapped_column(Loud)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    currency: Mapped[str | None] = mapped_column(String)
    price: Mapped[Money | None] = composite(Money, "amount", "currency")


class PostgresBase(DeclarativeBase):
    pass


class Box(PostgresBase):
    __tablename__ = "box"
    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    grid: Mapped[list[list[int]] | None] = mapped_column(ARRAY(Integer, dimensions=2))
    moments: Mapped[list[dt.datetime] | None] = mapped_column(ARRAY(DateTime(timezone=True)))
    mutable: Mapped[Any] = mapped_column(MutableList.as_mutable(ARRAY(Integer)), nullable=True)  # type: ignore[arg-type]
    data: Mapped[Any] = mapped_column(postgresql.JSONB, nullable=True)
    address: Mapped[Any] = mapped_column(postgresql.INET, nullable=True)
    within: Mapped[Any] = mapped_column(postgresql.INT4RANGE, nullable=True)


ZONES = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=45)), dt.timezone(-dt.timedelta(hours=11))])
# What a database can store: PostgreSQL's text has no NUL, and no database's has lone surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["Привет, мир", "🦆🇺🇦👩‍👩‍👧", "'; DROP TABLE thing; --", "\\u0000", '"$decimal"', "line\nline\u2028"]
)
FLOATS = st.floats(allow_nan=False, width=64)
MOMENTS = st.datetimes(dt.datetime.fromisoformat("1000-01-01"), dt.datetime.fromisoformat("9000-01-01"))
PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15, allow_nan=False) | TEXT,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(TEXT | st.just("$decimal"), some, max_size=3),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "big": st.integers(-(2**63), 2**63 - 1),
    "truth": st.booleans(),
    "real": FLOATS | st.sampled_from([math.inf, -math.inf]),
    "exact": st.decimals(-(10**15), 10**15, places=10, allow_nan=False),
    "day": st.dates(),
    "clock": st.times(),
    "naive": MOMENTS,
    "aware": MOMENTS.flatmap(lambda moment: ZONES.map(lambda zone: moment.replace(tzinfo=zone))),
    "span": st.timedeltas(dt.timedelta(days=-9000), dt.timedelta(days=9000)),
    "raw": st.binary(max_size=30),
    "colour": st.sampled_from(Colour),
    "status": st.sampled_from(Status),
    "said": st.sampled_from(Status) | TEXT,
    "level": st.sampled_from(Level) | st.integers(-(2**31), 2**31 - 1),
    "data": PLAIN_JSON,
    "counters": st.dictionaries(TEXT, st.integers(0, 100), max_size=3),
    "point": st.builds(Point, st.integers(-9, 9), st.integers(-9, 9)),
    "loud": st.sampled_from(["a", "b", "шум"]),
    "price": st.builds(Money, st.decimals(0, 1000, places=2), st.sampled_from(["EUR", "UAH"])),
}
ROWS = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})
ALIKE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def sessions(engine: Engine) -> Any:
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)
    return sessionmaker(engine, expire_on_commit=False)


@ALIKE
@given(first=ROWS, second=ROWS, key=st.tuples(TEXT, st.uuids()))
def test_a_row_comes_back_with_the_types_that_it_had(
    sessions: Any, first: dict[str, Any], second: dict[str, Any], key: tuple[str, uuid.UUID]
) -> None:
    hooks = Hooks()
    at_commit, told = [], []

    def row(change: Any) -> Any:
        old, new = ({**side, "price": side["price"]} if side else {} for side in (change.old, change.new))
        return change.event, change.key, old, new, set(change.fields)

    hooks.add(lambda change: at_commit.append(row(change)), "before_commit", "write", Thing, name="at commit")
    hooks.add(lambda change: told.append(row(change)), "durable", "write", Thing, name="told")
    with attach(hooks, sessions), sessions() as session:
        thing = Thing(part=key[0], number=key[1], **first)
        session.add(thing)
        session.commit()
        for name, value in second.items():
            setattr(thing, name, value)
        session.commit()
        session.delete(thing)
        session.commit()
        work(hooks)
        assert told == at_commit
        for (event, _, old, new, _), (_, _, old_told, new_told, _) in zip(at_commit, told, strict=True):
            for before, after in ((old, old_told), (new, new_told)):
                for name, value in before.items():
                    if name not in {"said", "level"}:  # what is stored is a plain string or number, and so it travels
                        assert type(after[name]) is type(value) or name == "counters", (event, name)
                    if isinstance(value, dt.datetime):
                        assert after[name].utcoffset() == value.utcoffset()
        assert type(told[0][3]["said"]) in (str, type(None))


@ALIKE
@given(row=st.fixed_dictionaries({name: st.none() | some for name, some in {
    "words": st.lists(TEXT, max_size=3),
    "grid": st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1, max_size=3)
    ),
    "moments": st.lists(VALUES["aware"], max_size=3),
    "mutable": st.lists(st.integers(0, 9), max_size=3),
    "data": PLAIN_JSON,
    "address": st.ip_addresses(),
    "within": st.tuples(st.integers(0, 9), st.integers(10, 19)).map(lambda ends: postgresql.Range(*ends)),
}.items()}))  # fmt: skip
def test_postgresqls_own_types_travel(postgresql_url: str, row: dict[str, Any]) -> None:
    engine = create_engine(postgresql_url, poolclass=NullPool)
    PostgresBase.metadata.create_all(engine)
    Outbox().create_tables(engine)
    hooks, maker = Hooks(), sessionmaker(engine)
    told = durable(hooks, "write", Box, by=lambda change: dict(change.new or change.old))
    with attach(hooks, maker), maker() as session:
        if row["address"] is not None:
            row = {**row, "address": str(row["address"])}
        session.add(Box(id=1, **row))
        session.commit()
        stored = session.get_one(Box, 1)
        held = {name: getattr(stored, name) for name in row}
        session.delete(stored)
        session.commit()
        work(hooks)
    assert [{name: one[name] for name in row} for one in told] == [row, held]


@pytest.mark.parametrize("value", [
    math.nan, 2**63, 2**64, -(2**200), Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+400"), dt.timedelta.min,
    dt.datetime.fromisoformat("0001-01-01"), dt.datetime.max.replace(tzinfo=dt.UTC),
    dt.time(23, 59, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    "\0", "a\0b", "", b"", b"\0\xff", bytearray(b"ab"), memoryview(b"ab"), complex(math.inf, -1), (1, (2, "b")), {1, 2},
    frozenset({"a"}), {1: {None: "b"}}, {"$decimal": "1"}, {"$column": 1}, {"$dict": []}, [{"$float": "nan"}],
    {"a": [Decimal("1.10"), {"b": uuid.UUID(int=1)}]}, ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"),
])  # fmt: skip
def test_values_of_no_particular_column_travel(value: Any) -> None:
    back = typed(msgspec.json.decode(msgspec.json.encode(plain(value))))
    if isinstance(value, (bytearray, memoryview)):
        assert back == bytes(value)
        return
    assert back == value or repr(back) == repr(value)
    assert type(back) is type(value)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary() | st.decimals() | st.uuids()
    | st.dates() | st.times().map(lambda time: time.replace(fold=0)) | st.timedeltas(),
    lambda some: st.lists(some, max_size=4)
    | st.lists(some, max_size=4).map(tuple)
    | st.dictionaries(ANY_TEXT | st.integers() | st.just("$list"), some, max_size=4),
)  # fmt: skip


@given(ANYTHING)
def test_whatever_is_built_of_these_travels(value: Any) -> None:
    back = typed(msgspec.json.decode(msgspec.json.encode(plain(value))))
    assert repr(back) == repr(value)


def test_a_value_of_a_type_of_its_own_travels_as_its_column_makes_it() -> None:
    assert arrived(PointType(), travelling(PointType(), Point(1, 2))) == Point(1, 2)
    assert travelling(PointType(), Point(1, 2)) == {"$column": "1/2"}
    assert arrived(Enum(Colour), travelling(Enum(Colour), Colour.RED)) is Colour.RED
    assert arrived(Enum(Status), travelling(Enum(Status), Status.PAID)) is Status.PAID
    back = arrived(String(), travelling(String(), Status.PAID))
    assert (back, type(back)) == ("paid", str)


def test_what_would_have_to_be_pickled_is_refused_before_it_is_written(engine: Engine) -> None:
    class OwnBase(DeclarativeBase):
        pass

    class Jar(OwnBase):
        __tablename__ = "jar"
        id: Mapped[int] = mapped_column(primary_key=True)
        content: Mapped[Any] = mapped_column(PickleType, nullable=True)
        note: Mapped[Any] = mapped_column(String, nullable=True)

    OwnBase.metadata.create_all(engine)
    Outbox().create_tables(engine)
    hooks, maker = Hooks(), sessionmaker(engine)
    told = durable(hooks, "write", Jar, by=lambda change: change.new["content"])
    with attach(hooks, maker), maker() as session:
        session.add(Jar(id=1, content=Point(1, 2)))
        with pytest.raises(DeliveryError, match=r"Jar\.content is .*Point.*TypeDecorator"):
            session.commit()
        session.rollback()
        assert session.scalar(select(func.count()).select_from(Jar)) == 0
        session.add(Jar(id=1, content=[1, {"a": Decimal(1)}]))  # what is plain need not be pickled
        session.commit()
        work(hooks)
    assert told == [[1, {"a": Decimal(1)}]]
