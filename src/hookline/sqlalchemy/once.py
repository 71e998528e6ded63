"""Rows of which there is one, whoever comes first to write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

_INSERTS: Final[dict[str, Callable[..., Any]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Write a row unless there is one with its key; where another transaction is about to write it, wait for its end.

    Where the database can, no statement fails for that: a failed one costs a savepoint, and of aiosqlite SQLAlchemy 2.0
    leaves its cursor open, which Python's garbage collector then waits for in the thread of the event loop.

    Args:
        connection: In a transaction.
        table: One with a primary key.
        values: The row.

    Returns:
        Whether it was written.
    """
    special = _INSERTS.get(connection.dialect.name)
    if special is not None:
        once = special(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
        return connection.execute(once).first() is not None
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(values))
    except IntegrityError:
        return False
    return True
