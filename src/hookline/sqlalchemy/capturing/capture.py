"""What the rest of the program has of a capture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, MetaData, Table, event, inspect, text

from hookline.errors import CaptureError
from hookline.sqlalchemy.capturing import postgresql, sqlite
from hookline.sqlalchemy.capturing.captured import Captured
from hookline.sqlalchemy.capturing.entries import Entry, Log
from hookline.sqlalchemy.capturing.images import captured
from hookline.sqlalchemy.capturing.installed import problems, retyped
from hookline.sqlalchemy.capturing.models import tables_of
from hookline.sqlalchemy.capturing.sequence import in_sequence
from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import for_text

_SYSTEMS: dict[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}
"""What each kind of database is told."""


class Capture:
    """Triggers on the tables of some models, and the log that they write to; `capture` makes one.

    All that talks to a database takes a connection, and leaves its transaction open; those that change the schema take
    an engine as well, and then commit.

    Attributes:
        log: The name of the log.
        schema: Where the log is.
    """

    def __init__(self, targets: Sequence[Any], log: str, schema: str | None) -> None:
        self._targets, self.log, self.schema = targets, log, schema
        self._shapes: dict[str, tuple[Shape, ...]] = {}
        self._logs_of: dict[str, tuple[Log, ...]] = {}

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The captured tables. Found when first asked for, since models may be defined one after the other."""
        return tables_of(self._targets)

    # -- the schema

    def ddl(self, dialect: str | Dialect) -> list[str]:
        """The statements that install it, or bring it up to date: for a migration.

        Args:
            dialect: ``"postgresql"``, ``"sqlite"``, or a dialect.

        Returns:
            Statements for Alembic's ``op.execute``, or for `sqlalchemy.text`. To run them again changes nothing.

        Raises:
            CaptureError: There are no triggers for this kind of database.

        Example:
            >>> capture = Capture([Person], "hookline_capture", None)
            >>> capture.ddl("sqlite")[0].partition(" (")[0]
            'CREATE TABLE IF NOT EXISTS "hookline_capture"'
        """
        kind = _kind_of(dialect)
        return list(map(for_text, self._creation(kind, self._shapes_of(kind))))

    def removal_ddl(self, dialect: str | Dialect) -> list[str]:
        """The statements that remove it, with what is waiting in the log.

        Not with rows that were written when the model had other columns; `remove` finds those. Arguments and errors as
        for `ddl`.
        """
        kind = _kind_of(dialect)
        return list(map(for_text, self._removal(kind, self._shapes_of(kind), with_log=True)))

    def install(self, bind: Connection | Engine) -> None:
        """Make log and triggers. What is there already is brought up to date; what waits in the log stays.

        Raises:
            CaptureError: There are no triggers for this kind of database.
        """
        with _connected(bind) as connection:
            _execute(connection, self.ddl(connection.dialect))

    def check(self, bind: Connection | Engine) -> None:
        """Make sure, at start-up, that the triggers are there and match the models.

        Raises:
            CaptureError: Something is missing, disabled or outdated; it says what.
        """
        with _connected(bind) as connection:
            found = self._problems(connection, self.tables)
        if found:
            listed = "\n".join(f"  - {problem}" for one in found.values() for problem in one)
            raise CaptureError(
                f"The triggers of {self!r} do not match the models:\n{listed}\n"
                f"Run capture.upgrade(engine), or a migration with the statements of capture.ddl()."
            )

    def upgrade(self, bind: Connection | Engine) -> list[str]:
        """Mend what `check` would complain of, and nothing else.

        Returns:
            What was wrong.

        Raises:
            CaptureError: A captured table is missing, or there are no triggers for this kind of database.
        """
        with _connected(bind) as connection:
            found = self._problems(connection, self.tables)
            self._mend(connection, found)
        return [problem for one in found.values() for problem in one]

    def remove(self, bind: Connection | Engine) -> None:
        """Remove triggers and log, with what is waiting there. What is not there does not matter."""
        with _connected(bind) as connection:
            _execute(connection, self.removal_ddl(connection.dialect))
            kind = _kind_of(connection.dialect)
            for shape in self._shapes_of(kind):
                names = inspect(connection).get_table_names(schema=shape.schema)
                older = [name for name in names if shape.is_of_images(name)]
                _execute(connection, (for_text(_SYSTEMS[kind].drop_images(shape, name)) for name in older))

    def listen(self, metadata: MetaData) -> None:
        """Install it whenever ``metadata.create_all()`` runs, and remove it with ``metadata.drop_all()``.

        Args:
            metadata: That of the captured tables.
        """
        event.listen(metadata, "after_create", self._after_create)
        event.listen(metadata, "before_drop", self._before_drop)

    def _after_create(self, metadata: MetaData, connection: Connection, **options: Any) -> None:
        there = inspect(connection)
        present = [table for table in self.tables if there.has_table(table.name, schema=table.schema)]
        self._mend(connection, self._problems(connection, present))

    def _before_drop(self, metadata: MetaData, connection: Connection, *, tables: Iterable[Table], **rest: Any) -> None:
        kind, dropped = _kind_of(connection.dialect), set(tables)
        gone = [shape for shape in self._shapes_of(kind) if shape.table in dropped]
        everything = len(gone) == len(self.tables)
        _execute(connection, map(for_text, self._removal(kind, gone, with_log=everything)))

    def _mend(self, connection: Connection, found: dict[Shape, list[str]]) -> None:
        kind = _kind_of(connection.dialect)
        _execute(connection, map(for_text, self._creation(kind, list(found))))
        if kind == "postgresql":
            for shape in found:
                _execute(connection, map(for_text, list(retyped(connection, shape))))

    def _problems(self, connection: Connection, tables: Iterable[Table]) -> dict[Shape, list[str]]:
        wanted = set(tables)
        found = {
            shape: problems(connection, shape)
            for shape in self._shapes_of(_kind_of(connection.dialect))
            if shape.table in wanted
        }
        return {shape: some for shape, some in found.items() if some}

    def _creation(self, kind: str, shapes: Iterable[Shape]) -> Iterator[str]:
        system, shapes = _SYSTEMS[kind], list(shapes)
        for schema in dict.fromkeys(shape.schema for shape in shapes):
            yield from system.create_log(self.log, schema)
        for shape in shapes:
            yield from system.create_images(shape)
            yield from system.create_triggers(shape)

    def _removal(self, kind: str, shapes: Iterable[Shape], *, with_log: bool) -> Iterator[str]:
        system, shapes = _SYSTEMS[kind], list(shapes)
        for shape in shapes:
            yield from system.drop_triggers(shape)
            yield system.drop_images(shape)
        for schema in dict.fromkeys(shape.schema for shape in shapes) if with_log else ():
            yield from system.drop_log(self.log, schema)

    def _shapes_of(self, kind: str) -> tuple[Shape, ...]:
        shapes = self._shapes.get(kind)
        if shapes is None:
            # A trigger of SQLite reaches its own database file only, so the log is where the table is.
            shapes = self._shapes[kind] = tuple(
                Shape(kind, table, self.log, table.schema if kind == "sqlite" else self.schema) for table in self.tables
            )
        return shapes

    # -- the log

    def begin(self, connection: Connection) -> None:
        """Get ready for `take` and `waiting`, when a transaction begins that will call them.

        On PostgreSQL there is nothing to do: its transactions have names. On SQLite the connection is made to take down
        what it writes to the log. That touches nothing but the connection's own temporary tables: it takes no lock.
        """
        if _kind_of(connection.dialect) == "sqlite":
            for log in self._logs("sqlite"):
                log.begin(connection)

    def take(self, connection: Connection) -> list[Captured]:
        """Read and delete what this transaction has captured so far, in order.

        Args:
            connection: That of the transaction; on SQLite `begin` was called when it began.

        Raises:
            CaptureError: On SQLite, `begin` was not called.
        """
        kind = _kind_of(connection.dialect)
        taken: list[Captured] = []
        for log in self._logs(kind):
            entries = log.own(connection)
            if entries:
                taken += in_sequence(self._read(connection, log, entries))
                log.forget(connection, entries)
        return taken

    def waiting(self, connection: Connection, limit: int | None = None) -> list[Captured]:
        """Read what other transactions captured and committed, and nobody has taken, in the order of their commits.

        It stays in the log until `forget` is told of it. Do so in the same transaction that acts on it.

        Args:
            connection: Where to read; on SQLite `begin` was called when its transaction began.
            limit: Of how many transactions; on SQLite, which does not tell them apart, of how many rows. None: of all.

        Returns:
            On PostgreSQL, of transactions that were over before the oldest one began that is still writing, and that
            saw nothing of a later one: so none that commits late is ever skipped or overtaken.

        Raises:
            CaptureError: On SQLite, `begin` was not called.
        """
        kind = _kind_of(connection.dialect)
        return [one for log in self._logs(kind) for one in self._read(connection, log, log.waiting(connection, limit))]

    def forget(self, connection: Connection, changes: Iterable[Captured]) -> None:
        """Delete from the log what `waiting` gave: as whole statements, so give back all of a statement's rows."""
        kind = _kind_of(connection.dialect)
        entries = {
            (one.table, one.id): Entry(one.id, one.transaction, one.table.fullname, one.operation, one.images, one.at)
            for one in changes
        }
        for log in self._logs(kind):
            mine = {shape.table for shape in self._shapes_of(kind) if shape.schema == log.schema}
            log.forget(connection, [entry for (table, _), entry in entries.items() if table in mine])

    def prune(self, connection: Connection, older_than: dt.timedelta) -> int:
        """Delete what has been waiting for longer, by the database's clock.

        Returns:
            How many entries were deleted: statements on PostgreSQL, rows on SQLite.
        """
        return sum(log.prune(connection, older_than) for log in self._logs(_kind_of(connection.dialect)))

    def _logs(self, kind: str) -> tuple[Log, ...]:
        logs = self._logs_of.get(kind)
        if logs is None:  # and kept, for SQLAlchemy keeps the queries of tables that it knows
            shapes = self._shapes_of(kind)
            logs = self._logs_of[kind] = tuple(
                Log(kind, self.log, schema, [shape.label for shape in shapes if shape.schema == schema])
                for schema in dict.fromkeys(shape.schema for shape in shapes)
            )
        return logs

    def _read(self, connection: Connection, log: Log, entries: Sequence[Entry]) -> list[Captured]:
        shapes = {shape.label: shape for shape in self._shapes_of(log.kind) if shape.schema == log.schema}
        by_images: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            by_images.setdefault((entry.label, entry.images), []).append(entry)
        found = [
            change for (label, _), some in by_images.items() for change in captured(connection, shapes[label], some)
        ]
        if len(by_images) > 1:
            place = {entry.id: index for index, entry in enumerate(entries)}
            found.sort(key=lambda change: place[change.id])
        return found

    def __repr__(self) -> str:
        return f"<Capture of {', '.join(table.fullname for table in self.tables)}>"


