"""Statements on a secondary table: links set and unset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Delete, Insert, Update, select, type_coerce
from sqlalchemy.sql import ClauseElement

from hookline.core.link import LinkChange
from hookline.core.run import Steps
from hookline.sqlalchemy.statements.locks import locking, take_write_lock
from hookline.sqlalchemy.statements.reading import Assignments, embedded_binds
from hookline.sqlalchemy.statements.rows import given_rows, selected_rows
from hookline.sqlalchemy.statements.unfollowed import Unfollowable
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.subject import Subject

Parameters = Mapping[str, Any]
Row = Mapping[Any, Any]


class Pairs:
    """An INSERT, UPDATE or DELETE on the secondary table of relations.

    Args:
        host: The session.
        door: For `Change.door`.
        statement: As it was given.
        parameters: As they were given.
        subject: The table.
    """

    extra = 0

    def __init__(
        self, host: SessionHost, door: str, statement: Insert | Update | Delete, parameters: Sequence[Parameters],
        subject: Subject,
    ) -> None:  # fmt: skip
        self.write = StatementWrite(host, door)
        self.statement, self.parameters = statement, list(parameters)
        self._subject = subject

    def before(self, connection: Connection) -> Steps[None]:
        """Find out which links it sets and unsets, and run `before` and `check` on them."""
        statement = self.statement
        if statement._prefixes or getattr(statement, "_post_values_clause", None) is not None:
            raise Unfollowable("it has a clause that may change what it does to links")
        links: list[LinkChange] = []
        if isinstance(statement, Insert):
            if statement.select is not None:
                rows: Iterable[Row] = selected_rows(connection, statement, self._subject.table, self.parameters)
            else:
                given = given_rows(statement, self._subject.table, self.parameters)
                rows = [self._computed(connection, row) for row in given]
            links.extend(self._links("link", rows))
        else:
            for parameters in self.parameters:
                old, new = self._read(connection, statement, parameters)
                links.extend(self._links("unlink", old))
                links.extend(self._links("link", new))
        yield from self.write.before([], _net(links))

    def _computed(self, connection: Connection, row: Row) -> Row:
        """A row with the keys that the database computes, asked for before."""
        expressions: dict[Any, Any] = {c: value for c, value in row.items() if isinstance(value, ClauseElement)}
        if not expressions:
            return row
        if any(bind.required for value in expressions.values() for bind in embedded_binds(select(value))):
            raise Unfollowable("it computes keys from its parameters")
        query = select(*(type_coerce(value, column.type) for column, value in expressions.items()))
        return {**row, **dict(zip(expressions, connection.execute(query).one(), strict=True))}

    def _read(
        self, connection: Connection, statement: Update | Delete, parameters: Parameters
    ) -> tuple[list[Row], list[Row]]:
        table = self._subject.table
        take_write_lock(connection, table)
        assignments = Assignments(statement, table, parameters) if isinstance(statement, Update) else None
        computed = assignments.expressions if assignments is not None else {}
        columns = list(table.columns)
        query: Any = select(*columns, *(type_coerce(value, c.type) for c, value in computed.items()))
        query._where_criteria = statement._where_criteria
        query = locking(query.select_from(table), connection, table)
        names = {bind.key for bind in embedded_binds(statement)}
        result = connection.execute(query, {key: value for key, value in parameters.items() if key in names}).all()
        old: list[Row] = [dict(zip(columns, row[: len(columns)], strict=True)) for row in result]
        if assignments is None:
            return old, []
        new: list[Row] = [
            {**was, **assignments.values, **dict(zip(computed, row[len(columns) :], strict=True))}
            for was, row in zip(old, result, strict=True)
        ]
        return old, new

    def _links(self, event: str, rows: Iterable[Row]) -> Iterable[LinkChange]:
        for row in rows:
            for relation in self._subject.relations:
                near, far = ([row.get(column) for column in columns] for columns in relation.secondary)
                if None not in near and None not in far:
                    yield self.write.found.of_pair(event, relation, tuple(near), tuple(far), door=self.write.door)

    def after(self, result: object) -> None:
        """It was sent."""
        del result  # everything was known before
        self.write.written()


def _net(links: list[LinkChange]) -> list[LinkChange]:
    """Without the links that are unset and set again by one statement."""
    unset = {link.identity for link in links if link.event == "unlink"}
    set_ = {link.identity for link in links if link.event == "link"}
    both = unset & set_
    return [link for link in links if link.identity not in both]
