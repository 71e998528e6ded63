"""A request that writes a row, with one hook: against the same by PiccoloCRUD, and by an endpoint written by hand.

Applications are called in this process, as a server calls them, without sockets: what is between the two is no one's
merit. Each has a SQLite file of its own, and all of them the same settings.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Change, Hooks
from hookline.http import CRUD, Hook, HookType
from hookline.sqlalchemy import attach

Application = Callable[..., Any]

PICCOLO_BUDGET, HAND_BUDGET = 1 / 1.5, 1 / 0.7
"""At least 1.5 times as many requests in a second as the one, and 0.7 times as many as the other."""

ON_REQUEST, ON_DATA, PICCOLO, HAND = "a hook on requests", "a hook on data", "PiccoloCRUD", "an endpoint by hand"
METHODS = {"POST": "/movies/", "PATCH": "/movies/1/"}
PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF")
RATING = 10.0


class Base(DeclarativeBase):
    """The tables that are served."""


class Movie(Base):
    """What is written."""

    __tablename__ = "movie"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    rating: Mapped[float | None]


def measure(load: Load) -> Iterator[Result]:
    """Sync sessions and PiccoloCRUD, then async sessions."""
    requests = max(load.objects // 100, 2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookline-bench-")))
        loop = stack.enter_context(asyncio.Runner())
        sync = {
            ON_REQUEST: _on_request(_sync(folder / "request", stack)),
            ON_DATA: _on_data(_sync(folder / "data", stack)),
            HAND: _by_hand(_sync(folder / "hand", stack)),
        }
        if find_spec("piccolo_api"):
            sync[PICCOLO] = _piccolo(folder / "piccolo", stack)
        yield from _compared(sync, loop, load, requests, "sync sessions")
        awaited = {
            ON_REQUEST: _on_request(_async(folder / "async-request", stack, loop)),
            ON_DATA: _on_data(_async(folder / "async-data", stack, loop)),
            HAND: _by_hand_async(_async(folder / "async-hand", stack, loop)),
        }
        if find_spec("piccolo_api"):
            awaited[PICCOLO] = sync[PICCOLO]
        yield from _compared(awaited, loop, load, requests, "async sessions")


def _compared(
    applications: dict[str, Application], loop: asyncio.Runner, load: Load, requests: int, sessions: str
) -> Iterator[Result]:
    for method, path in METHODS.items():
        cases = {name: _requesting(one, loop, method, path, requests) for name, one in applications.items()}
        times = interleave(cases, load)
        for own in (ON_REQUEST, ON_DATA):
            for other, budget in ((PICCOLO, PICCOLO_BUDGET), (HAND, HAND_BUDGET)):
                if other in applications:
                    what = f"{requests:,} x {method}, {own}, {sessions}"
                    yield ratio(times, own, other, what=what, where="sqlite", budget=budget)


def _requesting(application: Application, loop: asyncio.Runner, method: str, path: str, requests: int) -> Case:
    """So many requests, one after the other."""
    numbers = count()

    async def send() -> None:
        for _ in range(requests):
            await _call(application, method, path, b'{"name": "Movie %d"}' % next(numbers))

    @contextmanager
    def case() -> Iterator[Timed]:
        loop.run(_call(application, "POST", METHODS["POST"], b'{"name": "The one that is patched"}'))
        yield lambda: loop.run(send())

    return case


async def _call(application: Application, method: str, path: str, body: bytes) -> None:
    """The least that a server does."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"),
                    (b"content-length", str(len(body)).encode())],
        "server": ("localhost", 80), "client": ("localhost", 1),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    assert sent[0]["status"] in (200, 201), sent


# -- ours


def _on_request(sessions: Any) -> Application:
    def complete_row(row: Movie) -> Movie:
        row.rating = RATING
        return row

    def complete_values(row_id: int, values: dict[str, Any]) -> dict[str, Any]:
        values["rating"] = RATING
        return values

    hooks = [Hook(HookType.pre_save, complete_row), Hook(HookType.pre_patch, complete_values)]
    return _served(CRUD(Movie, sessions, read_only=False, hooks=hooks))


def _on_data(sessions: Any) -> Application:
    hooks = Hooks()

    @hooks.before("save", Movie)
    def complete(change: Change[Movie]) -> None:
        change.new["rating"] = RATING

    attach(hooks, sessions)
    return _served(CRUD(Movie, sessions, read_only=False))


