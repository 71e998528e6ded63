"""Registrations in a database, for all its processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import UnboundExecutionError

from hookline.core.change import Change
from hookline.core.registered import Connect, Part
from hookline.errors import RegistrationStoreError
from hookline.registrations.generation import START, generation_now
from hookline.registrations.registrations import Registrations
from hookline.registrations.rows import RowStore
from hookline.registrations.tables import Tables
from hookline.registrations.view import View

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from hookline import Hooks

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseRegistrations(Registrations):
    """Registrations in tables of their own, in the database of the data; every process obeys them.

    A transaction asks for their generation when it first writes, by its own connection, and reads them again only if
    that has moved. It goes on to its end with those that it began with.

    Args:
        engine: The database, sync or async: what is written without ``session=`` is written through it.
        name: Part of the names of their hooks, if a rule book uses several.
        table: The name of the table, and the beginning of the names of the two others.
        schema: Their schema; None for the current one.
        metadata: Where to declare the tables; None for a `MetaData` of their own.

    Attributes:
        metadata: Where they are declared, for migrations.

    Example:
        >>> from sqlalchemy import create_engine
        >>> registrations = DatabaseRegistrations(create_engine("sqlite://"))
        >>> registrations.create_tables()
        >>> sorted(registrations.metadata.tables)
        ['hookline_registration', 'hookline_registration_generation', 'hookline_registration_history']
    """

    forgets: ClassVar[str] = "before_commit"

    def __init__(
        self,
        engine: Engine | AsyncEngine,
        *,
        name: str = "",
        table: str = "hookline_registration",
        schema: str | None = None,
        metadata: MetaData | None = None,
    ) -> None:
        super().__init__(name)
        self._engine: Engine = engine if isinstance(engine, Engine) else engine.sync_engine
        self.metadata = MetaData() if metadata is None else metadata
        self._tables = Tables(self.metadata, table, schema)

    # -- tables

    def create_tables(self) -> None:
        """Make the tables that are not there yet; migrations can do the same with ``metadata``."""
        self._refuse_outside_greenlet("create_tables")
        with self._engine.begin() as connection:
            self.metadata.create_all(connection, tables=self._tables.all)

    def check(self) -> None:
        """Compare the tables with what they should be; `Hooks.use` does so, unless the engine is async.

        Raises:
            RegistrationStoreError: One is missing, or lacks a column, or was made for another version.
        """
        self._refuse_outside_greenlet("check")
        with self._engine.connect() as connection:
            self._tables.check(connection)
            generation_now(connection, self._tables, writing=False)

    async def run_sync(self, function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
        """Call one of these methods from async code, if the engine or the session is async.

        As SQLAlchemy's methods of the same name do it: the method is sync, and where it waits for the database, the
        event loop goes on.

        Args:
            function: The method, ``registrations.add``.
            *args: Its arguments.
            **options: Its named arguments.

        Returns:
            What it returns.

        Example:
            ```python
            from sqlalchemy.ext.asyncio import create_async_engine

            engine = create_async_engine("sqlite+aiosqlite://")
            registrations = DatabaseRegistrations(engine)
            await registrations.run_sync(registrations.create_tables)
            ```
        """
        from sqlalchemy.util import greenlet_spawn

        return await greenlet_spawn(partial(function, *args, **options))

    # -- for the rule book

    def join(self, book: Hooks) -> None:
        """Belong to a rule book; `Hooks.use` calls it.

        Raises:
            RegistrationStoreError: The tables are not as they should be, or another rule book has them.
        """
        super().join(book)
        if not self._engine.dialect.is_async or _in_greenlet():
            with self._engine.connect() as connection:
                self._tables.check(connection)
                self._read(connection, writing=False)

    def current(self, connect: Connect) -> Part:
        """Their hooks for a transaction that begins now.

        Args:
            connect: Given a table, the connection by which the writing session reaches it.

        Raises:
            RegistrationStoreError: The session's database has no tables for them.
        """
        try:
            connection = connect(self._tables.generation)
        except UnboundExecutionError as error:
            raise self._unbound() from error
        return self._up_to_date(self._read(connection, writing=True))

    def _read(self, connection: Connection, *, writing: bool) -> View:
        """The registrations as a transaction sees them: the same view for as long as the generation stays.

        Nothing is locked meanwhile, for others may run while this one waits: at worst, two read the same.
        """
        generation = generation_now(connection, self._tables, writing=writing)
        known = self._view
        if known is not None and known.at == generation:
            return known
        store = RowStore(connection, self._tables, self.name)
        changed = None if known is None or known.at in (None, START) else store.changed_since(known.at)
        if known is None or changed is None:
            rows = {one.id: one for one in store.select()}
        else:
            fresh = {one.id: one for one in store.numbered(sorted(changed))}
            rows = {number: one for number, one in known.rows.items() if number not in changed} | fresh
        self._view = self._seen(rows, generation)
        return self._view

    # -- the storage

    @contextmanager
    def _store(self, session: Any, *, writing: bool = False) -> Iterator[RowStore]:
        if session is not None:
            yield RowStore(self._connection_of(session, writing), self._tables, self.name)
            return
        self._refuse_outside_greenlet("add, ...")
        with self._engine.begin() as connection:
            yield RowStore(connection, self._tables, self.name)

    def _connection_of(self, session: Any, writing: bool) -> Connection:
        """The connection of a session, sync or async; its transaction goes on with the registrations it began with."""
        if isinstance(session, Connection):
            return session
        sync = session() if hasattr(session, "session_factory") else session
        sync = getattr(sync, "sync_session", sync)
        if writing:
            any(adapter.begin(sync) for adapter in self._binder.book.adapters)
        try:
            found: Connection = sync.connection(bind_arguments={"clause": self._tables.registration})
        except UnboundExecutionError as error:
            raise self._unbound() from error
        return found

    def _forget(self) -> Callable[..., None]:
        def forget(changes: Sequence[Change[Any]], session: Any) -> None:
            with self._store(session, writing=True) as store:
                self._forgotten(store, changes)

        return forget

    def _unbound(self) -> RegistrationStoreError:
        return RegistrationStoreError(
            f"The session has no database for the table {self._tables.registration.fullname}. Registrations are in the "
            f"database of the data that they are about: bind the session to an engine, or bind these tables, too, with "
            f"binds={{..., table: engine}} for each table in registrations.metadata.sorted_tables."
        )

    def _refuse_outside_greenlet(self, what: str) -> None:
        if self._engine.dialect.is_async and not _in_greenlet():
            raise RegistrationStoreError(
                f"The engine is async, so this has to be awaited. Write "
                f"`await registrations.run_sync(registrations.{what})`."
            )


def _in_greenlet() -> bool:
    """Whether sync code runs inside SQLAlchemy's greenlet, so that an async driver can be waited for."""
    from sqlalchemy.util.concurrency import in_greenlet

    return in_greenlet()
