"""What the database tells about rows that it inserted, whether or not the statement asks for rows itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Insert
from sqlalchemy.engine.cursor import _NO_RESULT_METADATA

from hookline.sqlalchemy.statements.unfollowed import Unfollowable


class Returned:
    """Asks an INSERT for some columns of its rows, in the order in which they were given.

    Args:
        statement: The INSERT.
        columns: What is asked for.
        connection: Where it is sent.
        several: Whether it inserts several rows.
        ordered: Whether the order of the rows matters.

    Attributes:
        statement: The INSERT as it must be sent.
    """

    def __init__(
        self, statement: Any, columns: Sequence[Any], connection: Connection, *, several: bool, ordered: bool = True
    ) -> None:
        self._columns = list(columns)
        dialect = connection.dialect
        can = dialect.insert_executemany_returning if several else dialect.insert_returning
        if not can and (several or any(not column.primary_key for column in columns)):
            raise Unfollowable(f"{dialect.name} does not tell the keys of several rows that it inserts at once")
        self._orm = statement._propagate_attrs.get("compile_state_plugin") == "orm"
        self._apart = bool(statement._returning) or bool(statement._multi_values) or not ordered
        if self._apart:
            changed: Insert = statement._clone()
            changed._returning = (*statement._returning, *self._columns)
            if several and ordered and not statement._multi_values:
                changed._sort_by_parameter_order = True
            self._asked = bool(statement._returning)
            self.statement = changed
        else:
            self.statement = statement.return_defaults(*self._columns, sort_by_parameter_order=several)

    @property
    def extra(self) -> int:
        """How many columns are at the end of the rows that an ORM result will make of the statement's own."""
        return len(self._columns) if self._apart and self._asked and self._orm else 0

    def rows(self, result: Any) -> list[Mapping[Any, Any]]:
        """The columns of each row that was inserted; what the statement itself asked for is still in the result."""
        if self._apart:
            rows = result.all()
            own = len(self._columns)
            if self._asked and self._orm:
                result._rewind(rows)  # the ORM makes entities of them first
            elif self._asked:
                kept = [row[:-own] for row in rows]
                left = result._metadata._reduce(range(len(result._metadata.keys) - own))
                left._tuplefilter = left._translated_indexes = None  # the rows have no more than that
                result._metadata = left
                result._rewind(kept)
            else:
                result._metadata = _NO_RESULT_METADATA
            told: list[Mapping[Any, Any]] = [self._own(row) for row in rows]
        else:
            told = list(self._defaults(result))
        # What the driver counted is the last batch of the rows, if SQLAlchemy has sent them in batches.
        result.context._rowcount = len(told)
        return told

    def _own(self, row: Any) -> Mapping[Any, Any]:
        if not self._orm:
            return dict(zip(self._columns, row[-len(self._columns) :], strict=True))
        told = row._mapping  # the ORM has its own order of columns
        return {one: told[one if isinstance(one, Column) else one.name] for one in self._columns}

    def _defaults(self, result: Any) -> Iterator[Mapping[Any, Any]]:
        primary = list(result.context.compiled.statement.table.primary_key.columns)
        returned = result.returned_defaults_rows
        for number, key in enumerate(result.inserted_primary_key_rows):
            values = dict(zip(primary, key, strict=True))
            if returned is not None and returned[number] is not None:
                row = returned[number]._mapping
                values.update((column, row[column]) for column in self._columns if column in row)
            yield values


def without_last(result: Any, columns: int) -> Any:
    """A result without its last columns, which were asked for on behalf of hooks."""
    return result.columns(*range(len(result.keys()) - columns)) if columns else result
