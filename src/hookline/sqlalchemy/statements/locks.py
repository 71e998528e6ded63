"""Keeping others from writing rows between the moment when they are read and the moment when they are written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, FromClause, delete, text


def take_write_lock(connection: Connection, table: FromClause) -> None:
    """On SQLite, become the writer now; other databases lock the rows that are read: see `locking`.

    A transaction that begins as a writer waits until the one before it has ended. One that reads first, and becomes a
    writer later, may be refused at once.

    Args:
        connection: Where.
        table: Any table of the database.
    """
    if connection.dialect.name != "sqlite":
        return
    pooled: Any = connection.connection
    if getattr(pooled.driver_connection, "in_transaction", True):
        writing: Any = table
        connection.execute(delete(writing).where(text("0")), execution_options={"hookline": False})
    else:  # the driver begins transactions at the first write, and no sooner
        cursor = pooled.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        cursor.close()


def locking(query: Any, connection: Connection, table: FromClause) -> Any:
    """A query that locks the rows of a table that it reads; on SQLite, the writer needs no more."""
    return query if connection.dialect.name == "sqlite" else query.with_for_update(of=table)
