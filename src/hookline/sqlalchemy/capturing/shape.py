"""What is captured of one table, and where it is kept."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from sqlalchemy import ARRAY, Column, Table
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeDecorator, TypeEngine

from hookline.sqlalchemy.capturing.naming import digest, fitting
from hookline.sqlalchemy.capturing.sql import DIALECTS


class Shape:
    """One captured table.

    Attributes:
        kind: The kind of database.
        table: The table.
        log: The name of the log.
        schema: Where the log is; None for where names without a schema go.
        columns: The captured columns: those that the model knows.
        label: The table's name in the log.
    """

    def __init__(self, kind: str, table: Table, log: str, schema: str | None) -> None:
        self.kind, self.table, self.log, self.schema = kind, table, log, schema
        self.columns: tuple[Column[Any], ...] = tuple(table.columns)
        self.label: str = table.fullname

    @cached_property
    def images(self) -> str:
        """The table that keeps old and new rows.

        Its name is another one when the columns are others: so an upgrade keeps what is waiting as it is.
        """
        columns = "\n".join(f"{column.name} {self._type_of(column)}" for column in self.columns)
        return f"{fitting(f'{self.log}_{self.label}', room=9)}_{digest(columns)}"

    def is_of_images(self, name: str) -> bool:
        """Whether a table keeps old and new rows of this one, as it is or was."""
        start = self.images[: -len(digest(""))]
        return name.startswith(start) and re.fullmatch("[0-9a-f]{8}", name[len(start) :]) is not None

    def trigger(self, event: str) -> str:
        """The name of a trigger, and of its function where it has one."""
        return fitting(f"{self.log}_{event}_{self.label}")

    def old(self, column: Column[Any]) -> str:
        """The column of the images that keeps old values."""
        return fitting(f"old_{column.name}")

    def new(self, column: Column[Any]) -> str:
        """The column of the images that keeps new values."""
        return fitting(f"new_{column.name}")

    def is_array(self, column: Column[Any]) -> bool:
        """Whether the values of a column are arrays: arrays of those would have to be of one length."""
        return isinstance(_innermost(column.type), ARRAY)

    def expression(self, column: Column[Any]) -> str | None:
        """What a generated column is, if it is not stored: transition tables do not have it."""
        computed = column.computed
        if computed is None or computed.persisted:
            return None
        dialect = DIALECTS[self.kind]
        compiler = dialect.statement_compiler(dialect, None)
        expression = compiler.process(computed.sqltext, include_table=False, literal_binds=True)
        return f"CAST(({expression}) AS {column.type.compile(dialect)})"

    def _type_of(self, column: Column[Any]) -> str:
        if self.kind == "sqlite":
            return ""  # its values have types, not its columns
        try:
            return str(column.type.compile(DIALECTS[self.kind]))
        except CompileError:  # a type that only the database knows
            return type(column.type).__name__


def _innermost(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind
