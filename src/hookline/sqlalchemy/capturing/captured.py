"""One captured change of one row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Table

Operation = Literal["insert", "update", "delete"]


@dataclass(frozen=True)
class Captured:
    """What a trigger took down of one row.

    Attributes:
        id: Which entry of the log it comes from, numbered in order. A statement makes one entry on PostgreSQL, several
            if it is very large; on SQLite each row makes one.
        transaction: The transaction that wrote it, where the database names them; None on SQLite.
        table: The table.
        operation: ``insert``, ``update`` or ``delete``.
        old: The row before, by column key, as Python values; None of an insert.
        new: The row afterwards; None of a delete.
        at: When, by the database's clock, in UTC.
        images: The table of the log that it comes from.
    """

    id: int
    transaction: str | None
    table: Table
    operation: Operation
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    at: dt.datetime
    images: str = field(repr=False)

    @property
    def key(self) -> tuple[Any, ...]:
        """The primary key of the row: of an update, the one that it had before.

        Of a table without a primary key, all values.
        """
        row = self.old if self.old is not None else self.new
        assert row is not None
        columns = tuple(self.table.primary_key.columns) or tuple(self.table.columns)
        return tuple(row.get(column.key) for column in columns)
