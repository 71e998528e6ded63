"""INSERT .. SELECT with hooks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql import ClauseElement

from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.insert import Insertion, named
from hookline.sqlalchemy.statements.reading import take_write_lock
from hookline.sqlalchemy.statements.returning import Returned
from hookline.sqlalchemy.statements.rows import Values


class SelectInsertion(Insertion):
    """Rows that the database selects itself: they are read first, and compared with what was written.

    The statement goes as it is, unless hooks edit rows or Python computes defaults for them: then the rows
    that were read are sent.
    """

    def _rows(self, connection: Connection) -> Iterable[Values]:
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, self.table)
        statement: Any = self.statement
        columns = [self._column(name) for name in statement._select_names]
        result = connection.execute(statement.select, *self.parameters)
        return [dict(zip(columns, row, strict=True)) for row in result]

    def _put_back(self, connection: Connection) -> None:
        names = self.statement._select_names or []
        called = any(
            getattr(column.default, "is_callable", False) and column.key not in names for column in self.table.columns
        )
        if self.write.edited or (called and self._changes):
            changed: Any = self.statement._clone()
            changed.select = None
            changed._select_names = None
            changed._inline = False
            self.statement, self._as_it_is = changed, False
            super()._put_back(connection)
            return
        self._as_it_is = True
        self._named = [self._column(name) for name in names]
        columns = list(dict.fromkeys((*self._named, *self._unknown())))
        self._returned = Returned(self.statement, columns, connection, several=True, ordered=False)
        self.statement = self._returned.statement

    def after(self, result: Any) -> None:
        """It was sent: find each row that was foreseen among those that were written, and check the others again."""
        if not self._as_it_is:
            super().after(result)
            return
        assert self._returned is not None
        written: defaultdict[Hashable, list[Mapping[Any, Any]]] = defaultdict(list)
        for row in self._returned.rows(result):
            written[self._signature(row)].append(row)
        missed: list[StatementChange] = []
        for change in self._changes:
            columns = change.facts.columns
            foreseen = {columns[name]: value for name, value in change.known_new().items() if name in columns}
            same = written.get(self._signature(foreseen))
            if same:
                change.freeze(named(change.facts, same.pop(0)))
            else:
                missed.append(change)
        left = [row for rows in written.values() for row in rows]
        self.write.rows = [change for change in self.write.rows if change not in missed]
        for row in left:
            change = self._change(dict(row))
            change.freeze(named(change.facts, row))
            self.write.rows.append(change)
            self.write.check_again(change)
        self.write.written()

    def _signature(self, row: Mapping[Any, Any]) -> Hashable:
        return tuple(
            repr(row.get(column)) if not _hashable(row.get(column)) else row.get(column) for column in self._named
        )


def _hashable(value: Any) -> bool:
    return isinstance(value, Hashable) and not isinstance(value, ClauseElement)
