"""The tables of workflows: definitions, who may approve, and the ways of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    false,
    inspect,
    text,
)
from sqlalchemy.schema import SchemaItem

from hookline.errors import WorkflowStoreError
from hookline.workflow.entries import PENDING

DEFINITIONS: Final = "hookline_workflow"
APPROVERS: Final = "hookline_workflow_approver"

_SHARED: Final = (DEFINITIONS, APPROVERS)

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


class Tables:
    """Two tables that all workflows of a database share, and one for the objects of this one.

    Attributes:
        definitions: What was ever in force, by number, and which of them is.
        approvers: Of each approval of a definition, who may give it.
        steps: The ways of the objects.
        key: Its columns that hold an object's key.
        lock: A statement that writes nothing, and makes its transaction SQLite's writer.
    """

    def __init__(self, metadata: MetaData, model_table: Table, key: Sequence[Column[Any]], field: str) -> None:
        self.metadata, self.schema = metadata, model_table.schema
        self.definitions = self._declared(
            DEFINITIONS,
            lambda: (
                Column("version", BigInteger, primary_key=True, autoincrement=False),
                Column("name", String(255), nullable=False, index=True),
                Column("definition", Text, nullable=False),
                Column("current", Boolean, nullable=False),
                Column("by", String(255)),
                Column("at", DateTime(timezone=True), nullable=False),
            ),
        )
        self.approvers = self._declared(
            APPROVERS,
            lambda: (
                Column("kind", String(20), primary_key=True),
                Column("who", String(255), primary_key=True),
                Column("version", BigInteger, primary_key=True, autoincrement=False),
                Column("rule", Integer, primary_key=True, autoincrement=False),
            ),
        )
        name = f"hookline_step_{model_table.name}_{field}"
        names = [f"object_{column.key}" for column in key]
        self.steps = self._declared(name, lambda: _steps(name, names, key))
        self.key = [self.steps.c[column] for column in names]
        self.lock = delete(self.steps).where(false())

    def _declared(self, name: str, parts: Callable[[], Iterable[SchemaItem]]) -> Table:
        """A table of this name; the one that is declared already, if there is one."""
        known = self.metadata.tables.get(name if self.schema is None else f"{self.schema}.{name}")
        if known is not None:
            return known
        return Table(name, self.metadata, *parts(), schema=self.schema, sqlite_autoincrement=name not in _SHARED)

    def row_of(self, key: Sequence[Any]) -> dict[str, Any]:
        """An object's key, as the values of a row of its steps."""
        return {column.name: value for column, value in zip(self.key, key, strict=True)}

    @property
    def all(self) -> list[Table]:
        """All three."""
        return [self.definitions, self.approvers, self.steps]

    def check(self, connection: Connection) -> None:
        """Compare the database with the declaration.

        Raises:
            WorkflowStoreError: A table or a column is missing.
        """
        there = inspect(connection)
        for table in self.all:
            if not there.has_table(table.name, schema=table.schema):
                raise missing(f"the table {table.fullname}")
            known = {column["name"] for column in there.get_columns(table.name, schema=table.schema)}
            lacking = [f"the column {table.fullname}.{c.name}" for c in table.columns if c.name not in known]
            if lacking:
                raise missing(" and ".join(lacking))


def missing(what: str) -> WorkflowStoreError:
    """The error about tables that are not there."""
    return WorkflowStoreError(
        f"There is a workflow, but {what} is missing. Its tables are in the metadata of its model: "
        f"Base.metadata.create_all(engine), workflow.create_tables(engine), or a migration makes them."
    )


def _steps(name: str, names: Sequence[str], key: Sequence[Column[Any]]) -> Iterable[SchemaItem]:
    pending = text(f"status = '{PENDING}'")
    return (
        Column("id", _NUMBER, primary_key=True),
        *(Column(own, column.type, nullable=False) for own, column in zip(names, key, strict=True)),
        Column("version", BigInteger, nullable=False),
        Column("rule", Integer),
        Column("source", String(255), nullable=False),
        Column("destination", String(255), nullable=False),
        Column("position", Integer, nullable=False),
        Column("iteration", Integer, nullable=False),
        Column("status", String(10), nullable=False),
        Column("completes", Boolean, nullable=False),
        Column("by", String(255)),
        Column("at", DateTime(timezone=True)),
        ForeignKeyConstraint(names, list(key), ondelete="CASCADE", onupdate="CASCADE"),
        # An object waits for each of its next states once: the last defence against beginning twice.
        Index(f"{name}_waits", *names, "destination", unique=True, postgresql_where=pending, sqlite_where=pending),
        Index(f"{name}_asked", "version", "rule", *names, postgresql_where=pending, sqlite_where=pending),
        Index(f"{name}_of", *names, "id"),
    )
