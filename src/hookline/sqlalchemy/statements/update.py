"""UPDATE and DELETE with hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        self._changes: list[StatementChange] = []
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
        for parameters in self.parameters:
            self._changes.extend(self._read(connection, parameters))
        if len(self.parameters) > 1:
            self._check_apart()
        yield from self.write.before(self._changes)
        if isinstance(self.statement, Update) and self._assignments is not None:
            settled = self._to_settle(self._assignments)
            if self._changes and (self.write.edited or settled):
                self._edit(connection, self._assignments, settled)

    def _read(self, connection: Connection, parameters: Parameters) -> Iterator[StatementChange]:
        assignments = None
        if isinstance(self.statement, Update):
            assignments = self._assignments = Assignments(self.statement, self.table, parameters)
        reading = Reading(self.statement, self.mapper, self.table, self.write.concerns, assignments)
        layout, rows, write = reading.layout, reading.rows(connection, parameters), self.write
        event = "delete" if assignments is None else "update"
        values: Mapping[Any, Any] = EMPTY if assignments is None else assignments.values
        silent = [] if assignments is None else assignments.silent
        derived = all(column.computed is not None for column in silent)  # they change with others only
        kinds: dict[type, RowKind] = {}
        uniform = layout.kind(self.mapper.class_, values, list(reading.computed)) if layout.uniform else None
        for row in rows:
            kind = uniform
            if kind is None:
                model = layout.model_of(row)
                kind = kinds.get(model)
                if kind is None:
                    kind = kinds[model] = layout.kind(model, values, list(reading.computed))
            change = StatementChange(event, kind.facts, write, kind, row)
            if kind.only is not None:  # by far the most usual statement sets one column
                change.changed = kind.differs(row, kind.only)
            if silent:
                change.unsettled = frozenset(map(kind.facts.name_of, silent))
                if derived and not any(kind.differs(row, name) for name in kind.touched):
                    change.changed = False
            yield change

    def _check_apart(self) -> None:
        keys = [(change.facts.root, change.stored_key) for change in self._changes]
        if len(set(keys)) < len(keys):
            raise Unfollowable("several of its parameter sets concern the same row")

    def _to_settle(self, assignments: Assignments) -> list[Any]:
        """The columns that must be written as they were foreseen: asked again, they would become something else."""
        return [*assignments.called, *(c for c, value in assignments.expressions.items() if volatile(value))]

    def _edit(self, connection: Connection, assignments: Assignments, settled: list[Any]) -> None:
        edits = edits_of(self._changes, self.table, settled)
        assert isinstance(self.statement, Update)
        self.statement = edited(connection, self.statement, assignments.clauses, edits, self.table)
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
