"""Values come back from the log exactly as the table itself gives them."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Connection,
    Date,
    DateTime,
    Double,
    Engine,
    Enum,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import INET, INT4RANGE, JSONB, TSVECTOR

from hookline.sqlalchemy import Capture, capture


class Colour(enum.Enum):
    RED = "красный"
    BLUE = "blue"


class Words(TypeDecorator[list[str]]):
    """Words, kept as one text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: object) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: object) -> list[str] | None:
        return None if value is None else json.loads(value)


class Tags(TypeDecorator[frozenset[str]]):
    """Tags, kept as an array."""

    impl = ARRAY(Text)
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: object) -> list[str] | None:
        return None if value is None else sorted(value)

    def process_result_value(self, value: list[str] | None, dialect: object) -> frozenset[str] | None:
        return None if value is None else frozenset(value)


def common_columns() -> list[Column[Any]]:
    return [
        Column("big", BigInteger),
        Column("float", Double),
        Column("money", Numeric(30, 10)),
        Column("bytes", LargeBinary),
        Column("text", Text),
        Column("название", String(50)),
        Column("yes", Boolean),
        Column("day", Date),
        Column("clock", Time),
        Column("naive", DateTime),
        Column("zoned", DateTime(timezone=True)),
        Column("span", Interval),
        Column("uuid", Uuid),
        Column("colour", Enum(Colour, name="colour")),
        Column("json", JSON),
        Column("json_or_null", JSON(none_as_null=True)),
        Column("words", Words),
    ]


def postgresql_columns() -> list[Column[Any]]:
    return [
        Column("jsonb", JSONB),
        Column("ints", ARRAY(Integer)),
        Column("matrix", ARRAY(Text, dimensions=2)),
        Column("colours", ARRAY(Enum(Colour, name="colour"))),
        Column("tags", Tags),
    ]


text_values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_values, inner, max_size=3),
    max_leaves=5,
)
YEARS = {"min_value": dt.datetime.fromisoformat("0002-01-01"), "max_value": dt.datetime.fromisoformat("9998-01-01")}
moments = st.datetimes(**YEARS)


def common_values(kind: str) -> dict[str, st.SearchStrategy[Any]]:
    floats = st.floats() if kind == "postgresql" else st.floats(allow_nan=False)
    # SQLite has no decimals: SQLAlchemy makes them of floats. So that is what a table gives, and what the log must.
    money = (
        st.decimals(min_value=-(10**19), max_value=10**19, places=10)
        if kind == "postgresql"
        else st.just(Decimal("1.5"))
    )
    zones = st.timezones() if kind == "postgresql" else st.none()
    return {
        "big": st.integers(-(2**63), 2**63 - 1),
        "float": floats,
        "money": money,
        "bytes": st.binary(max_size=20),
        "text": text_values,
        "название": text_values,
        "yes": st.booleans(),
        "day": st.dates(),
        "clock": st.times(),
        "naive": moments,
        "zoned": st.datetimes(**YEARS, timezones=zones),
        "span": st.timedeltas(min_value=dt.timedelta(-9999), max_value=dt.timedelta(9999)),
        "uuid": st.uuids(),
        "colour": st.sampled_from(Colour),
        "json": json_values,
        "json_or_null": json_values,
        "words": st.lists(text_values, max_size=3),
    }


def postgresql_values() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "jsonb": json_values,
        "ints": st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=3),
        "matrix": st.integers(1, 3).flatmap(
            lambda n: st.lists(st.lists(text_values, min_size=n, max_size=n), min_size=1, max_size=3)
        ),
        "colours": st.lists(st.sampled_from(Colour), max_size=3),
        "tags": st.frozensets(text_values, max_size=3),
    }


