"""Engines for tests: SQLite files and PostgreSQL schemas, sync and async, set up alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def sqlite_url(folder: Path, name: str) -> str:
    """The URL of a file of that name in the folder."""
    return f"sqlite:///{folder / name}.db"


def postgresql_in_schema(url: str, schema: str) -> str:
    """The URL with the schema as the only one on the search path. The schema is made, empty."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    inside = parsed.update_query_dict({"options": f"-csearch_path={schema}"})
    return inside.render_as_string(hide_password=False)


def engine_for(url: str, **options: Any) -> Engine:
    """A synchronous engine."""
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        _sqlite_transactions(engine)
    return engine


def async_engine_for(url: str, **options: Any) -> AsyncEngine:
    """The same database, by an async driver."""
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"), **options)
    if engine.dialect.name == "sqlite":
        _sqlite_transactions(engine.sync_engine)
    return engine


def _sqlite_transactions(engine: Engine) -> None:
    """Let SQLAlchemy, not the driver, say when a transaction begins, so that savepoints work."""

    @event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def empty(connection: Connection, metadata: MetaData) -> None:
    """Delete all rows, whatever refers to what."""
    names = [table.name for table in metadata.sorted_tables]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for name in names:
            connection.exec_driver_sql(f'DELETE FROM "{name}"')
        if connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")):
            connection.exec_driver_sql("DELETE FROM sqlite_sequence")
    else:
        deletes = ";".join(f'DELETE FROM "{name}"' for name in names)
        connection.exec_driver_sql(f"SET LOCAL session_replication_role = replica; {deletes}")
