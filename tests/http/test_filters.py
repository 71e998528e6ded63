"""Filters, orders and pages: what plain Python would choose, sort and cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, insert, select, text
from sqlalchemy.orm import Session

from tests.http.cinema import Base, Colour, Director, Movie
from tests.http.conftest import Client
from tests.proof import FULL

EXAMPLES = 300 if FULL else 20
"""Of sets of rows, per test and database, sync and async."""

ROWS = 12
QUERIES = 25
"""How many filters each set of rows is asked for."""

proof = settings(
    max_examples=EXAMPLES,
    database=None,
    # A failure is told as it was found: to make it small can take longer than a test may.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

LETTERS = "aAbBzZ%_\\'\"; -/*é€ЖжЁ🎬0\n\t"
NASTY = (
    "", "%", "_", "\\", "%%", "\\%", "'", "''", '"', "' OR '1'='1", "'; DROP TABLE movie; --", "\\'; --", "$1", ":name",
    "%(name)s", "{0}", "?", "Сталкер", "сталкер", "СТАЛКЕР", "🎬🎬", "é", "e\u0301", "NULL", "null", "true", "1", "a,b",
    "a+b", "a b ", " ", "&", "=", "#", "~1",
)  # fmt: skip
texts = st.sampled_from(NASTY) | st.text(LETTERS, max_size=5)
decimals = st.integers(-99999, 99999).map(lambda cents: Decimal(cents) / 100)
finer = st.integers(-9999999, 9999999).map(lambda parts: Decimal(parts) / 10000)
numbers = st.sampled_from([0.0, -0.5, 1.5, 8.1, 1e-7, 1e300, -2.25]) | st.floats(-10, 10).map(lambda value: value + 0.0)
whole = st.integers(-3, 3) | st.sampled_from([2000, -(2**31), 2**31 - 1])
days = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.sampled_from([date(2026, 1, 31), date(2026, 2, 1)])
moments = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)]
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "rating": numbers,
    "year": whole,
    "price": decimals,
    "colour": st.sampled_from(Colour),
    "seen": st.booleans(),
    "released": days,
    "shown_at": moments,
    "director_id": st.sampled_from([1, 2]),
    "changed_at": moments,
}
ASKED = {**VALUES, "price": decimals | finer, "director_id": st.integers(0, 3), "id": st.integers(0, ROWS + 1)}
NULLABLE = ("rating", "price", "released", "shown_at", "details", "negative", "director_id")
SORTABLE = ("id", "name", "rating", "year", "price", "released", "shown_at", "director_id", "changed_at")

rows = st.lists(
    st.fixed_dictionaries(
        {
            **{name: st.none() | kind if name in NULLABLE else kind for name, kind in VALUES.items()},
            "details": st.none() | st.just({"a": 1}),
            "negative": st.none() | st.just(b"\xff"),
        }
    ),
    max_size=ROWS,
)


def _above(left: Any, right: Any) -> Any:
    return left is not None and left > right


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "": lambda value, asked: value is not None and value == asked,
    "ne": lambda value, asked: value is None or value != asked,
    "lt": lambda value, asked: value is not None and value < asked,
    "lte": lambda value, asked: value is not None and value <= asked,
    "gt": _above,
    "gte": lambda value, asked: value is not None and value >= asked,
    "contains": lambda value, asked: asked in value,
    "starts": lambda value, asked: value.startswith(asked),
    "ends": lambda value, asked: value.endswith(asked),
}


def folded(value: str, *, database: str) -> str:
    """A text as a database compares it whatever its capitals are: SQLite knows those of ASCII only."""
    if database == "sqlite":
        return "".join(one.lower() if one.isascii() else one for one in value)
    return value.lower()


def operators_of(name: str) -> tuple[str, ...]:
    order = ("lt", "lte", "gt", "gte") if name in SORTABLE else ()
    return ("", "ne", "in", *order, *(("contains", "starts", "ends", "icontains") if name == "name" else ()))


@st.composite
def filters(draw: st.DrawFn) -> tuple[str, str, Any]:
    name = draw(st.sampled_from([*ASKED, *NULLABLE]))
    operator = draw(st.sampled_from((*(operators_of(name) if name in ASKED else ()), "null")))
    if operator == "null" and name in NULLABLE:
        return name, "null", draw(st.booleans())
    name = name if name in ASKED else "name"
    operator = operator if operator in operators_of(name) else ""
    value = draw(st.lists(ASKED[name], min_size=1, max_size=4) if operator == "in" else ASKED[name])
    return name, operator, value


def chosen(row: dict[str, Any], name: str, operator: str, asked: Any, database: str) -> bool:
    value = row[name]
    if operator == "null":
        return (value is None) is asked
    if operator == "in":
        return value is not None and value in asked
    if operator == "icontains":
        return folded(asked, database=database) in folded(value, database=database)
    return OPERATORS[operator](value, asked)


def written(value: Any) -> Any:
    """A value as a query has it."""
    if isinstance(value, list):
        return [written(one) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value.value if isinstance(value, Colour) else str(value)


def parameter(name: str, operator: str, asked: Any) -> dict[str, Any]:
    return {f"{name}__{operator}" if operator else name: written(asked)}


@pytest.fixture
def tables(engine: Engine) -> Engine:
    """The tables, with texts in the order of their code points: in that of a language, no two servers agree."""
    Base.metadata.create_all(engine)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            # `lower` of the collation C would know the capitals of ASCII only, and this one knows them all.
            connection.execute(text('ALTER TABLE movie ALTER name TYPE varchar(80) COLLATE "pg_c_utf8"'))
    with Session(engine) as session:
        session.add_all([Director(name="Varda"), Director(name="Тарковский")])
        session.commit()
    return engine


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def filled(engine: Engine, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put rows into the table, alone; with their keys."""
    with Session(engine) as session:
        session.execute(delete(Movie))
        numbered = [{"id": index, **row} for index, row in enumerate(made, 1)]
        if numbered:
            session.execute(insert(Movie), numbered)
        session.commit()
    return numbered


