"""Fields and related rows that clients choose: what the ORM tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, inspect, select, update
from sqlalchemy.orm import Session

from tests.http.cabinet import Base, Label, Shelf, shelf_label
from tests.http.conftest import Client
from tests.proof import FULL

EXAMPLES = 300 if FULL else 15
"""Of sets of rows, per database, sync and async."""

MOST = 2
"""How many related rows are told of each."""

DEPTH = 3
KEYS = [("a", 1), ("a", 2), ("b", 1), ("Ж,~/", -1), ("", 0), ("c", 3)]
FIELDS = {Shelf: ("room", "number", "below_room", "below_number"), Label: ("id", "text")}
RELATIONS: dict[type, dict[str, type]] = {
    Shelf: {"below": Shelf, "above": Shelf, "labels": Label},
    Label: {"shelves": Shelf},
}

belows = st.fixed_dictionaries({}, optional={key: st.sampled_from(KEYS) for key in KEYS})
labels = st.sets(st.tuples(st.sampled_from(KEYS), st.integers(1, 4)), max_size=12)


@st.composite
def paths(draw: st.DrawFn) -> str:
    model, path = Shelf, []
    for _ in range(draw(st.integers(0, DEPTH))):
        name = draw(st.sampled_from(sorted(RELATIONS[model])))
        path.append(name)
        model = RELATIONS[model][name]
    if not path or draw(st.booleans()):
        path.append(draw(st.sampled_from(FIELDS[model])))
    return ".".join(path)


asked = st.lists(st.lists(paths(), min_size=1, max_size=4), min_size=1, max_size=6)


@pytest.fixture
def tables(engine: Engine) -> Engine:
    Base.metadata.create_all(engine)
    return engine


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def http(client: Client, runner: asyncio.Runner) -> Iterator[httpx.AsyncClient]:
    served = client(Shelf, max_depth=DEPTH, max_page_size=MOST, page_size=MOST)
    yield runner.run(served.__aenter__())
    runner.run(served.__aexit__(None, None, None))


def told(row: Any, paths: list[list[str]]) -> dict[str, Any] | None:
    """A row of the ORM as a client should be told of it."""
    if row is None:
        return None
    own = [path[0] for path in paths if path[0] in FIELDS[type(row)]]
    found = {name: getattr(row, name) for name in FIELDS[type(row)] if name in own}
    for name in dict.fromkeys(path[0] for path in paths if path[0] not in FIELDS[type(row)]):
        further = [path[1:] for path in paths if path[0] == name and path[1:]]
        further = further or [[field] for field in FIELDS[RELATIONS[type(row)][name]]]
        others = getattr(row, name)
        if isinstance(others, list):
            others = sorted(others, key=lambda one: inspect(one).identity)
            found[name] = {"rows": [told(one, further) for one in others[:MOST]], "more": len(others) > MOST}
        else:
            found[name] = told(others, further)
    return found


def test_what_a_client_chooses_is_told_as_the_orm_tells_it(
    http: httpx.AsyncClient, tables: Engine, runner: asyncio.Runner
) -> None:
    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(belows, labels, asked)
    def proven(below: dict[Any, Any], labelled: set[Any], asked: list[list[str]]) -> None:
        with Session(tables) as session:
            # By statements: the unit of work cannot sort rows that stand upon themselves.
            session.execute(delete(shelf_label))
            session.execute(update(Shelf).values(below_room=None, below_number=None))
            session.execute(delete(Shelf))
            session.execute(delete(Label))
            session.execute(insert(Label), [{"id": number, "text": f"label {number}"} for number in range(1, 5)])
            session.execute(insert(Shelf), [{"room": room, "number": number} for room, number in KEYS])
            for (room, number), (below_room, below_number) in below.items():
                at = update(Shelf).where(Shelf.room == room, Shelf.number == number)
                session.execute(at.values(below_room=below_room, below_number=below_number))
            for (room, number), label in sorted(labelled):
                session.execute(insert(shelf_label).values(room=room, number=number, label_id=label))
            session.commit()
            shelves = {(one.room, one.number): one for one in session.scalars(select(Shelf))}

            async def ask(chosen: list[str]) -> None:
                found: list[Any] = []
                query = {"__fields": ",".join(chosen)}
                while True:
                    page = await http.get("/movies/", params=query)
                    assert page.status_code == 200, page.text
                    found += page.json()["rows"]
                    if page.json()["next"] is None:
                        break
                    query["__after"] = page.json()["next"]
                paths = [path.split(".") for path in chosen]
                expected = [told(one, paths) for one in shelves.values()]
                assert sorted(found, key=repr) == sorted((in_order(one, found) for one in expected), key=repr), chosen
                first = await http.get("/movies/a,1/", params={"__fields": ",".join(chosen)})
                assert first.json() == told(shelves["a", 1], paths)

            for chosen in asked:
                runner.run(ask(chosen))

    proven()


def in_order(row: Any, like: list[Any]) -> Any:
    """A row with its fields in the order of others, so that both look alike as text."""
    return next((one for one in like if one == row), row)


async def test_fields_that_there_are_not_are_refused(client: Client, tables: Engine) -> None:
    async with client(Shelf, max_depth=1) as http:
        for wrong in (
            "",
            "nothing",
            "labels.nothing",
            "room.number",
            "labels.shelves",
            "labels.",
            ".room",
            "room,",
            "__",
        ):
            assert (await http.get("/movies/", params={"__fields": wrong})).status_code == 400, wrong
