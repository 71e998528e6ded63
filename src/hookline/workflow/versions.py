"""The definitions of one workflow in the database: each is kept for as long as objects may go by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hookline.errors import WorkflowStoreError
from hookline.workflow.definition import Definition

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hookline.core.transaction import Transaction
    from hookline.workflow.tables import Tables


class Versions:
    """What is kept of one workflow's definitions.

    A definition's number is made of what is in it: the same in all processes, and never of another one.

    Args:
        tables: The tables.
        name: The name of the workflow.
        code: The definition that code has; None if there is none.
        editable: Whether what the database has goes before it.
    """

    def __init__(self, tables: Tables, name: str, code: Definition | None, editable: bool) -> None:
        self._tables, self._name = tables, name
        self.code, self.editable = code, editable
        self.known: dict[int, Definition] = {}
        self._checked: WeakSet[Engine] = WeakSet()
        self._kept: WeakKeyDictionary[Engine, set[int]] = WeakKeyDictionary()
        if code is not None:
            self.known[code.version(name)] = code

    def current(self, connection: Connection, tx: Transaction | None = None) -> tuple[int, Definition]:
        """The definition with which objects begin now, and its number.

        Args:
            connection: Where.
            tx: The transaction in which objects begin with it, so that it has to be kept; None if somebody only asks.

        Raises:
            WorkflowStoreError: There is none, or the tables are missing; they are looked at once for each engine.
        """
        if connection.engine not in self._checked:
            self._tables.check(connection)
            self._checked.add(connection.engine)
        if self.editable:
            table = self._tables.definitions
            asked = sa.select(table.c.version).where(table.c.name == self._name, table.c.current)
            version = connection.scalar(asked)
            if version is not None:
                return version, self.get(connection, version)
        if self.code is None:
            raise WorkflowStoreError(
                f"The workflow {self._name!r} has no definition: code gives none, and the database has none yet. "
                f"Write workflow.publish(session, Definition(...)), or give Workflow(...) its transitions."
            )
        version = self.code.version(self._name)
        if tx is not None and version not in self._kept.get(connection.engine, ()):
            self._keep(connection, self.code, tx)
        return version, self.code

    def _keep(self, connection: Connection, definition: Definition, tx: Transaction) -> None:
        version = definition.version(self._name)
        table = self._tables.definitions
        wrote: set[int] = tx.data.setdefault(self, set())
        if connection.scalar(sa.select(table.c.version).where(table.c.version == version)) is None:
            self.write(connection, definition, by=None, current=self.editable)
            wrote.add(version)
        elif version not in wrote:  # it is committed: nobody need ask again
            self._kept.setdefault(connection.engine, set()).add(version)

    def write(self, connection: Connection, definition: Definition, *, by: str | None, current: bool) -> int:
        """Keep a definition, with who may approve what; nothing if it is kept already.

        Args:
            connection: Where.
            definition: The definition.
            by: Who writes it.
            current: Whether objects begin with it from now on.

        Returns:
            Its number.
        """
        version, tables = definition.version(self._name), self._tables
        table = tables.definitions
        row = {
            "version": version, "name": self._name, "definition": definition.json, "current": False, "by": by,
            "at": sa.func.current_timestamp(),
        }  # fmt: skip
        connection.execute(_insert(connection, table).values(row).on_conflict_do_nothing())
        approvers = [
            {"version": version, "rule": rule.number, "kind": kind, "who": who}
            for rule in definition.rules
            for kind, who in (rule.approval.criteria if not rule.approval.anybody else (("anybody", ""),))
        ]
        if approvers:
            connection.execute(_insert(connection, tables.approvers).on_conflict_do_nothing(), approvers)
        if current:
            moving = sa.update(table).where(table.c.name == self._name, table.c.current != (table.c.version == version))
            connection.execute(moving.values(current=table.c.version == version))
        self.known[version] = definition
        return version

    def get(self, connection: Connection, version: int) -> Definition:
        """The definition of a number.

        Raises:
            WorkflowStoreError: There is none.
        """
        found = self.known.get(version)
        if found is None:
            table = self._tables.definitions
            text = connection.scalar(sa.select(table.c.definition).where(table.c.version == version))
            if text is None:
                raise WorkflowStoreError(
                    f"Objects of the workflow {self._name!r} go by its definition {version}, which is not in "
                    f"{table.fullname} any more. Restore that row."
                )
            found = self.learn(version, text)
        return found

    def learn(self, version: int, text: str) -> Definition:
        """A definition that was read with something else."""
        found = self.known[version] = Definition.from_data(json.loads(text))
        return found

    def published(self, connection: Connection, *, locked: bool = False) -> Definition | None:
        """The definition that the database has as the current one; None if it has none.

        Args:
            connection: Where.
            locked: Whether to keep others from publishing until the end of the transaction.
        """
        table = self._tables.definitions
        if locked and connection.dialect.name == "sqlite":
            connection.execute(self._tables.lock)
        asked = sa.select(table.c.version).where(table.c.name == self._name, table.c.current)
        version = connection.scalar(asked.with_for_update() if locked else asked)
        return None if version is None else self.get(connection, version)


def _insert(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that can say what to do about a row that is there."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
