"""What the interface says of itself is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi.openapi.models import OpenAPI
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from tests.http import cabinet
from tests.http.cinema import Director, Genre, Movie, Screening, Ticket
from tests.http.conftest import Client
from tests.http.trials import everything, tried
from tests.proof import FULL

JSON = {"content-type": "application/json"}
EXAMPLES = 40 if FULL else 2
"""Of random requests, per operation and database, sync and async; and of sequences of requests."""

COVERED = {"sync-sqlite": "^/screening/", "async-postgresql": "^/genre/"}


@pytest.fixture
def application(sessions: Any, tables: Engine) -> Any:
    cabinet.Base.metadata.create_all(tables)
    with Session(tables) as session:
        varda = Director(name="Varda")
        cleo = Movie(name="Cléo", director=varda, genres=[Genre(name="Drama")])
        shelf = cabinet.Shelf(room="a", number=1, labels=[cabinet.Label(text="old")])
        curiosity = cabinet.Curiosity(kind="bone")
        session.add_all([cleo, Screening(hall="a", number=1), Ticket(holder="Ann"), shelf, curiosity])
        session.commit()
    return everything(sessions)


def test_every_request_that_the_description_suggests_is_answered_as_it_says(
    application: Any, request: pytest.FixtureRequest
) -> None:
    # Each bound of each schema is tried for every class in the long run, and for two of them here.
    name = request.node.callspec.id
    trial = tried(application, examples=EXAMPLES, covered="." if FULL else COVERED.get(name))
    print(f"{name}: {dict(trial.cases)}")
    assert trial.cases["fuzzing"] > 80
    assert not trial.failures, "\n".join(trial.failures)


def test_it_is_openapi_3_1_and_its_examples_are_what_it_says(application: Any) -> None:
    described = application.openapi()
    OpenAPI.model_validate(described)
    assert described["openapi"].startswith("3.1.")
    for schema in _schemas(described):
        jsonschema_rs.meta.validate(schema)
    content = [one for one in _parts(described) if isinstance(one.get("schema"), dict) and "example" in one]
    assert len(content) > 100
    for one in content:
        whole = {**one["schema"], "components": described["components"]}
        jsonschema_rs.validate(whole, one["example"], validate_formats=True)


def test_every_route_says_what_can_go_wrong_as_problem_details(application: Any) -> None:
    told = [
        (method, path, status, answer)
        for path, methods in application.openapi()["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
    ]
    assert {status for _, _, status, _ in told} >= {
        "400",
        "404",
        "409",
        "412",
        "413",
        "415",
        "422",
        "428",
        "500",
        "503",
    }
    for method, path, status, answer in told:
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(one)


def _schemas(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from described["components"]["schemas"].values()
    yield from (part["schema"] for part in _parts(described["paths"]) if isinstance(part.get("schema"), dict))


async def test_an_address_names_all_its_methods_if_it_has_not_the_one_that_was_asked(client: Client) -> None:
    async with client(allow_bulk_delete=True) as http:
        for place, allowed in (("/movies/", "DELETE, GET, POST"), ("/movies/1/", "DELETE, GET, PATCH, PUT")):
            answer = await http.options(place)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_number_without_a_fraction_is_an_integer(client: Client, tables: Engine) -> None:
    async with client() as http:
        made = await http.post("/movies/", content=b'{"name": "a", "year": 1979.0}', headers=JSON)
        assert (made.status_code, made.json()["year"]) == (201, 1979)
        for wrong in ("1979.5", '"1979"', "true", "1e300"):
            refused = await http.post("/movies/", content=f'{{"name": "a", "year": {wrong}}}', headers=JSON)
            assert refused.status_code == 422


async def test_a_row_that_refers_to_itself_is_no_failure_of_the_server(client: Client, tables: Engine) -> None:
    cabinet.Base.metadata.create_all(tables)
    async with client(cabinet.Shelf) as http:
        row = {"room": "a", "number": 1, "below_room": "a", "below_number": 1}
        with Session(tables) as session:
            session.execute(insert(cabinet.Shelf).values(row))
            session.commit()
        refused = await http.delete("/movies/a,1/")
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "circle")
