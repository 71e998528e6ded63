"""Sending an UPDATE with what hooks edited: still one statement, with the rows' own values where they were edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Update,
    and_,
    case,
    delete,
    insert,
    literal_column,
    select,
)
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ClauseElement
from sqlalchemy.util import immutabledict

from hookline.errors import PhaseError
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.rows import clause_of

Edits = list[tuple[StatementChange, dict[Any, Any]]]
"""Changes with what to write to them instead, by column."""


def edits_of(changes: Iterable[StatementChange], table: Table, settled: Iterable[Any]) -> Edits:
    """What must be written by value: what hooks edited, and what the database would compute anew each time.

    Args:
        changes: Of the statement.
        table: The one that it writes.
        settled: The columns to be written as they were foreseen.

    Raises:
        PhaseError: A hook edited a column of another table.
    """
    found: Edits = []
    for change in changes:
        columns = change.facts.columns
        values = {}
        for column in settled:
            values[column] = change.known_new()[change.facts.name_of(column)]
        for name, value in change.edits().items():
            if columns[name].table is not table:
                raise PhaseError(
                    f"{change!r}: a hook edited {name!r}, which is in the table {columns[name].table.name}, but the "
                    f"statement writes {table.name} only. Write it to the entity in an `after` hook."
                )
            values[columns[name]] = value
        found.append((change, values))
    return found


def edited(
    connection: Connection, statement: Update, assigned: Mapping[Any, Any], edits: Edits, table: Table, *, alone: bool
) -> Update:
    """The statement with the edits in it.

    Args:
        connection: Where it will be sent.
        statement: As it was.
        assigned: What it sets, by column.
        edits: What to write instead.
        table: The one that it writes.
        alone: Whether these are all the rows that it may set.
    """
    sets = edited_sets(connection, assigned, edits, table, alone=alone)
    changed: Update = statement._clone()
    if getattr(changed, "_ordered_values", None) is not None:  # SQLAlchemy 2.0
        changed._ordered_values = list(sets.items())  # type: ignore[attr-defined]
    else:
        changed._values = immutabledict(sets)
    return changed


def edited_sets(
    connection: Connection, assigned: Mapping[Any, Any], edits: Edits, table: Table, *, alone: bool
) -> dict[Any, Any]:
    """What a statement sets, with the edits in it.

    Args:
        connection: Where it will be sent.
        assigned: What it sets, by column.
        edits: What to write instead.
        table: The one that it writes.
        alone: Whether these are all the rows that it may set.
    """
    columns = list(dict.fromkeys(column for _, values in edits for column in values))
    sets = {column: clause_of(value, column) for column, value in assigned.items()}
    apart = []
    for column in columns:
        values = [some[column] for _, some in edits if column in some]
        same = all(value is values[0] or _equal(value, values[0]) for value in values)
        if alone and same and len(values) == len(edits):
            sets[column] = clause_of(values[0], column)
        else:
            apart.append(column)
    if apart:
        desk = _Desk(table, apart)
        desk.fill(connection, edits)
        for column in apart:
            otherwise = sets.get(column, column)
            if any(_is_value(some, column) for _, some in edits):
                otherwise = desk.value_of(connection, column, otherwise)
            sets[column] = _by_row(column, edits, otherwise)
    return sets


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, ClauseElement):
        return isinstance(other, ClauseElement) and one.compare(other)
    return type(one) is type(other) and bool(one == other)


def _is_value(values: Mapping[Any, Any], column: Any) -> bool:
    return column in values and not isinstance(values[column], ClauseElement)


def _by_row(column: Any, edits: Edits, otherwise: Any) -> Any:
    """What a column is set to, where hooks have edited some rows to expressions: only a statement can hold these."""
    keys = list(column.table.primary_key.columns)
    expressions = [
        (and_(*(one == key for one, key in zip(keys, change.stored_key, strict=True))), values[column])
        for change, values in edits
        if isinstance(values.get(column), ClauseElement)
    ]
    return case(*expressions, else_=otherwise) if expressions else otherwise


class _Desk:
    """A temporary table that holds the edited values by key, so that one statement can write them all."""

    def __init__(self, table: Table, columns: Sequence[Any]) -> None:
        self.columns = columns
        self.keys = list(table.primary_key.columns)
        shape = ",".join(f"{column.name}:{column.type!r}" for column in (*self.keys, *columns))
        self.table = Table(
            f"hookline_edits_{crc32(f'{table.fullname}({shape})'.encode()):08x}",
            MetaData(),
            *(
                Column(f"k{n}", column.type, primary_key=True, autoincrement=False)
                for n, column in enumerate(self.keys)
            ),
            *(Column(f"e{n}", Integer) for n, _ in enumerate(columns)),
            *(Column(f"v{n}", column.type) for n, column in enumerate(columns)),
            prefixes=["TEMPORARY"],
        )

    def fill(self, connection: Connection, edits: Edits) -> None:
        """Put the values on it."""
        connection.execute(CreateTable(self.table, if_not_exists=True))
        connection.execute(delete(self.table))
        rows = []
        for change, values in edits:
            if any(_is_value(values, column) for column in self.columns):
                row: dict[str, Any] = {f"k{n}": key for n, key in enumerate(change.stored_key)}
                for n, column in enumerate(self.columns):
                    edited = _is_value(values, column)
                    row[f"e{n}"], row[f"v{n}"] = int(edited), values[column] if edited else None
                rows.append(row)
        if rows:
            connection.execute(insert(self.table), rows)

    def value_of(self, connection: Connection, column: Any, otherwise: Any) -> Any:
        """What a column is set to: the value on the desk, or what the statement says."""
        place = self.columns.index(column)
        # By name: in the SET of an ON CONFLICT there is nothing that SQLAlchemy would correlate a column to.
        name_of = connection.dialect.identifier_preparer.format_column
        at = [
            self.table.c[f"k{n}"] == literal_column(name_of(key, use_table=True), key.type)
            for n, key in enumerate(self.keys)
        ]
        edited = select(self.table.c[f"e{place}"]).where(*at).scalar_subquery()
        value = select(self.table.c[f"v{place}"]).where(*at).scalar_subquery()
        return case((edited == 1, value), else_=otherwise)
