"""INSERT .. SELECT with hooks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql import ClauseElement

from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.insert import Insertion, named
from hookline.sqlalchemy.statements.returning import Returned
from hookline.sqlalchemy.statements.rows import Values, named_column, selected_rows, without_select


class SelectInsertion(Insertion):
    """Rows that the database selects itself: they are read first, and compared with what was written.

    The statement goes as it is, unless hooks edit rows or Python computes defaults for them: then the rows
    that were read are sent.
    """

    def _rows(self, connection: Connection) -> Iterable[Values]:
        return selected_rows(connection, self.statement, self.table, self.parameters)

    def _put_back(self, connection: Connection) -> None:
        names = self.statement._select_names or []
        called = any(
            getattr(column.default, "is_callable", False) and column.key not in names for column in self.table.columns
        )
        if self.write.edited or (called and self._changes):
            self.statement, self._as_it_is = without_select(self.statement), False
            super()._put_back(connection)
            return
        self._as_it_is = True
        self._named = [named_column(self.table, name) for name in names]
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
