"""The entries of a log: what was done to which table, and where its old and new rows are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    MetaData,
    Select,
    String,
    Table,
    and_,
    cast,
    column,
    delete,
    func,
    inspect,
    literal,
    literal_column,
    null,
    select,
    text,
)
from sqlalchemy import table as sa_table
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import DropTable
from sqlalchemy.types import UserDefinedType

from hookline.errors import CaptureError
from hookline.sqlalchemy.capturing import sqlite
from hookline.sqlalchemy.capturing.sql import for_text

_CHUNK: Final = 1000
"""Entries in a statement."""

_BEGUN: Final = "_hookline_captures"
"""Where a connection keeps the transactions, by log, whose writes it takes down."""


class Entry(NamedTuple):
    """One entry."""

    id: int
    transaction: str | None
    label: str
    operation: str
    images: str
    at: dt.datetime


class Log:
    """One log.

    Args:
        kind: The kind of database.
        name: The log's name.
        schema: Where it is; None for where names without a schema go.
        labels: The tables whose entries are wanted.
    """

    def __init__(self, kind: str, name: str, schema: str | None, labels: Sequence[str]) -> None:
        self.kind, self.name, self.schema, self.labels = kind, name, schema, labels

    @cached_property
    def table(self) -> Table:
        """The table of the entries."""
        columns: list[Column[Any]] = [
            Column("id", BigInteger, primary_key=True),
            Column("table", String),
            Column("operation", String),
            Column("at", DateTime(timezone=self.kind == "postgresql")),
        ]
        if self.kind == "postgresql":
            columns += [Column("tx", Xid8), Column("tableoid", BigInteger)]
        else:
            columns.append(Column("images", String))
        return Table(self.name, MetaData(), *columns, schema=self.schema)

    @cached_property
    def own_table(self) -> Table:
        """On SQLite: the connection's own table of what it wrote in this transaction."""
        name = sqlite.own_table(self.name, self.schema)
        return Table(name, MetaData(), Column("id", BigInteger, primary_key=True), schema="temp")

    def begin(self, connection: Connection) -> None:
        """On SQLite: take down what the connection writes from now on; what it wrote earlier is committed."""
        query = text("SELECT 1 FROM sqlite_temp_master WHERE name = :name")
        if connection.execute(query, {"name": self.own_table.name}).first() is not None:
            # A SELECT first: a driver may begin a transaction for whatever else it is given.
            if connection.execute(select(self.own_table.c.id).limit(1)).first() is not None:
                connection.execute(delete(self.own_table))
        elif not self._create_own(connection):
            # Unless others have made the log since this connection looked last, there is none.
            if not inspect(connection).has_table(self.name, schema=self.schema):
                return
            self._create_own(connection)
        connection.__dict__.setdefault(_BEGUN, {})[self.name, self.schema] = connection.get_transaction()

    def _create_own(self, connection: Connection) -> bool:
        """Whether the log is there, as far as the connection knows: to look would lock what it is to write."""
        table, trigger = map(for_text, sqlite.create_own(self.name, self.schema))
        connection.execute(text(table))
        try:
            connection.execute(text(trigger))
        except OperationalError as error:
            connection.execute(DropTable(self.own_table))
            if "no such table" not in str(error.orig):
                raise
            return False
        return True

    def own(self, connection: Connection) -> list[Entry]:
        """The entries of this transaction, in order.

        Raises:
            CaptureError: On SQLite, nobody said that it began.
        """
        self._require_begun(connection)
        return self._read(connection, self._own_query)

    def waiting(self, connection: Connection, limit: int | None) -> list[Entry]:
        """The committed entries, transaction by transaction in the order of commits.

        Raises:
            CaptureError: On SQLite, nobody said that this transaction began.
        """
        self._require_begun(connection)
        if self.kind == "sqlite":
            others = self.table.c.id.not_in(select(self.own_table.c.id))
            query = self._query.where(others).order_by(self.table.c.id).limit(limit)
            return self._read(connection, query)
        return self._read(connection, self._committed(limit))

    def _require_begun(self, connection: Connection) -> None:
        if self.kind != "sqlite":
            return
        begun = connection.__dict__.get(_BEGUN, {}).get((self.name, self.schema))
        if begun is None or begun is not connection.get_transaction():
            raise CaptureError(
                "This connection does not know what it wrote to the log in this transaction: call "
                "capture.begin(connection) when a transaction begins, once capture.install() has made the log."
            )

    def forget(self, connection: Connection, entries: Iterable[Entry]) -> None:
        """Delete entries, with their images."""
        by_images: dict[str, list[Entry]] = {}
        for entry in entries:
            by_images.setdefault(entry.images, []).append(entry)
        for images, some in by_images.items():
            tables = [keyed(self.kind, images, self.schema)]
            if self.kind == "sqlite":
                tables.append(self.table)
            for table in tables:
                for condition in among(table, some):
                    connection.execute(delete(table).where(condition))

    def prune(self, connection: Connection, age: dt.timedelta) -> int:
        """Delete the entries that are older, and say how many there were."""
        at = self.table.c.at
        if self.kind == "sqlite":
            limit: ColumnElement[Any] = func.strftime("%Y-%m-%d %H:%M:%f", "now", f"-{age.total_seconds():f} seconds")
            old = cast(at, String) < limit
        else:
            old = at < func.clock_timestamp() - age
        found = self._read(connection, self._query.where(old))
        self.forget(connection, found)
        return len(found)

    @cached_property
    def _query(self) -> Select[Any]:
        c = self.table.c
        transaction: ColumnElement[Any] = cast(c.tx, String) if "tx" in c else null()
        columns = (c.id, transaction, c.table, c.operation, self._images, c.at)
        return select(*columns).where(c.table.in_(self.labels))

    @cached_property
    def _images(self) -> ColumnElement[Any]:
        """Where old and new rows are: on PostgreSQL, in the very table that inherits the entry."""
        if self.kind == "sqlite":
            return self.table.c.images
        relations = sa_table("pg_class", column("oid"), column("relname"), schema="pg_catalog")
        named = select(relations.c.relname).where(relations.c.oid == self.table.c.tableoid)
        return named.scalar_subquery().label("images")

    @cached_property
    def _own_query(self) -> Select[Any]:
        c = self.table.c
        if self.kind == "sqlite":
            return self._query.where(c.id.in_(select(self.own_table.c.id))).order_by(c.id)
        return self._query.where(c.tx == func.pg_current_xact_id_if_assigned()).order_by(c.id)

    def _committed(self, limit: int | None) -> Select[Any]:
        """Whole transactions that are over, as are all that had begun before them, in an order that they agree with.

        No order of commits is kept. But whoever saw what another transaction had committed, or waited for its locks,
        wrote to the log after that one's last entry. So the last entries are in an order that no row contradicts.
        Numbers of transactions are not: they are given out when a transaction begins to write.
        """
        c = self.table.c
        ended = (
            select(c.tx, func.max(c.id).label("last"))
            .where(c.tx.is_distinct_from(func.pg_current_xact_id_if_assigned()))
            .group_by(c.tx)
            .cte("ended")
        )
        horizon = func.pg_snapshot_xmin(func.pg_current_snapshot())
        held_back = select(func.min(ended.c.last)).where(ended.c.tx >= horizon).scalar_subquery()
        due = (
            select(ended)
            .where(ended.c.tx < horizon, ended.c.last < func.coalesce(held_back, literal_column("9223372036854775807")))
            .order_by(ended.c.last)
            .limit(limit)
            .cte("due")
        )
        return self._query.join(due, due.c.tx == c.tx).order_by(due.c.last, c.id)

    def _read(self, connection: Connection, query: Select[Any]) -> list[Entry]:
        entries = [Entry(*row) for row in connection.execute(query)]
        if self.kind == "sqlite":
            return [entry._replace(at=entry.at.replace(tzinfo=dt.UTC)) for entry in entries]
        return [entry._replace(at=entry.at.astimezone(dt.UTC)) for entry in entries]


class Xid8(UserDefinedType[str]):
    """The number of a transaction of PostgreSQL, as text."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """Its name."""
        return "xid8"


def keyed(kind: str, images: str, schema: str | None, *columns: Column[Any]) -> Table:
    """A table of old and new rows, with what identifies an entry, and other columns."""
    identity: list[Column[Any]] = [Column("id", BigInteger)]
    if kind == "postgresql":
        identity.append(Column("tx", Xid8))
    return Table(images, MetaData(), *identity, *columns, schema=schema)


def among(table: Table, entries: Sequence[Entry]) -> Iterator[ColumnElement[bool]]:
    """The conditions by which a table's rows are those of some entries, so many at a time as a statement may have.

    PostgreSQL's index is by transaction first.
    """
    for start in range(0, len(entries), _CHUNK):
        some = entries[start : start + _CHUNK]
        condition: ColumnElement[bool] = table.c.id.in_([entry.id for entry in some])
        if "tx" in table.c:
            numbers = dict.fromkeys(entry.transaction for entry in some)
            condition = and_(table.c.tx.in_([cast(literal(number, String), Xid8) for number in numbers]), condition)
        yield condition