@pytest.fixture
def http(client: Client, runner: asyncio.Runner) -> Iterator[httpx.AsyncClient]:
    """Movies to read, for tests that are no coroutines, as Hypothesis takes none."""
    served = client(read_only=True)
    yield runner.run(served.__aenter__())
    runner.run(served.__aexit__(None, None, None))


async def ids(http: httpx.AsyncClient, query: dict[str, Any]) -> list[int]:
    answer = await http.get("/movies/", params={"__page_size": 100, **query})
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["rows"]]


def test_a_filter_chooses_the_rows_that_python_would(
    http: httpx.AsyncClient, tables: Engine, runner: asyncio.Runner
) -> None:
    database = tables.dialect.name

    @seed(1)
    @proof
    @given(rows, st.lists(filters(), min_size=1, max_size=QUERIES))
    def proven(made: list[dict[str, Any]], asked: list[tuple[str, str, Any]]) -> None:
        present = filled(tables, made)

        async def ask() -> None:
            for name, operator, value in asked:
                expected = [row["id"] for row in present if chosen(row, name, operator, value, database)]
                query = parameter(name, operator, value)
                assert await ids(http, query) == expected, query
                assert (await http.get("/movies/count/", params=query)).json() == {"count": len(expected)}
            every = {key: told for one in asked[:4] for key, told in parameter(*one).items()}
            last = {next(iter(parameter(*one))): one for one in asked[:4]}
            both = [row["id"] for row in present if all(chosen(row, *one, database) for one in last.values())]
            assert await ids(http, every) == both, every

        runner.run(ask())
        with Session(tables) as session:
            assert session.scalar(select(func.count()).select_from(Movie)) == len(present)

    proven()


orders = st.lists(st.sampled_from(SORTABLE), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), st.booleans()) for name in names))
)
"""Fields, and whether each falls."""


def ordered(present: list[dict[str, Any]], by: tuple[tuple[str, bool], ...]) -> list[int]:
    """The keys of rows, sorted: what has no value is the greatest, and the key comes last."""

    def compared(one: dict[str, Any], other: dict[str, Any]) -> int:
        for name, falling in (*by, ("id", False)):
            left, right = ((row[name] is None, row[name]) for row in (one, other))
            if left != right:
                less = left[0] < right[0] if left[0] != right[0] else left[1] < right[1]
                return -1 if less is not falling else 1
        return 0

    return [row["id"] for row in sorted(present, key=cmp_to_key(compared))]


def order_of(by: tuple[tuple[str, bool], ...]) -> str:
    return ",".join(("-" if falling else "") + name for name, falling in by)


async def pages(http: httpx.AsyncClient, query: dict[str, Any]) -> list[list[int]]:
    """The keys on all pages, from one to the next."""
    found: list[list[int]] = []
    after: dict[str, str] = {}
    while True:
        page = (await http.get("/movies/", params={**query, **after})).json()
        found.append([row["id"] for row in page["rows"]])
        if page["next"] is None:
            return found
        assert len(page["rows"]) == query["__page_size"]
        after = {"__after": page["next"]}


