"""Served as people serve it: by uvicorn in several processes, in FastAPI, in Starlette, under any prefix."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Mount

from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import Outbox
from tests.databases import Database
from tests.http.application import Told
from tests.http.cinema import Base, Movie
from tests.http.conftest import served
from tests.processes import PATIENCE, Process


class Server(Process):
    """uvicorn with two workers, on a free port of this machine; it ends by itself, whatever happens to the test."""

    def __init__(self, database: Database) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            "timeout", "--kill-after=15", "120",
            sys.executable, "-m", "uvicorn", "tests.http.application:application", "--workers", "2",
            "--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "10",
            CINEMA_URL=str(database),
        )  # fmt: skip

    def close(self) -> None:
        """End it, and its workers with it."""
        if self.running:
            self.end()
        super().close()


@pytest.fixture
def tables(engine: Engine) -> Engine:
    Base.metadata.create_all(engine)
    IdempotencyKeys().create_tables(engine)
    Outbox().create_tables(engine)
    return engine


@pytest.fixture
def server(database: Database, tables: Engine) -> Iterator[Server]:
    server = Server(database)
    try:
        server.wait_for("Application startup complete", times=2)
        yield server
    finally:
        server.close()


async def test_several_processes_write_and_deliver_once_each(server: Server, tables: Engine) -> None:
    holders = [f"holder {number}" for number in range(40)]
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:

        async def buy(holder: str) -> list[httpx.Response]:
            head = {"idempotency-key": holder.replace(" ", "-")}
            return list(await asyncio.gather(*(
                http.post("/tickets/", json={"holder": holder}, headers=head) for _ in range(2)
            )))  # fmt: skip

        answers = [one for pair in await asyncio.gather(*map(buy, holders)) for one in pair]
        assert {answer.status_code for answer in answers} <= {201, 409}, server.log
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == len(holders)

        async def count_up(place: str) -> int:
            for attempt in range(1000):
                seen = await http.get(place)
                changed = await http.patch(place, json={"count": seen.json()["count"] + 1},
                                           headers={"if-match": seen.headers["etag"]})  # fmt: skip
                if changed.status_code == 200:
                    return attempt
                assert changed.status_code == 412, changed.text
            raise AssertionError(place)

        place = f"/tickets/{min(made)}/"
        await asyncio.gather(*(count_up(place) for _ in range(10)))
        assert (await http.get(place)).json()["count"] == 10
        big = await http.post("/tickets/", content=b" " * 20_000, headers={"content-type": "application/json"})
        assert (big.status_code, big.headers["content-type"]) == (413, "application/problem+json")
    until = monotonic() + PATIENCE
    with Session(tables) as look:
        while look.query(Told).count() < len(holders) and monotonic() < until:
            look.rollback()
            await asyncio.sleep(0)
    await asyncio.to_thread(server.end)
    lines = server.log.splitlines()
    assert [line for line in lines if "Traceback" in line or "ERROR" in line] == [], server.log
    with Session(tables) as look:
        assert Counter(look.scalars(select(Told.holder))) == dict.fromkeys(holders, 1)


# -- wherever it is put


def in_fastapi_by_include(movies: Any) -> Any:
    application = FastAPI()
    application.include_router(movies(), prefix="/movies")
    return application, "/movies"


def in_fastapi_by_prefix_of_its_own(movies: Any) -> Any:
    application = FastAPI()
    application.include_router(movies(prefix="/films"), prefix="/api")
    return application, "/api/films"


def in_fastapi_by_mount(movies: Any) -> Any:
    application = FastAPI()
    application.mount("/movies", movies())
    return application, "/movies"


def in_starlette(movies: Any) -> Any:
    return Starlette(routes=[Mount("/{town}/movies", app=movies())]), "/rome/movies"


def in_starlette_with_a_prefix_of_its_own(movies: Any) -> Any:
    return Starlette(routes=[Mount("/api", app=movies(prefix="/films"))]), "/api/films"


def alone(movies: Any) -> Any:
    return movies(), ""


def alone_with_a_prefix_of_its_own(movies: Any) -> Any:
    return movies(prefix="/films"), "/films"


PLACES = (in_fastapi_by_include, in_fastapi_by_prefix_of_its_own, in_fastapi_by_mount, in_starlette,
          in_starlette_with_a_prefix_of_its_own, alone, alone_with_a_prefix_of_its_own)  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_it_works_wherever_it_is_put(sessions: Any, place: Any) -> None:
    application, path = place(lambda **options: CRUD(Movie, sessions, read_only=False, **options))
    async with served(application) as http:
        made = await http.post(f"{path}/", json={"name": "Сталкер"})
        assert made.status_code == 201, made.text
        assert made.headers["location"] == f"{path}/{made.json()['id']}/"
        assert (await http.get(made.headers["location"])).json() == made.json()
        assert (await http.get(f"{path}/count/")).json() == {"count": 1}
        wrong = await http.patch(made.headers["location"], json={"nmae": "x"})
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
        assert (await http.delete(made.headers["location"])).status_code == 204
        assert (await http.get(made.headers["location"])).headers["content-type"] == "application/problem+json"
