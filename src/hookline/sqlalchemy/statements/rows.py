"""The rows that an INSERT is given, in whichever form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table, bindparam
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter

from hookline.sqlalchemy.statements.layout import column_of
from hookline.sqlalchemy.statements.locks import take_write_lock
from hookline.sqlalchemy.statements.unfollowed import Unfollowable

Values = dict[Any, Any]
"""What goes into one row, by column."""


def given_rows(statement: Insert, table: Table, parameters: Sequence[Mapping[str, Any]]) -> Iterator[Values]:
    """What goes into each row: by ``values()`` with one row or several, by parameters, or by both.

    Raises:
        Unfollowable: It names something that is not a column.
    """
    if statement._multi_values:
        for several in statement._multi_values:
            for given in several:
                pairs = given.items() if isinstance(given, Mapping) else zip(table.columns, given, strict=False)
                yield {named_column(table, key): plain(value) for key, value in pairs}
        return
    common = {named_column(table, key): value for key, value in (statement._values or {}).items()}
    for one in parameters:
        values = {column: _given(value, one) for column, value in common.items()}
        for key, value in one.items():
            column = table.c.get(key)
            if column is not None:
                values[column] = value
        yield values


def selected_rows(connection: Connection, statement: Any, table: Table, parameters: Sequence[Any]) -> list[Values]:
    """What an INSERT .. SELECT selects, read with the others kept from writing the table.

    Raises:
        Unfollowable: It names something that is not a column.
    """
    take_write_lock(connection, table)
    columns = [named_column(table, name) for name in statement._select_names or ()]
    return [dict(zip(columns, row, strict=True)) for row in connection.execute(statement.select, *parameters)]


def without_select(statement: Any) -> Any:
    """An INSERT .. SELECT that is going to be given the rows themselves."""
    changed = statement._clone()
    changed.select = changed._select_names = None
    changed._inline = False
    return changed


def named_column(table: Table, key: Any) -> Any:
    """The column that a statement names.

    Raises:
        Unfollowable: There is none.
    """
    column = column_of(table, key)
    if column is None:
        raise Unfollowable(f"it sets {key!s}, which is not a column of {table.name}")
    return column


def _given(value: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, BindParameter) and value.key in parameters:
        return parameters[value.key]
    return plain(value)


def clause_of(value: Any, column: Any) -> Any:
    """A value as SQL has it: an expression as it is, anything else as a parameter of the column's type."""
    return value if isinstance(value, ClauseElement) else bindparam(None, value, type_=column.type, unique=True)


def plain(value: Any) -> Any:
    """A value that Python knows, out of the parameter that SQLAlchemy has made of it."""
    return value.effective_value if isinstance(value, BindParameter) else value
