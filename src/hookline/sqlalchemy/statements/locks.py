"""Keeping others from writing rows between the moment when they are read and the moment when they are written.

And no longer than that: not if a process stands still in between.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, FromClause, delete, text

STANDING: Final = 10.0
"""Seconds for which a transaction of Hookline's own may stand still on PostgreSQL: see `let_go_if_idle`."""


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


def let_go_if_idle(connection: Connection) -> None:
    """On PostgreSQL, let the server end this transaction if its process stands still in the middle of it.

    What a suspended process has locked, nobody else could have until it goes on; the server cannot tell it from one
    that thinks. For transactions that only Hookline has, and never thinks in; if the session has such a timeout of its
    own, that one holds.

    Args:
        connection: In a transaction that has locked nothing yet.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LET_GO, {"milliseconds": str(round(STANDING * 1000))})


_LET_GO = text(
    "SELECT set_config('idle_in_transaction_session_timeout', CAST(:milliseconds AS text), true) "
    "WHERE current_setting('idle_in_transaction_session_timeout') = '0'"
)


def locking(query: Any, connection: Connection, table: FromClause) -> Any:
    """A query that locks the rows of a table that it reads; on SQLite, the writer needs no more."""
    return query if connection.dialect.name == "sqlite" else query.with_for_update(of=table)