def _served(movies: Any) -> Application:
    application = FastAPI()
    application.include_router(movies, prefix="/movies")
    return application


def _sync(file: Path, stack: ExitStack) -> sessionmaker[Session]:
    engine = create_engine(f"sqlite:///{file}")
    stack.callback(engine.dispose)
    _settle(engine)
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


def _async(file: Path, stack: ExitStack, loop: asyncio.Runner) -> async_sessionmaker[AsyncSession]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    stack.callback(lambda: loop.run(engine.dispose()))
    _settle(engine.sync_engine)

    async def create() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    loop.run(create())
    return async_sessionmaker(engine)


def _settle(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _: Any) -> None:
        for pragma in PRAGMAS:
            connection.execute(pragma)


# -- others


class NewMovie(BaseModel):
    """What is sent of a new row."""

    name: str
    rating: float | None = None


class ChangedMovie(BaseModel):
    """What is sent of a row that is there."""

    name: str | None = None
    rating: float | None = None


class ToldMovie(NewMovie):
    """What is answered."""

    id: int


def _by_hand(sessions: sessionmaker[Session]) -> Application:
    application = FastAPI()

    @application.post("/movies/", response_model=ToldMovie, status_code=201)
    def create(given: NewMovie) -> Movie:
        with sessions() as session:
            movie = Movie(**given.model_dump())
            movie.rating = RATING
            session.add(movie)
            session.commit()
            session.refresh(movie)
            return movie

    @application.patch("/movies/{row_id}/", response_model=ToldMovie)
    def patch(row_id: int, given: ChangedMovie) -> Movie:
        with sessions() as session:
            movie = session.get_one(Movie, row_id)
            for name, value in given.model_dump(exclude_unset=True).items():
                setattr(movie, name, value)
            movie.rating = RATING
            session.commit()
            session.refresh(movie)
            return movie

    return application


def _by_hand_async(sessions: async_sessionmaker[AsyncSession]) -> Application:
    application = FastAPI()

    @application.post("/movies/", response_model=ToldMovie, status_code=201)
    async def create(given: NewMovie) -> Movie:
        async with sessions() as session:
            movie = Movie(**given.model_dump())
            movie.rating = RATING
            session.add(movie)
            await session.commit()
            await session.refresh(movie)
            return movie

    @application.patch("/movies/{row_id}/", response_model=ToldMovie)
    async def patch(row_id: int, given: ChangedMovie) -> Movie:
        async with sessions() as session:
            movie = await session.get_one(Movie, row_id)
            for name, value in given.model_dump(exclude_unset=True).items():
                setattr(movie, name, value)
            movie.rating = RATING
            await session.commit()
            await session.refresh(movie)
            return movie

    return application


def _piccolo(file: Path, stack: ExitStack) -> Application:
    """As fast as it gets: mounted as it is, without FastAPI around.

    It opens a connection for each query. One that stays open keeps SQLite from clearing up after each of them.
    """
    from piccolo.columns import Real, Varchar
    from piccolo.engine.sqlite import SQLiteEngine
    from piccolo.table import Table, create_db_tables_sync
    from piccolo_api.crud.endpoints import PiccoloCRUD
    from piccolo_api.crud.hooks import Hook as PiccoloHook
    from piccolo_api.crud.hooks import HookType as When
    from starlette.applications import Starlette
    from starlette.routing import Mount

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.execute(PRAGMAS[1])

    stays = stack.enter_context(closing(sqlite3.connect(file)))
    stays.execute(PRAGMAS[0])

    class Film(Table, db=SQLiteEngine(str(file), factory=Connection)):  # type: ignore[call-arg]
        name = Varchar(length=200)
        rating = Real(null=True, default=None)

    create_db_tables_sync(Film, if_not_exists=True)
    stays.execute("SELECT count(*) FROM film").fetchone()

    def complete_row(row: Any) -> Any:
        row.rating = RATING
        return row

    def complete_values(row_id: Any, values: dict[Any, Any]) -> dict[Any, Any]:
        values[Film.rating] = RATING
        return values

    hooks = [PiccoloHook(When.pre_save, complete_row), PiccoloHook(When.pre_patch, complete_values)]
    return Starlette(routes=[Mount("/movies/", PiccoloCRUD(Film, read_only=False, hooks=hooks))])
