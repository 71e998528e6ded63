"""The tables that registrations are kept in."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    false,
    inspect,
    select,
)

from hookline.errors import RegistrationStoreError

VERSION: Final = 1
"""Grows when programs that know these tables would misread new ones."""


class Tables:
    """Three tables: the registrations, their history, and the generation, which is one row.

    Args:
        metadata: Where they are declared.
        name: The name of the first, and the beginning of the other two.
        schema: The schema; None for the current one.
    """

    def __init__(self, metadata: MetaData, name: str, schema: str | None) -> None:
        self.metadata = metadata
        self.registration = Table(
            name,
            metadata,
            Column("id", Integer, primary_key=True),
            Column("callback", String(255), nullable=False),
            Column("phase", String(30), nullable=False),
            Column("event", String(30), nullable=False),
            Column("target", Text, nullable=False),
            Column("key", Text),
            Column("condition", Text),
            Column("enabled", Boolean, nullable=False),
            Column("position", Integer, nullable=False),
            Column("category", String(255)),
            Column("created_by", String(255)),
            Column("created_at", DateTime(timezone=True), nullable=False),
            Column("changed_by", String(255)),
            Column("changed_at", DateTime(timezone=True)),
            Index(f"{name}_by_key", "key"),
            schema=schema,
            sqlite_autoincrement=True,
        )
        self.history = Table(
            f"{name}_history",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("registration", Integer, nullable=False),
            Column("action", String(30), nullable=False),
            Column("by", String(255)),
            Column("at", DateTime(timezone=True), nullable=False),
            Column("why", Text),
            Column("state", Text, nullable=False),
            Column("generation", Integer, nullable=False),
            Column("stamp", String(32), nullable=False),
            Index(f"{name}_history_by_generation", "generation"),
            Index(f"{name}_history_by_registration", "registration"),
            schema=schema,
            sqlite_autoincrement=True,
        )
        self.generation = Table(
            f"{name}_generation",
            metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("number", Integer, nullable=False),
            Column("stamp", String(32), nullable=False),
            Column("version", Integer, nullable=False),
            schema=schema,
        )

        generation = self.generation
        # Made once: SQLAlchemy finds what it has compiled by the statement itself, and every transaction sends these.
        self.lock = delete(generation).where(false())
        self.now = select(generation.c.number, generation.c.stamp, generation.c.version)

    @property
    def all(self) -> tuple[Table, Table, Table]:
        """All three."""
        return self.registration, self.history, self.generation

    def check(self, connection: Connection) -> None:
        """Compare the database with the declaration.

        Raises:
            RegistrationStoreError: A table or a column is missing.
        """
        inspector = inspect(connection)
        for table in self.all:
            if not inspector.has_table(table.name, schema=table.schema):
                raise missing(table)
            there = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
            lacking = [column.name for column in table.columns if column.name not in there]
            if lacking:
                raise RegistrationStoreError(
                    f"The table {table.fullname} is outdated: it has no {' and no '.join(lacking)}. "
                    f"Migrate it: registrations.metadata declares how it should be."
                )


def missing(table: Table) -> RegistrationStoreError:
    """The error about a table that is not there."""
    return RegistrationStoreError(
        f"There is no table {table.fullname} in the database that is written to. Make it with "
        f"registrations.create_tables(), or put registrations.metadata into your migrations. The tables of "
        f"registrations are in the database of the data that they are about."
    )
