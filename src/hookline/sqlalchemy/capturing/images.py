"""Old and new rows, read back from a log as the Python values of their columns' own types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Row,
    Select,
    Table,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.types import NullType, UserDefinedType

from hookline.sqlalchemy.capturing.captured import Captured
from hookline.sqlalchemy.capturing.entries import Entry, among, keyed
from hookline.sqlalchemy.capturing.shape import Shape


class _Record(UserDefinedType[Any]):
    """PostgreSQL's anonymous row."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """Its name."""
        return "record"


class _Reader(NamedTuple):
    """How to read the images of one shape: a query over entries, and what its columns are."""

    query: Select[Any]
    table: Table
    columns: Sequence[Column[Any]]


def captured(connection: Connection, shape: Shape, entries: Sequence[Entry]) -> Iterator[Captured]:
    """The changes of entries whose images are in one table.

    Args:
        connection: Where to read.
        shape: The table that they are of, as it is now.
        entries: The entries. If they were written when the table had other columns, those that it still has are read.
    """
    images = entries[0].images
    reader = _reader(connection, shape, images)
    width = len(reader.columns)
    keys = [column.key for column in reader.columns]
    by_id = {entry.id: entry for entry in entries}
    for condition in among(reader.table, entries):
        for row in connection.execute(reader.query.where(condition)):
            entry = by_id[row[0]]
            yield _captured(shape, entry, row, keys, width)


def _captured(shape: Shape, entry: Entry, row: Row[Any], keys: Sequence[str], width: int) -> Captured:
    old = None if entry.operation == "insert" else dict(zip(keys, row[1 : width + 1], strict=True))
    new = None if entry.operation == "delete" else dict(zip(keys, row[width + 1 :], strict=True))
    return Captured(entry.id, entry.transaction, shape.table, entry.operation, old, new, entry.at, entry.images)  # type: ignore[arg-type]


def _reader(connection: Connection, shape: Shape, images: str) -> _Reader:
    if images == shape.images:
        return _reader_of(shape, images, shape.columns)
    everything: Select[Any] = select(literal_column("*")).select_from(keyed(shape.kind, images, shape.schema)).limit(0)
    there = set(connection.execute(everything).keys())
    return _reader_of(shape, images, tuple(column for column in shape.columns if shape.old(column) in there))


@lru_cache(maxsize=1024)  # SQLAlchemy keeps the queries of tables that it knows
def _reader_of(shape: Shape, images: str, columns: tuple[Column[Any], ...]) -> _Reader:
    make = _reader_of_rows if shape.kind == "sqlite" else _reader_of_arrays
    return make(shape, images, columns)


def _reader_of_rows(shape: Shape, images: str, columns: Sequence[Column[Any]]) -> _Reader:
    typed = [Column(name(column), column.type) for name in (shape.old, shape.new) for column in columns]
    table = keyed(shape.kind, images, shape.schema, *typed)
    return _Reader(select(*table.c).order_by(table.c.id), table, columns)


def _reader_of_arrays(shape: Shape, images: str, columns: Sequence[Column[Any]]) -> _Reader:
    names = [name(column) for name in (shape.old, shape.new) for column in columns]
    arrays = [Column(name, NullType()) for name in names]
    table = keyed(shape.kind, images, shape.schema, *arrays)
    numbered = [f"c{number}" for number in range(len(names))]
    types = [NullType() if shape.is_array(column) else column.type for column in columns] * 2
    rows = (
        func.unnest(*(table.c[name] for name in names))
        .table_valued(
            *(column(name, kind) for name, kind in zip(numbered, types, strict=True)), with_ordinality="place"
        )
        .render_derived("hookline_rows")
    )
    values: list[Any] = [
        cast(rows.c[name], one.type) if shape.is_array(one) else rows.c[name]
        for name, one in zip(numbered, [*columns, *columns], strict=True)
    ]
    old, new = (
        cast(func.row(*(rows.c[name] for name in some)), _Record())
        for some in (numbered[: len(columns)], numbered[len(columns) :])
    )
    # The rows of a statement that changed some of them: as the trigger does, bit by bit.
    query = (
        select(table.c.id, *values)
        .select_from(table.join(rows, true()))
        .where(old.bool_op("*<>")(new))
        .order_by(table.c.id, rows.c.place)
    )
    return _Reader(query, table, columns)