def test_pages_have_every_row_once_and_in_order(
    http: httpx.AsyncClient, tables: Engine, runner: asyncio.Runner
) -> None:
    @seed(2)
    @proof
    @given(rows, st.lists(orders, min_size=1, max_size=4), st.integers(1, 5))
    def proven(made: list[dict[str, Any]], asked: list[tuple[tuple[str, bool], ...]], size: int) -> None:
        present = filled(tables, made)

        async def ask() -> None:
            for by in asked:
                expected, query = ordered(present, by), {"__order": order_of(by), "__page_size": size}
                assert [one for page in await pages(http, query) for one in page] == expected, query
                count = max(1, -(-len(expected) // size))
                numbered = [await ids(http, {**query, "__page": number}) for number in range(1, count + 2)]
                assert [one for page in numbered for one in page] == expected, query
                assert all(len(one) == size for one in numbered[: count - 1])

        runner.run(ask())

    proven()


events = st.lists(st.tuples(st.integers(0, ROWS * 2), rows.map(lambda made: made[:1])), max_size=6)
"""Between two pages: which row is deleted, and whether one is inserted."""


def test_rows_that_stay_are_on_one_page_whatever_comes_and_goes(
    http: httpx.AsyncClient, tables: Engine, runner: asyncio.Runner
) -> None:
    @seed(3)
    @proof
    @given(rows, orders, st.integers(1, 3), events)
    def proven(made: list[dict[str, Any]], by: tuple[tuple[str, bool], ...], size: int, between: list[Any]) -> None:
        present = {row["id"]: row for row in filled(tables, made)}
        stay, ever = set(present), dict(present)
        happening = iter(between)

        def happens() -> None:
            gone, come = next(happening, (None, []))
            with Session(tables) as session:
                if gone in stay:
                    session.execute(delete(Movie).where(Movie.id == gone))
                    stay.discard(gone)
                for row in come:
                    new = {"id": max(ever, default=0) + 1, **row}
                    session.execute(insert(Movie), [new])
                    ever[new["id"]] = new
                session.commit()

        async def ask() -> list[int]:
            told: list[int] = []
            query: dict[str, Any] = {"__order": order_of(by), "__page_size": size}
            while True:
                page = (await http.get("/movies/", params=query)).json()
                told += [row["id"] for row in page["rows"]]
                if page["next"] is None:
                    return told
                query["__after"] = page["next"]
                happens()

        told = runner.run(ask())
        assert len(told) == len(set(told))
        assert stay <= set(told)
        assert told == [one for one in ordered(list(ever.values()), by) if one in set(told)]

    proven()


async def test_a_moment_is_compared_in_whatever_zone_it_is_asked(client: Client, tables: Engine) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    async with client() as http:
        told = (await http.post("/movies/", json={"name": "a", "shown_at": "2026-01-31T14:00:00+02:00"})).json()
        assert told["shown_at"] == "2026-01-31T12:00:00Z"
        for asked in ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T09:00:00-03:00"):
            assert await ids(http, {"shown_at": asked}) == [told["id"]]
        assert await ids(http, {"shown_at__lt": (noon + timedelta(microseconds=1)).isoformat()}) == [told["id"]]
        assert await ids(http, {"shown_at__gt": noon.isoformat()}) == []
        early = await http.get("/movies/", params={"shown_at__gt": "0001-01-01T00:00:00+14:00"})
        assert early.status_code == 400
    with Session(tables) as session:
        kept = session.scalars(select(Movie.shown_at)).one()
        assert kept is not None
        assert kept.replace(tzinfo=kept.tzinfo or UTC) == noon


async def test_a_number_that_its_column_cannot_hold_is_told_as_that(client: Client, tables: Engine) -> None:
    async with client() as http:
        assert (await http.get("/movies/", params={"year": 2**63})).status_code == 400
        assert (await http.get(f"/movies/{2**63}/")).status_code == 404
        narrow = tables.dialect.name == "postgresql"
        assert (await http.get("/movies/", params={"year__lt": 2**31})).status_code == (400 if narrow else 200)
        assert (await http.get(f"/movies/{2**31}/")).status_code == 404
        assert (await http.get("/movies/", params={"price__lt": "12345678901.5"})).status_code == 200


async def test_an_order_is_refused_that_names_nothing(client: Client, tables: Engine) -> None:
    async with client() as http:
        for wrong in ("", "-", "name,", "nothing", "details"):
            assert (await http.get("/movies/", params={"__order": wrong})).status_code == 400, wrong


async def test_a_null_of_json_is_null(client: Client, tables: Engine) -> None:
    async with client() as http:
        made = [(await http.post("/movies/", json={"name": "a", **more})).json()["id"] for more in (
            {}, {"details": None}, {"details": {"a": None}}, {"details": "null"},
        )]  # fmt: skip
        assert await ids(http, {"details__null": "true"}) == made[:2]
        assert await ids(http, {"details__null": "false"}) == made[2:]
