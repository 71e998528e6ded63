"""Served as people serve it: by uvicorn in several processes, in FastAPI, in Starlette, under any prefix."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Mount

import hookline
from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import Outbox
from tests.databases import Database
from tests.http.application import Told
from tests.http.cinema import Base, Movie
from tests.http.conftest import served

PATIENCE = 60.0
_PATH = os.pathsep.join([str(Path(hookline.__file__).parents[1]), str(Path(__file__).parents[2])])


class Server:
    """uvicorn with two workers, on a free port of this machine; it ends by itself, whatever happens to the test."""

    def __init__(self, database: Database) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "uvicorn", "tests.http.application:application", "--workers", "2",
                   "--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "10"]  # fmt: skip
        self._process = subprocess.Popen(
            ["timeout", "--kill-after=15", "120", *command],
            env={**os.environ, "PYTHONPATH": _PATH, "CINEMA_URL": str(database)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def wait_for(self, pattern: str, times: int) -> None:
        """Wait until lines that match have been logged so many times."""
        until = monotonic() + PATIENCE
        with self._more:
            while sum(1 for line in self.lines if re.search(pattern, line)) < times:
                assert monotonic() < until, "".join(self.lines)
                self._more.wait(until - monotonic())

    def end(self) -> None:
        """Ask it to end, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self.end()
        assert self._process.stderr is not None
        self._process.stderr.close()


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
        assert {answer.status_code for answer in answers} <= {201, 409}, server.lines
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
    assert [line for line in server.lines if "Traceback" in line or "ERROR" in line] == [], server.lines
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
