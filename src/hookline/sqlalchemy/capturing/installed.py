"""What of a capture is in a database: what is missing, disabled, or as an earlier model wanted it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, inspect, text

from hookline.sqlalchemy.capturing import postgresql, sqlite
from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import Quoter


def problems(connection: Connection, shape: Shape) -> list[str]:
    """What is wrong with one table's capture, in sentences; nothing if all is well."""
    there = inspect(connection)
    if not there.has_table(shape.table.name, schema=shape.table.schema):
        return [f"the table {shape.label} is missing"]
    found = [
        f"{shape.label}: the table {name} of the log is missing"
        for name in (shape.log, shape.images)
        if not there.has_table(name, schema=shape.schema)
    ]
    if shape.kind == "sqlite":
        return [*found, *_of_sqlite(connection, shape)]
    return [*found, *_of_postgresql(connection, shape), *(found or _of_types(connection, shape))]


def retyped(connection: Connection, shape: Shape) -> Iterator[str]:
    """The statements that give the images the types that the table's columns have now, on PostgreSQL."""
    quoter = Quoter("postgresql")
    for name, _, _, wanted in _other_types(connection, shape):
        yield (
            f"ALTER TABLE {quoter.within(shape.images, shape.schema)} ALTER COLUMN {quoter.name(name)} "
            f"TYPE {wanted} USING CAST({quoter.name(name)} AS {wanted})"
        )


def _of_sqlite(connection: Connection, shape: Shape) -> Iterator[str]:
    master = Quoter("sqlite").within("sqlite_master", shape.schema or "main")
    found: dict[str, str] = {
        row.name: row.sql for row in connection.execute(text(f"SELECT name, sql FROM {master} WHERE type = 'trigger'"))
    }
    for event in sqlite.EVENTS:
        name = shape.trigger(event)
        if name not in found:
            yield f"{shape.label}: the trigger {name} is missing"
        elif found[name] != sqlite.trigger(shape, event):
            yield f"{shape.label}: the trigger {name} is outdated"


def _of_postgresql(connection: Connection, shape: Shape) -> Iterator[str]:
    query = text(
        "SELECT tgname, tgenabled = 'O' AS enabled, obj_description(oid, 'pg_trigger') AS comment "
        "FROM pg_trigger WHERE tgrelid = to_regclass(:table)"
    )
    found: dict[str, Any] = {row.tgname: row for row in connection.execute(query, {"table": _name_of(shape)})}
    for event in postgresql.EVENTS:
        name = shape.trigger(event)
        if name not in found:
            yield f"{shape.label}: the trigger {name} is missing"
        elif found[name].comment != postgresql.MARK + postgresql.fingerprint(shape, event):
            yield f"{shape.label}: the trigger {name} is outdated"
        elif not found[name].enabled:
            yield f"{shape.label}: the trigger {name} is disabled"


def _of_types(connection: Connection, shape: Shape) -> Iterator[str]:
    for name, column, kind, wanted in _other_types(connection, shape):
        if name == shape.old(shape.table.c[column]):
            yield f"{shape.label}: {column} is kept in the log as {kind}, which should be {wanted}"


def _other_types(connection: Connection, shape: Shape) -> Iterator[tuple[str, str, str, str]]:
    """The columns of the images whose type is not that of arrays of what the table's column has."""
    query = text(
        "SELECT attname, format_type(atttypid, NULL) AS kind, format_type(typarray, NULL) AS array "
        "FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
    )
    table = {row.attname: row for row in connection.execute(query, {"table": _name_of(shape)})}
    images = {row.attname: row for row in connection.execute(query, {"table": _images_of(shape)})}
    for column in shape.columns:
        wanted = "text[]" if shape.is_array(column) else table[column.name].array
        for name in (shape.old(column), shape.new(column)):
            if images[name].kind != wanted:
                yield name, column.key, images[name].kind, wanted


def _name_of(shape: Shape) -> str:
    return Quoter("postgresql").table(shape.table)


def _images_of(shape: Shape) -> str:
    return Quoter("postgresql").within(shape.images, shape.schema)
