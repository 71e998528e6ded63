"""INSERT with hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ClauseElement
from sqlalchemy.util import immutabledict

from hookline.core.run import Steps
from hookline.errors import PhaseError
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.incoming import Incoming, model_of
from hookline.sqlalchemy.statements.returning import Returned
from hookline.sqlalchemy.statements.rows import Values, clause_of, given_rows
from hookline.sqlalchemy.statements.unfollowed import Unfollowable
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

Parameters = Mapping[str, Any]


class Insertion:
    """An INSERT of rows of a class; constructed as an `Alteration` is."""

    def __init__(
        self, host: SessionHost, door: str, statement: Insert, parameters: Sequence[Parameters],
        mapper: Mapper[Any], table: Table,
    ) -> None:  # fmt: skip
        self.write = StatementWrite(host, door)
        self.statement, self.parameters = statement, list(parameters)
        self.mapper, self.table = mapper, table
        self._incoming = Incoming()
        self._changes: list[StatementChange] = []
        self._returned: Returned | None = None

    def before(self, connection: Connection) -> Steps[None]:
        """Find out the rows, run `before` and `check`, and put the rows as they are now into the statement.

        Raises:
            Unfollowable: What it does cannot be told exactly.
        """
        if self.statement._prefixes:
            raise Unfollowable("it has a prefix, which may change what it does")
        rows = list(self._rows(connection))
        self._changes = [self._change(values) for values in rows]
        yield from self.write.before(self._changes)
        self._put_back(connection)

    @property
    def extra(self) -> int:
        """How many columns at the end of the ORM's result were asked for on behalf of hooks."""
        return self._returned.extra if self._returned is not None else 0

    # -- the rows

    def _rows(self, connection: Connection) -> Iterable[Values]:
        del connection  # only what is selected has to be read
        return given_rows(self.statement, self.table, self.parameters)

    def _change(self, values: Values) -> StatementChange:
        facts = self.write.concerns.schema.facts(model_of(self.mapper, values))
        if len(facts.mapper.tables) > 1:
            raise Unfollowable(
                f"it writes one part of rows that {facts.model.__name__} has in several tables; "
                f"session.execute(insert({facts.model.__name__}), [...]) writes all of them"
            )
        names = {column: name for name, column in facts.columns.items()}
        row = {names[column]: value for column, value in values.items() if column in names}
        return self._incoming.change(self.write, facts, row)

    # -- sending it

    def _put_back(self, connection: Connection) -> None:
        rows = [self._columns_of(change) for change in self._changes]
        expressions = {column for row in rows for column, value in row.items() if isinstance(value, ClauseElement)}
        statement: Any = self.statement._clone()
        statement._multi_values, statement._values = (), None
        constant = {c for c in expressions if all(row.get(c) is rows[0].get(c) for row in rows)}
        if expressions - constant:
            statement._multi_values = (
                [{c: clause_of(value, c) for c, value in row.items()} for row in self._alike(rows)],
            )
            self.parameters = [{}]
        else:
            if constant:
                statement._values = immutabledict({column: rows[0][column] for column in constant})
            plain = [{c: value for c, value in row.items() if c not in constant} for row in rows]
            self.parameters = [{c.key: value for c, value in row.items()} for row in self._alike(plain)]
        self.statement = statement
        self._unasked = statement
        unknown = self._unknown()
        if unknown and self.write.kept:
            self._returned = Returned(self.statement, unknown, connection, several=len(rows) > 1)
            self.statement = self._returned.statement

    def _columns_of(self, change: StatementChange) -> Values:
        row, columns = change.known_new(), change.facts.columns
        return {columns[name]: value for name, value in row.items() if name in columns and name not in change.left_out}

    def _alike(self, rows: list[Values]) -> list[Values]:
        """The rows with the same columns each: one statement has one list of columns."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        if all(len(row) == len(columns) for row in rows):
            return rows
        for column in columns:
            if (column.server_default is not None or column.default is not None or column.primary_key) and any(
                column not in row for row in rows
            ):
                raise PhaseError(
                    f"Hooks have set {column} in some rows of one INSERT, and left it to its default in others. "
                    f"Set it in all of them."
                )
        return [{column: row.get(column) for column in columns} for row in rows]

    def _unknown(self) -> list[Any]:
        """The columns that only the database knows the values of, in some row."""
        names = {(change.facts, name) for change in self._changes for name in change.unsettled}
        return list(dict.fromkeys(facts.columns[name] for facts, name in sorted(names, key=lambda one: one[1])))

    def after(self, result: Any) -> None:
        """It was sent: learn the keys, and what the database filled in."""
        told: Sequence[Mapping[Any, Any]] = self._returned.rows(result) if self._returned is not None else ()
        if told and len(told) != len(self._changes):
            raise PhaseError(f"{len(self._changes)} rows were sent, and the database returned {len(told)}.")
        for number, change in enumerate(self._changes):
            change.freeze(named(change.facts, told[number]) if told else None)
        self.write.written()


def named(facts: Facts, values: Mapping[Any, Any]) -> dict[str, Any]:
    """Values by name, out of values by column."""
    return {name: values[column] for name, column in facts.columns.items() if column in values}