def rows_of(strategies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({name: st.none() | values for name, values in strategies.items()})
    return st.lists(row, min_size=1, max_size=4)


class Stage:
    """A table of all types with its capture."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        columns = common_columns() + (postgresql_columns() if engine.dialect.name == "postgresql" else [])
        metadata = MetaData()
        self.table = Table("Всё of 'all' \"types\": 100%", metadata, Column("id", Integer, primary_key=True), *columns)
        self.capture = capture(self.table)
        self.capture.listen(metadata)
        metadata.create_all(engine)

    def read(self, connection: Connection) -> list[dict[str, Any]]:
        query = select(self.table).order_by(self.table.c.id)
        return [dict(row._mapping) for row in connection.execute(query)]

    def take(self, connection: Connection) -> list[Any]:
        return [(one.operation, exact(one.old), exact(one.new)) for one in self.capture.take(connection)]


def exact(value: Any) -> Any:
    """What is equal only to itself: with its type, and the sign of zero."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: exact(one) for name, one in value.items()}
    if isinstance(value, (list, frozenset)):
        return type(value)(map(exact, value))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    return (type(value), str(value) if isinstance(value, Decimal) else value)


def by_id(changes: list[Any]) -> list[Any]:
    return sorted(changes, key=lambda one: one[1]["id"][1])


def check(stage: Stage, rows: list[dict[str, Any]]) -> None:
    with stage.engine.connect() as connection, connection.begin() as transaction:
        stage.capture.begin(connection)
        for number, row in enumerate(rows, start=1):
            connection.execute(insert(stage.table), row | {"id": number})
        there = stage.read(connection)
        assert stage.take(connection) == [("insert", None, exact(row)) for row in there]

        connection.execute(update(stage.table).values(id=stage.table.c.id + 100))
        moved = stage.read(connection)
        # A statement's rows come in the order in which the database found them, whatever that is.
        assert by_id(stage.take(connection)) == [
            ("update", exact(old), exact(new)) for old, new in zip(there, moved, strict=True)
        ]

        for old, row in zip(moved, reversed(rows), strict=True):
            connection.execute(update(stage.table).where(stage.table.c.id == old["id"]).values(**row))
        after = stage.read(connection)
        changed = [("update", exact(old), exact(new)) for old, new in zip(moved, after, strict=True)]
        taken = stage.take(connection)
        # An update to what compares as equal is one if any bit is another, such as that of -0.0.
        assert [one for one in changed if one[1] != one[2]] == [one for one in taken if one[1] != one[2]]

        connection.execute(delete(stage.table))
        assert by_id(stage.take(connection)) == [("delete", exact(row), None) for row in after]
        transaction.rollback()


def test_any_values_on_sqlite(tmp_path_factory: Any) -> None:
    from tests.sqlalchemy.databases import engine_for, sqlite_url

    engine = engine_for(sqlite_url(tmp_path_factory.mktemp("types"), "types"))
    stage = Stage(engine)

    @settings(max_examples=60)
    @given(rows_of(common_values("sqlite")))
    def property_holds(rows: list[dict[str, Any]]) -> None:
        check(stage, rows)

    property_holds()
    engine.dispose()


def test_any_values_on_postgresql(postgresql_url: str) -> None:
    from tests.sqlalchemy.databases import engine_for, postgresql_in_schema

    engine = engine_for(postgresql_in_schema(postgresql_url, "types"))
    stage = Stage(engine)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(rows_of(common_values("postgresql") | postgresql_values()))
    def property_holds(rows: list[dict[str, Any]]) -> None:
        check(stage, rows)

    property_holds()
    engine.dispose()


@pytest.mark.parametrize("word", ["Infinity", "-Infinity", "NaN"])
def test_numbers_that_are_none(word: str, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("postgresql only")
    stage = Stage(engine)
    with engine.begin() as connection:
        connection.execute(
            insert(stage.table), {"id": 1, "float": float(word), "money": Decimal(word) if word == "NaN" else None}
        )
        assert stage.take(connection) == [("insert", None, exact(row)) for row in stage.read(connection)]


def test_json_null_is_not_sql_null(engine: Engine) -> None:
    metadata = MetaData()
    table = Table("document", metadata, Column("id", Integer, primary_key=True), Column("json", JSON))
    found = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for number, value in enumerate(("'null'", "NULL"), start=1):
            connection.execute(text(f"INSERT INTO document VALUES ({number}, {value})"))
        (images,) = (name for name in inspect(connection).get_table_names() if name.startswith("hookline_capture_"))
        kept = connection.scalars(text(f"SELECT CAST(new_json AS TEXT) FROM {images} ORDER BY id")).all()
        assert kept == (["null", None] if engine.dialect.name == "sqlite" else ['{"null"}', "{NULL}"])


@pytest.mark.parametrize("value", [2**53 + 1, -(2**63), 5e-324, 1.7976931348623157e308, "1", b"1", "", b"", None])
def test_sqlite_keeps_whatever_it_was_given(value: Any, tmp_path: Any) -> None:
    """SQLite's columns hold any value: that of a raw statement comes back as it is, not as its column's type."""
    from tests.sqlalchemy.databases import engine_for, sqlite_url

    engine = engine_for(sqlite_url(tmp_path, "loose"))
    metadata = MetaData()
    table = Table("loose", metadata, Column("id", Integer, primary_key=True), Column("anything", LargeBinary))
    found: Capture = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO loose VALUES (1, ?)", (value,))
        (log,) = (name for name in inspect(connection).get_table_names() if name.startswith("hookline_capture_"))
        kept, kind = connection.execute(text(f"SELECT new_anything, typeof(new_anything) FROM {log}")).one()
        assert (kept, kind) == tuple(connection.execute(text("SELECT anything, typeof(anything) FROM loose")).one())
    engine.dispose()


def test_generated_columns(engine: Engine) -> None:
    metadata = MetaData()
    table = Table(
        "item",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("price", Integer),
        Column("stored", Integer, Computed("price * 2", persisted=True)),
        *[Column("virtual", Integer, Computed("price * 3", persisted=False))] * _has_virtual_columns(engine),
    )
    found = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(table), {"id": 1, "price": 5})
        connection.execute(update(table).values(price=7))
        connection.execute(delete(table))
        virtual = [{"virtual": n} if _has_virtual_columns(engine) else {} for n in (15, 21)]
        five, seven = ({"id": 1, "price": n, "stored": 2 * n} | v for n, v in zip((5, 7), virtual, strict=True))
        assert [(one.old, one.new) for one in found.take(connection)] == [(None, five), (five, seven), (seven, None)]


def _has_virtual_columns(engine: Engine) -> bool:
    with engine.connect() as connection:
        version = connection.dialect.server_version_info  # type: ignore[attr-defined]
    return engine.dialect.name == "sqlite" or (version >= (18,) and not sqlalchemy.__version__.startswith("2.0"))


def test_types_of_postgresql(engine: Engine) -> None:
    """Types whose values only the database and its driver know, and a column that is wider than its model says."""
    if engine.dialect.name == "sqlite":
        pytest.skip("postgresql only")
    metadata = MetaData()
    table = Table(
        "exotic",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("address", INET),
        Column("words", TSVECTOR),
        Column("range", INT4RANGE),
        Column("short", String(3)),
        Column("small", Integer),
    )
    metadata.create_all(engine)
    found = capture(table)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE exotic ALTER short TYPE text, ALTER small TYPE bigint"))
        found.install(connection)
        connection.execute(
            text("INSERT INTO exotic VALUES (1, '::1/64', 'a fat cat', '[1,5)', 'longer than 3', 5000000000)")
        )
        assert [one.new for one in found.take(connection)] == [dict(connection.execute(select(table)).one()._mapping)]
