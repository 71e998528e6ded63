"""INSERT .. ON CONFLICT with hooks: each row is inserted, or updates one that is there, or does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Integer, and_, literal_column, or_, select, true, type_coerce, values

from hookline.core.run import Steps
from hookline.errors import PhaseError
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.conflict import Conflict, incoming, key_values, repeated
from hookline.sqlalchemy.statements.edits import edited_sets, edits_of
from hookline.sqlalchemy.statements.insert import Insertion, named
from hookline.sqlalchemy.statements.layout import Layout, RowKind
from hookline.sqlalchemy.statements.locks import locking, take_write_lock
from hookline.sqlalchemy.statements.returning import Returned
from hookline.sqlalchemy.statements.rows import Values, selected_rows, without_select
from hookline.sqlalchemy.statements.unfollowed import Unfollowable
from hookline.sqlalchemy.statements.update import volatile

_CHUNK = 200
"""Incoming rows per query: below every database's limit of parameters."""


class Upsertion(Insertion):
    """An INSERT with ON CONFLICT; constructed as an `Alteration` is.

    The rows that are there are read and locked first. What really happened to each row is asked of the database, where
    it tells: on PostgreSQL another session may have inserted a row in between.
    """

    def before(self, connection: Connection) -> Steps[None]:
        """Find out what will happen to each row, run `before` and `check`, and put edits into the statement."""
        if self.statement._prefixes:
            raise Unfollowable("it has a prefix, which may change what it does")
        take_write_lock(connection, self.table)
        self._conflict = Conflict(self.statement, self.table)
        self._changes = [self._change(values) for values in self._rows(connection)]
        rows = [self._columns_of(change) for change in self._changes]
        again = repeated(self._conflict.keys, rows)
        if again and self._conflict.sets is not None:
            raise Unfollowable("several of its rows have the same key")
        found = self._existing(connection, rows)
        told: list[StatementChange] = []
        for number, change in enumerate(self._changes):
            if number in found:
                update = found[number]
                if update is not None:
                    told.append(update)
            elif number not in again:
                told.append(change)
        self._updates = [change for change in told if change.event == "update"]
        yield from self.write.before(told)
        self._edit(connection)
        self._put_back(connection)

    def _rows(self, connection: Connection) -> Iterable[Values]:
        if self.statement.select is None:
            return super()._rows(connection)
        rows = selected_rows(connection, self.statement, self.table, self.parameters)
        self.statement = without_select(self.statement)
        return rows

    def _existing(self, connection: Connection, rows: Sequence[Values]) -> dict[int, StatementChange | None]:
        """What happens to the rows that are there, by the number of the row that meets them; None for nothing."""
        conflict = self._conflict
        sets = conflict.sets or {}
        layout = Layout(self.mapper, self.write.concerns, sets)
        if layout.joined:
            raise Unfollowable(f"{self.mapper.class_.__name__} has its rows in several tables")
        kinds: dict[type, RowKind] = {}
        found: dict[int, StatementChange | None] = {}
        meeting = [n for n, row in enumerate(rows) if any(key_values(key, row) for key in conflict.keys)]
        for start in range(0, len(meeting), _CHUNK):
            numbers = meeting[start : start + _CHUNK]
            for number, takes_part, row in self._meet(connection, layout, sets, [(n, rows[n]) for n in numbers]):
                if conflict.sets is None or not takes_part:
                    found.setdefault(number, None)
                    continue
                if found.get(number) is not None:
                    raise Unfollowable("one of its rows meets several that are there")
                model = layout.model_of(row)
                if model not in kinds:
                    kinds[model] = layout.kind(model, {}, list(sets))
                found[number] = StatementChange("update", kinds[model].facts, self.write, kinds[model], row)
        return found

    def _meet(
        self, connection: Connection, layout: Layout, sets: Mapping[Any, Any], rows: Sequence[tuple[int, Values]]
    ) -> Iterable[tuple[int, bool, Sequence[Any]]]:
        conflict = self._conflict
        columns = [column for column in self.table.columns if any(column in row for _, row in rows)]
        shape = [Column("hookline_row", Integer), *(Column(column.key, column.type) for column in columns)]
        data = [(number, *(row.get(column) for column in columns)) for number, row in rows]
        new = values(*shape, name="hookline_incoming").data(data).cte("hookline_incoming")
        meets = or_(
            *(and_(*(column == new.c[column.key] for column in key)) for key in conflict.keys if _has(columns, key))
        )
        if conflict.where is not None:
            meets = and_(meets, conflict.where)
        only = true() if conflict.only is None else incoming(conflict.only, new)
        computed = [type_coerce(incoming(value, new), column.type) for column, value in sets.items()]
        query = select(*layout.columns, *computed, only, new.c.hookline_row).select_from(self.table.join(new, meets))
        for row in connection.execute(locking(query, connection, self.table)):
            yield row[-1], bool(row[-2]), row[:-2]

    # -- sending it

    def _edit(self, connection: Connection) -> None:
        """Put the edits of rows that are updated into what they are set to."""
        sets = self._conflict.sets
        if sets is None or not self._updates:
            return
        settled = [column for column, value in sets.items() if volatile(value)]
        edits = edits_of(self._updates, self.table, settled)
        if any(some for _, some in edits):
            changed = edited_sets(connection, sets, edits, self.table, alone=len(edits) == len(self._changes))
            self.statement = self._conflict.with_sets(self.statement, changed)

    def _put_back(self, connection: Connection) -> None:
        super()._put_back(connection)
        if self._returned is not None:  # it asks for keys in the order of rows, and rows that do nothing have none
            self.statement = self._unasked
            self._returned = None
        if self.write.kept:
            self._olds = self._old_values(connection)
            columns = [*self.table.columns, *self._olds.values()]
            self._returned = Returned(self.statement, columns, connection, several=True, ordered=False)
            self.statement = self._returned.statement

    def _old_values(self, connection: Connection) -> dict[Any, Any]:
        """What tells an insert from an update, where the database knows: the row before, or whether there was one."""
        if connection.dialect.name != "postgresql":
            return {}  # on SQLite nobody else writes meanwhile
        if (connection.dialect.server_version_info or (0,)) < (18,):
            return {None: literal_column("(xmax <> 0)").label("hookline_updated")}
        quote = connection.dialect.identifier_preparer.quote
        return {
            column: literal_column(f"old.{quote(column.name)}", type_=column.type).label(f"hookline_old_{number}")
            for number, column in enumerate(self.table.columns)
        }

    # -- afterwards

    def after(self, result: Any) -> None:
        """It was sent: hold what the database says happened against what was foreseen."""
        if self._returned is None:
            return
        key = self._conflict.keys[0]
        told = {tuple(row[column] for column in key): row for row in self._returned.rows(result)}
        rows: list[StatementChange] = []
        for change in self.write.rows:
            row = self._told(change, key, told)
            if row is None:
                raise self._lost(change)
            foreseen = change.event == "update"
            happened = self._was_update(row, foreseen=foreseen)
            if happened and not foreseen:
                rows.append(self._after_all(change, row))
            elif foreseen and not happened:
                raise self._lost(change)
            else:
                change.freeze(named(change.facts, row))
                rows.append(change)
        self.write.rows = rows
        self.write.written()

    def _was_update(self, row: Mapping[Any, Any], *, foreseen: bool) -> bool:
        if not self._olds:
            return foreseen
        if None in self._olds:
            return bool(row[self._olds[None]])
        return any(row[self._olds[column]] is not None for column in self.table.primary_key.columns)

    def _after_all(self, change: StatementChange, row: Mapping[Any, Any]) -> StatementChange:
        """The update that happened where an insert was foreseen: another session has inserted the row meanwhile."""
        if None in self._olds or self.write.plan.for_row("before", "insert", change.model):
            raise self._lost(change)
        old = {column: row[mark] for column, mark in self._olds.items()}
        update = StatementChange.known(
            "update", change.facts, self.write, named(change.facts, old), named(change.facts, row)
        )
        update.caused_by((change.cause, change.parent))
        update.freeze()
        self.write.check_again(update)
        return update

    def _told(
        self, change: StatementChange, key: Sequence[Any], told: Mapping[Any, Mapping[Any, Any]]
    ) -> Mapping[Any, Any] | None:
        facts: Facts = change.facts
        row = change.known_new()
        at = tuple(row.get(facts.name_of(column)) for column in key)
        if at in told:
            return told[at]
        given = [(facts.columns[n], v) for n, v in row.items() if n not in change.unsettled and n in facts.columns]
        alike = (one for one in told.values() if all(one.get(column) == value for column, value in given))
        return next(alike, None)  # its key was generated

    def _lost(self, change: StatementChange) -> PhaseError:
        return PhaseError(
            f"{change!r} was foreseen, but another session wrote a row with the same key in between, so that hooks "
            f"were told of something else than what happened. Roll back and try again."
        )


def _has(columns: Sequence[Any], key: Sequence[Any]) -> bool:
    return all(column in columns for column in key)
