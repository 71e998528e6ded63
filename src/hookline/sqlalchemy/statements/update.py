"""UPDATE and DELETE with hooks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Delete, Table, Update
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import visitors

from hookline.core.run import Steps
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.edits import edited, edits_of
from hookline.sqlalchemy.statements.layout import EMPTY, RowKind
from hookline.sqlalchemy.statements.reading import Assignments, Reading
from hookline.sqlalchemy.statements.unfollowed import Unfollowable
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

Parameters = Mapping[str, Any]

_REPEATABLE: Final = frozenset(
    [
        *("abs", "ceil", "ceiling", "floor", "mod", "power", "round", "sign", "sqrt"),
        *(
            "char_length",
            "concat",
            "length",
            "lower",
            "ltrim",
            "replace",
            "rtrim",
            "substr",
            "substring",
            "trim",
            "upper",
        ),
        *("cast", "coalesce", "greatest", "least", "nullif"),
        *("avg", "count", "max", "min", "sum"),
    ]
)
"""Functions that give the same when asked again; what others give is written as it was foreseen."""


class Alteration:
    """An UPDATE or a DELETE of the rows of a class.

    Args:
        host: The session.
        door: For `Change.door`.
        statement: As it was given.
        parameters: As they were given: one set, or several.
        mapper: What it is about.
        table: The table that it writes.

    Attributes:
        write: Its changes.
        statement: As it is going to be sent.
        parameters: Likewise.
    """

    extra = 0

    def __init__(
        self, host: SessionHost, door: str, statement: Update | Delete, parameters: Sequence[Parameters],
        mapper: Mapper[Any], table: Table,
    ) -> None:  # fmt: skip
        self.write = StatementWrite(host, door)
        self.statement, self.parameters = statement, list(parameters)
        self.mapper, self.table = mapper, table
        self._assignments: Assignments | None = None

    def before(self, connection: Connection) -> Steps[None]:
        """Read the rows, run `before` and `check`, and put the edits into the statement.

        Raises:
            Unfollowable: What it does cannot be told exactly.
        """
        if self.statement._prefixes:
            raise Unfollowable("it has a prefix, which may change what it does")
        if isinstance(self.statement, Delete) and self.mapper.inherits is not None and (
            self.table is not self.mapper.base_mapper.local_table
        ):  # fmt: skip
            raise Unfollowable(f"it deletes one part of rows that {self.mapper.class_.__name__} has in several tables")
        if len(self.parameters) == 1:
            with closing(self._read(connection, self.parameters[0])) as chunks:
                yield from self.write.before_each(chunks)
        else:
            sets = [self._read(connection, parameters) for parameters in self.parameters]
            changes = list(chain.from_iterable(chain.from_iterable(sets)))
            self._check_apart(changes)
            yield from self.write.before(changes)
        if isinstance(self.statement, Update) and self._assignments is not None:
            self._edit(connection, self.statement, self._assignments)

    def _read(self, connection: Connection, parameters: Parameters) -> Generator[list[StatementChange], None, None]:
        assignments = None
        family = (one.class_ for one in self.mapper.self_and_descendants)
        whole = len(self.parameters) > 1 or self.write.keeps(family)
        if isinstance(self.statement, Update):
            assignments = self._assignments = Assignments(self.statement, self.table, parameters)
            whole = whole or bool(self._to_settle(assignments))
        reading = Reading(self.statement, self.mapper, self.table, self.write.concerns, assignments)
        changes_of = self._maker(reading, assignments)
        with closing(reading.chunks(self.write.host, connection, parameters, whole=whole)) as chunks:
            yield from map(changes_of, chunks)

    def _maker(
        self, reading: Reading, assignments: Assignments | None
    ) -> Callable[[Iterable[Sequence[Any]]], list[StatementChange]]:
        """What makes changes of rows that were read."""
        layout, write = reading.layout, self.write
        event = "delete" if assignments is None else "update"
        values: Mapping[Any, Any] = EMPTY if assignments is None else assignments.values
        silent = [] if assignments is None else assignments.silent
        derived = all(column.computed is not None for column in silent)  # they change with others only
        kinds: dict[type, RowKind] = {}
        uniform = layout.kind(self.mapper.class_, values, list(reading.computed)) if layout.uniform else None

        def changes_of(rows: Iterable[Sequence[Any]]) -> list[StatementChange]:
            changes: list[StatementChange] = []
            for row in rows:
                kind = uniform
                if kind is None:
                    model = layout.model_of(row)
                    kind = kinds.get(model)
                    if kind is None:
                        kind = kinds[model] = layout.kind(model, values, list(reading.computed))
                change = StatementChange(event, kind.facts, write, kind, row)
                if assignments is not None:
                    change.changed = kind.changes(row)
                    if silent:
                        change.unsettled = frozenset(map(kind.facts.name_of, silent))
                        change.changed = change.changed or not derived
                changes.append(change)
            return changes

        return changes_of

    def _check_apart(self, changes: Sequence[StatementChange]) -> None:
        keys = [(change.facts.root, change.stored_key) for change in changes]
        if len(set(keys)) < len(keys):
            raise Unfollowable("several of its parameter sets concern the same row")

    def _to_settle(self, assignments: Assignments) -> list[Any]:
        """The columns that must be written row by row as they were foreseen: asked again, they would change."""
        called = assignments.called if len(self.parameters) > 1 else []
        return [*called, *(c for c, value in assignments.expressions.items() if volatile(value))]

    def _edit(self, connection: Connection, statement: Update, assignments: Assignments) -> None:
        settled, write = self._to_settle(assignments), self.write
        if write.edited or assignments.called or (settled and write.told):
            edits = edits_of(write.told, self.table, settled)
            self.statement = edited(
                connection, statement, assignments.clauses, edits, self.table, alone=not write.let_go
            )
            self.parameters = [assignments.renamed(one) for one in self.parameters]

    def after(self, result: object) -> None:
        """It was sent."""
        del result  # everything was known before
        if self.write.kept:
            for change in self.write.rows:
                change.freeze()
            self.write.written()


def volatile(expression: Any) -> bool:
    """Whether an expression may give something else when it is asked again."""
    for element in visitors.iterate(expression):
        name = getattr(element, "name", "")
        if element.__visit_name__ in ("function", "sql_function", "now") and str(name).lower() not in _REPEATABLE:
            return True
        if element.__visit_name__ in ("textclause", "sequence"):
            return True
    return False
