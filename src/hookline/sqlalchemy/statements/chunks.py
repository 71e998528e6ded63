"""Rows and changes of large statements, some at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.sql.selectable import SelectBase

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

T = TypeVar("T")

CHUNK: Final = 10_000
"""Changes that hooks are given at once."""


def chunks(several: list[T]) -> Iterator[list[T]]:
    """Rows or changes, as many at once as hooks are given."""
    if len(several) <= CHUNK:
        if several:
            yield several
        return
    for start in range(0, len(several), CHUNK):
        yield several[start : start + CHUNK]


def read_chunks(
    host: SessionHost, connection: Connection, query: Select[Any], given: Mapping[str, Any]
) -> Generator[list[Any], None, None]:
    """The rows of a query, at most `CHUNK` at once, of which only one chunk is in memory where the driver can do that.

    If hooks send anything that may write while the rows are being read, the remaining ones are read first: they are
    told as they were when the statement came.

    Args:
        host: The session; it knows what is being read.
        connection: Where to ask.
        query: What; it may be sent twice.
        given: Its parameters.
    """
    name = connection.dialect.name
    if name == "postgresql":  # a cursor of the server's costs two more round trips: it is for large statements
        rows = list(connection.execute(query.limit(CHUNK + 1), given))
        if len(rows) <= CHUNK:
            yield from chunks(rows)
            return
        del rows
    autocommit = getattr(connection.connection.dbapi_connection, "autocommit", None) is True
    if name not in ("sqlite", "postgresql") or autocommit:
        yield from chunks(list(connection.execute(query, given)))
        return
    reader = Reader(connection.execute(query, given, execution_options={"stream_results": True}))
    host.readers.append(reader)
    try:
        yield from reader
    finally:
        host.readers.remove(reader)
        reader.close()


class Reader:
    """An open query.

    Args:
        result: Its rows.
    """

    def __init__(self, result: Any) -> None:
        self._result = result
        self._rest: list[Any] | None = None

    def __iter__(self) -> Iterator[list[Any]]:
        while rows := self._next():
            yield rows

    def _next(self) -> list[Any]:
        if self._rest is None:
            return self._result.fetchmany(CHUNK)  # type: ignore[no-any-return]
        rows, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        return rows

    def read_all(self) -> None:
        """Read what remains: what is going to be sent now may change it."""
        if self._rest is None:
            self._rest = self._result.fetchall()

    def close(self) -> None:
        """Read no more."""
        self._result.close()


def make_way(host: SessionHost, context: Any) -> None:
    """Something is going to be sent while rows are being read.

    Args:
        host: The session.
        context: SQLAlchemy's execution context.
    """
    compiled = context.compiled
    if compiled is None or compiled.ctes or not isinstance(compiled.statement, SelectBase):
        for reader in host.readers:
            reader.read_all()
