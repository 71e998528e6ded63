"""Triggers on PostgreSQL: one per table and statement, which write all changed rows to the log at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hookline.sqlalchemy.capturing.naming import digest
from hookline.sqlalchemy.capturing.plpgsql import body, value_of
from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import Quoter

EVENTS: Final = ("insert", "update", "delete", "truncate")
MARK: Final = "hookline "
"""How the comment of a trigger begins; its fingerprint follows."""

_QUOTER: Final = Quoter("postgresql")


def create_log(log: str, schema: str | None) -> Iterator[str]:
    """Make the log, if it is not there."""
    table, sequence = _QUOTER.within(log, schema), _QUOTER.within(f"{log}_id", schema)
    yield f"CREATE SEQUENCE IF NOT EXISTS {sequence}"
    # Numbers that no earlier log has given out: old and new rows of its entries may still be there.
    yield (
        f"SELECT setval({_QUOTER.text(sequence)}, CAST(1000000 * extract(epoch FROM clock_timestamp()) AS bigint)) "
        f"FROM {sequence} WHERE NOT is_called"
    )
    # Entries are in the tables that inherit from this one, one per captured table, with their old and new rows.
    yield (
        f'CREATE TABLE IF NOT EXISTS {table} (id bigint, tx xid8, "table" text, operation text, at timestamptz, '
        f"CHECK (false) NO INHERIT)"
    )


def drop_log(log: str, schema: str | None) -> Iterator[str]:
    """Drop the log."""
    yield f"DROP TABLE IF EXISTS {_QUOTER.within(log, schema)} CASCADE"
    yield f"DROP SEQUENCE IF EXISTS {_QUOTER.within(f'{log}_id', schema)}"


def create_images(shape: Shape) -> Iterator[str]:
    """Make the table of old and new rows, if it is not there, with the types that the table's columns really have."""
    log, images = (_QUOTER.within(name, shape.schema) for name in (shape.log, shape.images))
    names = [_QUOTER.name(name(column)) for name in (shape.old, shape.new) for column in shape.columns]
    arrays = [f"array_agg({value_of(shape, 'hookline_row', column)})" for column in shape.columns] * 2
    columns = ", ".join(f"{array} AS {name}" for array, name in zip(arrays, names, strict=True))
    yield (
        f"CREATE TABLE IF NOT EXISTS {images} AS SELECT CAST(0 AS bigint) AS id, CAST('0' AS xid8) AS tx, "
        f"CAST('' AS text) AS \"table\", CAST('' AS text) AS operation, clock_timestamp() AS at, {columns} "
        f"FROM {_QUOTER.table(shape.table)} AS hookline_row WITH NO DATA"
    )
    yield f"CREATE INDEX IF NOT EXISTS {_QUOTER.name(_key_of(shape))} ON {images} (tx, id)"
    # To compress them would take longer than to write them, and they do not stay for long.
    yield f"ALTER TABLE {images} {', '.join(f'ALTER COLUMN {name} SET STORAGE EXTERNAL' for name in names)}"
    inherits = f"SELECT FROM pg_inherits WHERE inhrelid = CAST({_QUOTER.text(images)} AS regclass)"
    statement = f"BEGIN IF NOT EXISTS ({inherits}) THEN ALTER TABLE {images} INHERIT {log}; END IF; END"
    yield f"DO {_QUOTER.text(statement)}"


def drop_images(shape: Shape, name: str | None = None) -> str:
    """Drop the old and new rows of a table, or those of a shape that it had earlier."""
    return f"DROP TABLE IF EXISTS {_QUOTER.within(name or shape.images, shape.schema)}"


def create_triggers(shape: Shape) -> Iterator[str]:
    """Make the triggers of a table, in the place of those that are there."""
    table = _QUOTER.table(shape.table)
    for event in EVENTS:
        function, name = _function(shape, event), _QUOTER.name(shape.trigger(event))
        yield _create_function(shape, event)
        if not shape.schema:
            yield _in_current_schema(function)
        yield (
            f"CREATE OR REPLACE TRIGGER {name} {_moment(event)} ON {table} {_transition(event)}"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
        yield f"COMMENT ON TRIGGER {name} ON {table} IS {_QUOTER.text(MARK + fingerprint(shape, event))}"


def drop_triggers(shape: Shape) -> Iterator[str]:
    """Drop the triggers of a table. That of a dropped table is gone, its function is not."""
    for event in EVENTS:
        yield f"DROP FUNCTION IF EXISTS {_function(shape, event)}() CASCADE"


def fingerprint(shape: Shape, event: str) -> str:
    """What changes when the trigger would be made in another way."""
    return digest(_create_function(shape, event) + _transition(event))


def _function(shape: Shape, event: str) -> str:
    return _QUOTER.within(shape.trigger(event), shape.schema)


def _key_of(shape: Shape) -> str:
    return f"{shape.log}_{digest(shape.images)}_key"


def _moment(event: str) -> str:
    return "BEFORE TRUNCATE" if event == "truncate" else f"AFTER {event.upper()}"


def _transition(event: str) -> str:
    old = " OLD TABLE AS hookline_old" if event in ("update", "delete") else ""
    new = " NEW TABLE AS hookline_new" if event in ("insert", "update") else ""
    return f"REFERENCING{old}{new} " if old or new else ""


def _create_function(shape: Shape, event: str) -> str:
    # The owner's rights: whoever may write the table need not be able to write the log. So names must not be
    # looked up where the writer says: pg_temp comes last.
    path = f" SET search_path = pg_catalog, {_QUOTER.name(shape.schema)}, pg_temp" if shape.schema else ""
    return (
        f"CREATE OR REPLACE FUNCTION {_function(shape, event)}() RETURNS trigger LANGUAGE plpgsql "
        f"SECURITY DEFINER{path} AS {_QUOTER.text(body(shape, event))}"
    )


def _in_current_schema(function: str) -> str:
    """Let a function look names up in the schema that is current when it is made."""
    statement = _QUOTER.text(f"ALTER FUNCTION {function}() SET search_path = pg_catalog, ")
    return f"DO {_QUOTER.text(f'BEGIN EXECUTE {statement} || quote_ident(current_schema()) || {_LAST_OF_PATH}; END')}"


_LAST_OF_PATH: Final = _QUOTER.text(", pg_temp")
