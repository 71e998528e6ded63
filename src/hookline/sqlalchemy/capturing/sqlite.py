"""Triggers on SQLite: one per table and event, which write each changed row to the log.

The columns of the images have no type, so that SQLite converts nothing: an integer stays an integer, a blob a blob.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import Quoter

EVENTS: Final = ("insert", "update", "delete")
_QUOTER: Final = Quoter("sqlite")
_MICROSECONDS: Final = "1000 * CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_NOW: Final = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


def create_log(log: str, schema: str | None) -> Iterator[str]:
    """Make the log, if it is not there."""
    yield (
        f"CREATE TABLE IF NOT EXISTS {_QUOTER.within(log, schema)} "
        f'(id INTEGER PRIMARY KEY AUTOINCREMENT, "table" TEXT NOT NULL, operation TEXT NOT NULL, '
        f"images TEXT NOT NULL, at TEXT NOT NULL DEFAULT ({_NOW}))"
    )
    # Numbers that no earlier log has given out: old and new rows of its entries may still be there.
    sequence = _QUOTER.within("sqlite_sequence", schema)
    yield (
        f"INSERT INTO {sequence} (name, seq) SELECT {_QUOTER.text(log)}, {_MICROSECONDS} "
        f"WHERE NOT EXISTS (SELECT 1 FROM {sequence} WHERE name = {_QUOTER.text(log)})"
    )


def drop_log(log: str, schema: str | None) -> Iterator[str]:
    """Drop the log."""
    yield f"DROP TABLE IF EXISTS {_QUOTER.within(log, schema)}"


def create_images(shape: Shape) -> Iterator[str]:
    """Make the table of old and new rows, if it is not there."""
    names = [name(column) for name in (shape.old, shape.new) for column in shape.columns]
    columns = ", ".join(["id INTEGER PRIMARY KEY", *map(_QUOTER.name, names)])
    yield f"CREATE TABLE IF NOT EXISTS {_QUOTER.within(shape.images, shape.schema)} ({columns})"


def create_triggers(shape: Shape) -> Iterator[str]:
    """Make the triggers of a table, in the place of those that are there."""
    for event in EVENTS:
        yield f"DROP TRIGGER IF EXISTS {_QUOTER.within(shape.trigger(event), shape.schema)}"
        yield trigger(shape, event, shape.schema)


def drop_triggers(shape: Shape) -> Iterator[str]:
    """Drop the triggers of a table."""
    for event in EVENTS:
        yield f"DROP TRIGGER IF EXISTS {_QUOTER.within(shape.trigger(event), shape.schema)}"


def drop_images(shape: Shape, name: str | None = None) -> str:
    """Drop the old and new rows of a table, or those of a shape that it had earlier."""
    return f"DROP TABLE IF EXISTS {_QUOTER.within(name or shape.images, shape.schema)}"


def trigger(shape: Shape, event: str, schema: str | None = None) -> str:
    """The trigger of one event. SQLite keeps this text, but for the schema: so the text itself can be compared."""
    targets, values = ["id"], ["last_insert_rowid()"]
    for row, name, without in (("OLD", shape.old, "insert"), ("NEW", shape.new, "delete")):
        if event != without:
            targets += [_QUOTER.name(name(column)) for column in shape.columns]
            values += [f"{row}.{_QUOTER.name(column.name)}" for column in shape.columns]
    log, images, table = map(_QUOTER.name, (shape.log, shape.images, shape.table.name))
    entry = ", ".join(map(_QUOTER.text, (shape.label, event, shape.images)))
    return (
        f"CREATE TRIGGER {_QUOTER.within(shape.trigger(event), schema)} AFTER {event.upper()} ON {table} "
        f"FOR EACH ROW {_differs(shape) if event == 'update' else ''}BEGIN "
        f'INSERT INTO {log} ("table", operation, images) VALUES ({entry}); '
        f"INSERT INTO {images} ({', '.join(targets)}) VALUES ({', '.join(values)}); END"
    )


def _differs(shape: Shape) -> str:
    """Whether any value is another one, also where a column's collation, or arithmetic, calls it the same."""
    names = [_QUOTER.name(column.name) for column in shape.columns]
    each = [
        f"OLD.{name} COLLATE BINARY IS NOT NEW.{name} OR typeof(OLD.{name}) <> typeof(NEW.{name})" for name in names
    ]
    return f"WHEN {' OR '.join(each)} "


def own_table(log: str, schema: str | None) -> str:
    """The connection's own table of what it wrote to the log in this transaction."""
    return f"{log}_own_{schema or 'main'}"


def create_own(log: str, schema: str | None) -> Iterator[str]:
    """Let one connection take down what it writes to the log.

    SQLite gives transactions no name by which a trigger could mark their rows. But a TEMP trigger fires for the writes
    of its own connection only, and a TEMP table is rolled back with all else.
    """
    own = own_table(log, schema)
    yield f"CREATE TEMP TABLE {_QUOTER.name(own)} (id INTEGER PRIMARY KEY)"
    yield (
        f"CREATE TEMP TRIGGER {_QUOTER.name(own + '_insert')} AFTER INSERT ON {_QUOTER.within(log, schema or 'main')} "
        f"BEGIN INSERT INTO {_QUOTER.name(own)} (id) VALUES (NEW.id); END"
    )