def capture(*targets: Any, log: str = "hookline_capture", schema: str | None = None) -> Capture:
    """Triggers that take down every write to the tables of some models, whoever writes.

    Nothing is sent to a database until `Capture.install`, or a migration with the statements of `Capture.ddl`.

    Args:
        targets: Mapped classes: their tables, those of their subclasses, and the secondary tables of their
            relationships. Or relationships: the table that links are kept in. Or tables.
        log: The name of the log, and the beginning of all other names.
        schema: The schema of the log on PostgreSQL, which must exist; None for the one that is current when the
            statements run. On SQLite the log is always in the database of the table.

    Raises:
        TargetError: When its tables are first asked for: a target is none of these.

    Example:
        >>> people = capture(Person)
        >>> sorted(table.name for table in people.tables)
        ['friendship', 'person', 'person_tag']
    """
    return Capture(targets, log, schema)


@contextmanager
def _connected(bind: Connection | Engine) -> Iterator[Connection]:
    if isinstance(bind, Engine):
        with bind.begin() as connection:
            yield connection
    else:
        yield bind


def _execute(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(text(statement))


def _kind_of(dialect: str | Dialect) -> str:
    kind = dialect if isinstance(dialect, str) else dialect.name
    if kind not in _SYSTEMS:
        raise CaptureError(f"There are triggers for {' and '.join(sorted(_SYSTEMS))}, not for {kind!r}.")
    return kind
