"""A cinema over HTTP, in this process: sync and async sessions, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import attach
from tests.http.cinema import Base, Movie
from tests.proof import FULL

ONE_OF_EACH = ("test_hostile", "test_hooks", "test_selection")
"""Modules about what happens before a database hears of it, or alike on each: there, one kind of sessions will do."""

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what is tried in four variants, leave two where the others would say the same; the long run has all."""
    if FULL:
        return
    config.hook.pytest_deselected(items=[item for item in items if _says_the_same(item)])
    items[:] = [item for item in items if not _says_the_same(item)]


def _says_the_same(item: pytest.Item) -> bool:
    module = item.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
    variant = getattr(getattr(item, "callspec", None), "params", {})
    mixed = {variant.get("sessions"), variant.get("database")} in ({"sync", "postgresql"}, {"async", "sqlite"})
    return "tests/http/" in item.nodeid and module in ONE_OF_EACH and mixed


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(bypass="refuse")


@pytest.fixture
def tables(engine: Engine) -> Engine:
    Base.metadata.create_all(engine)
    IdempotencyKeys().create_tables(engine)
    return engine


@pytest.fixture
def look(tables: Engine) -> Iterator[Session]:
    """A session of nobody's, to see what is in the database."""
    with Session(tables) as session:
        yield session


@pytest.fixture(params=["sync", "async"])
def sessions(request: pytest.FixtureRequest, tables: Engine, hooks: Hooks) -> Iterator[Any]:
    """What CRUD opens sessions with; `hooks` is attached to them."""
    if request.param == "sync":
        maker: Any = sessionmaker(tables)
    else:
        async_engine: AsyncEngine = request.getfixturevalue("async_engine")
        maker = async_sessionmaker(async_engine)
    with attach(hooks, maker):
        yield maker


@pytest.fixture
def client(sessions: Any) -> Client:
    """`async with client(hooks=[...]) as http:` serves movies at ``/movies``, with these options of CRUD."""

    def opened(model: type = Movie, **options: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        application = FastAPI()
        application.include_router(CRUD(model, sessions, **{"read_only": False, **options}), prefix="/movies")
        return served(application)

    return opened


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An ASGI application in this process, behind a client."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://cinema") as http:
        yield http
