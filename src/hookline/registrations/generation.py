"""The number that moves with each change of registrations, so that all processes see it."""

from __future__ import annotations

import uuid
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import OperationalError, ProgrammingError

from hookline.errors import RegistrationStoreError
from hookline.registrations.tables import VERSION, Tables, missing

PASSING: Final = {"hookline": False}
"""Execution options of statements that are none of the hooks' business."""

_UNDEFINED_TABLE: Final = "42P01"


class Generation(NamedTuple):
    """A state of the registrations.

    Attributes:
        number: Grows by one with each transaction that changes them.
        stamp: Tells generations of one number apart, of which all but one were rolled back.
    """

    number: int
    stamp: str


START: Final = Generation(0, "")


def generation_now(connection: Connection, tables: Tables, *, writing: bool) -> Generation:
    """The generation that a transaction sees; the only query that most transactions pay.

    Args:
        connection: The connection of that transaction.
        tables: The tables.
        writing: Whether it is going to write. On SQLite it then becomes the writer first: reading first would take a
            snapshot that others could make stale before the write, which SQLite then refuses.

    Raises:
        RegistrationStoreError: The table is missing, or made for another version of Hookline.
    """
    try:
        if writing and connection.dialect.name == "sqlite":
            connection.execute(tables.lock, execution_options=PASSING)
        row = connection.execute(tables.now).first()
    except (OperationalError, ProgrammingError) as error:
        if _says_missing(error):
            raise missing(tables.generation) from error
        raise
    if row is None:
        return START
    number, stamp, version = row
    if version != VERSION:
        raise RegistrationStoreError(
            f"The tables of {tables.registration.fullname} are of version {version}, and this Hookline knows "
            f"version {VERSION}. {'Migrate them' if version < VERSION else 'Update this program'}."
        )
    return Generation(number, stamp)


def next_generation(connection: Connection, tables: Tables) -> Generation:
    """Begin a new generation, in the transaction that changes the registrations; others wait for its end to do so."""
    table = tables.generation
    stamp = uuid.uuid4().hex
    move = update(table).values(number=table.c.number + 1, stamp=stamp)
    if connection.execute(move, execution_options=PASSING).rowcount == 0:
        connection.execute(_first(connection, table), execution_options=PASSING)
        connection.execute(move, execution_options=PASSING)
    return Generation(connection.execute(select(table.c.number)).scalar_one(), stamp)


def _first(connection: Connection, table: Any) -> Any:
    """The row, which a migration has not inserted, unless somebody else does so just now."""
    values = {"id": 1, "number": START.number, "stamp": START.stamp, "version": VERSION}
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).values(values).on_conflict_do_nothing()
    return insert(table).values(values)


def _says_missing(error: OperationalError | ProgrammingError) -> bool:
    """Whether a statement failed because its table is not there."""
    state = getattr(error.orig, "sqlstate", None)
    return state == _UNDEFINED_TABLE or "no such table" in str(error.orig) or "doesn't exist" in str(error.orig)
