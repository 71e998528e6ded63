"""The outbox as a worker sees it: it claims deliveries, runs their hooks, and says what became of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, UnboundExecutionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from hookline.core.delivery import Delivery
from hookline.core.hook import Hook
from hookline.core.run import Steps, drive, invoke, note
from hookline.errors import HookLoopError, LeaseLostError, OutboxError
from hookline.sqlalchemy.asynchronous import refuse_outside_greenlet, wait
from hookline.sqlalchemy.guard import kept_open
from hookline.sqlalchemy.outbox.changes import Reader
from hookline.sqlalchemy.outbox.claims import Claim, Claims
from hookline.sqlalchemy.outbox.inbox import Inbox
from hookline.sqlalchemy.outbox.listening import Listener
from hookline.sqlalchemy.outbox.relay import Relay
from hookline.sqlalchemy.outbox.tending import Tending
from hookline.sqlalchemy.outbox.writing import connection_for
from hookline.sqlalchemy.scopes import WritingScope
from hookline.sqlalchemy.statements.locks import let_go_if_idle

if TYPE_CHECKING:
    from hookline.sqlalchemy.attachment import Attachment
    from hookline.sqlalchemy.host import SessionHost

R = TypeVar("R")
Wait = Callable[[Awaitable[Any]], Any]


class Store:
    """The outbox of one attachment.

    Its methods are sync. Of an attachment to async sessions, `call` runs them; nobody else may.

    Args:
        attachment: The rule book and its sessions.

    Attributes:
        asynchronous: Whether the sessions are async.
        tending: What can be asked about deliveries, and done to them.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self.asynchronous = attachment.asynchronous
        self.claims = Claims(attachment.outbox)
        self.tending = Tending(attachment.outbox)
        self._relay = None if attachment.capture is None else Relay(attachment, attachment.capture)

    @cached_property
    def engine(self) -> Engine:
        """Where the outbox is.

        Raises:
            OutboxError: The sessions do not say, or say that it is in several databases.
        """
        with self._attachment.session() as session:
            engines = self._attachment.durable_engines(session)
            if not engines:
                try:
                    engines = [session.get_bind().engine]
                except UnboundExecutionError:
                    raise OutboxError("The sessions have no engine of their own: give them one, with bind=.") from None
        if len(engines) > 1:
            raise OutboxError(
                f"The rows that durable hooks are about are in several databases ({', '.join(map(str, engines))}), "
                f"each with its own outbox, but a worker works on one. Attach a sessionmaker for each database to a "
                f"rule book with the durable hooks of that database, and run a worker for each."
            )
        return engines[0]

    @property
    def one_thread(self) -> bool:
        """Whether the database is SQLite's in memory, which only the thread that made it can reach."""
        return not self.asynchronous and isinstance(self.engine.pool, (StaticPool, SingletonThreadPool))

    @property
    def relays(self) -> bool:
        """Whether triggers capture what others write."""
        return self._relay is not None

    @property
    def kind(self) -> str:
        """The kind of database: ``sqlite``, ``postgresql``, ..."""
        return self.engine.dialect.name

    def call(self, function: Callable[..., R], *arguments: Any) -> Awaitable[R]:
        """Call a method in a coroutine, where the sessions are async."""
        from sqlalchemy.util import greenlet_spawn

        return greenlet_spawn(function, *arguments)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction of its own; on PostgreSQL, the server ends it if it stands still."""
        if self.asynchronous:
            refuse_outside_greenlet()
        with self.engine.begin() as connection:
            let_go_if_idle(connection)
            yield connection

    def close(self) -> None:
        """Close the connections of the pool that nobody uses."""
        self.engine.dispose()

    # -- claiming

    def check(self) -> None:
        """Make sure that the tables are there, and that this database can be told from others.

        Raises:
            OutboxError: They are not.
        """
        with self.begin() as connection:
            self._attachment.outbox.check(connection)
            self._attachment.ready.add(connection.engine)
        self.origin  # noqa: B018 - it is kept, so that no hook has to wait for it

    @cached_property
    def origin(self) -> str:
        """What the ids of this database's deliveries begin with."""
        with self.begin() as connection:
            known = self.claims.known_origin(connection)
        if known is None:
            with self.begin() as connection:
                known = self.claims.origin(connection)
        return known

    def see_registrations(self) -> None:
        """Read the registrations of hooks, if they have changed."""
        with self.begin() as connection:
            self._attachment.book.registered(lambda _: connection)

    def take(self, worker: str, hooks: Sequence[str], limit: int, lease: float) -> list[Claim]:
        """Claim deliveries that may run now; see `Claims.take`."""
        with self.begin() as connection:
            return self.claims.take(connection, worker, hooks, limit, lease)

    def next_due(self, hooks: Sequence[str]) -> float | None:
        """Seconds until the next one is due; None if none is waiting."""
        with self.begin() as connection:
            return self.claims.next_due(connection, hooks)

    def unknown(self, hooks: Sequence[str]) -> Mapping[str, int]:
        """How many deliveries wait for hooks that are not among these, by name."""
        with self.begin() as connection:
            return self.claims.unknown(connection, hooks)

    def extend(self, claims: Sequence[Claim], lease: float) -> int:
        """Say that their worker is alive."""
        with self.begin() as connection:
            return self.claims.extend(connection, claims, lease)

    def give_back(self, claims: Sequence[Claim]) -> int:
        """Let others run what was not begun."""
        with self.begin() as connection:
            return self.claims.give_back(connection, claims)

    def is_busy(self, error: Exception) -> bool:
        """Whether SQLite refused a write because somebody else was writing: at once, if the hook had read before."""
        return self.kind == "sqlite" and isinstance(error, OperationalError) and "database is locked" in str(error.orig)

    def begun(self, claim: Claim) -> Claim:
        """Count a try of a delivery whose worker has died.

        Raises:
            LeaseLostError: Another worker has taken it.
        """
        with self.begin() as connection:
            claimed = self.claims.begun(connection, claim)
        if claimed is None:
            raise LeaseLostError(f"The lease of delivery {claim.id} ended before it was begun: it was not.")
        return claimed

    # -- running

    def delivery_of(self, claim: Claim, hook: Hook) -> Delivery:
        """A delivery as its hook sees it."""
        assert hook.terms is not None
        return Delivery(
            id=f"{self.origin}-{claim.id}",
            hook=claim.hook,
            attempt=claim.attempt,
            max_attempts=hook.terms.retry.max_attempts,
            created_at=claim.created_at,
            body=claim.body.encode(),
        )

    def run(self, claim: Claim, hook: Hook, wait: Wait) -> bool:
        """Run a hook for one delivery, and if it uses its session, mark the delivery done in the same transaction.

        Args:
            claim: The delivery.
            hook: Its hook.
            wait: Runs what the hook returns to be awaited.

        Returns:
            Whether the delivery is done. If not, the hook has run, but did not touch the database.

        Raises:
            LeaseLostError: Another worker has taken it meanwhile; nothing was written.
            Exception: What the hook raised; nothing was written.
        """
        with self.ran(hook, self.delivery_of(claim, hook), wait) as session:
            if not session.in_transaction():
                return False
            session.flush()
            if not self.claims.done_one(self.connection(session, hook), claim):
                raise LeaseLostError(
                    f"The lease of delivery {claim.id} ({hook}) ended while it ran: another worker has taken it. "
                    f"What this run wrote is rolled back. Give workers a longer lease, or the hook less to do."
                )
            session.commit()
        return True

    @contextmanager
    def ran(self, hook: Hook, delivery: Delivery, wait: Wait) -> Iterator[Session]:
        """A session of its own in which a hook has run; what it wrote is not committed, and lost unless that is done.

        Args:
            hook: The hook.
            delivery: What it runs for.
            wait: Runs what the hook returns to be awaited.
        """
        with self._attachment.session() as session:
            host = self._attachment.host_of(session)
            assert host is not None
            try:
                with kept_open(host):
                    drive(self._steps(host, hook, delivery), wait)
                yield session
            finally:
                host.tx = None if not session.in_transaction() else host.tx

    def connection(self, session: Session, hook: Hook) -> Connection:
        """The connection on which the outbox is written along with what a hook writes."""
        model = next((target for target in hook.targets if isinstance(target, type)), None)
        return session.connection() if model is None or session.bind is not None else connection_for(session, model)

    def _steps(self, host: SessionHost, hook: Hook, delivery: Delivery) -> Steps[None]:
        changes = Reader(host, hook).changes(delivery.body)
        first = changes[0] if isinstance(changes, list) else changes
        tx = host.open_transaction()
        if first.depth >= tx.book.max_depth:
            raise HookLoopError(
                f"Durable hooks go on causing each other's writes: {first.depth} causes in a chain, max_depth is "
                f"{tx.book.max_depth}. The latest is {first!r}. Give {hook} a condition that ends it."
            )
        scope = DeliveryScope(host, delivery)
        tx.cause, tx.subject = hook, changes
        host.caller = hook, first  # also of what it leaves to be flushed when it has returned
        try:
            if hook.arguments.asynchronous:
                host.complete(changes if isinstance(changes, list) else [changes])
            yield from invoke(tx, hook, changes, scope)
        except Exception as error:
            note(error, hook, first)
            raise
        finally:
            tx.cause = tx.subject = None

    def done(self, claims: Sequence[Claim]) -> int:
        """Mark those done whose hooks did not touch the database."""
        with self.begin() as connection:
            return self.claims.done(connection, claims)

    def failed(self, claim: Claim, error: str, delay: float | None, behind: Sequence[Claim]) -> bool:
        """Say that one failed, and give back those behind it; see `Claims.failed`."""
        with self.begin() as connection:
            self.claims.give_back(connection, behind)
            return self.claims.failed(connection, claim, error, delay)

    @cached_property
    def inbox(self) -> Inbox:
        """What was delivered to this database by others."""
        return Inbox(self)

    def relay(self, limit: int) -> int:
        """Make deliveries of what triggers have captured of others; returns how many changes there were."""
        if self._relay is None:
            return 0
        with self.begin() as connection:
            return self._relay.run(connection, limit)

    # -- tending

    def prune(self, age: dt.timedelta) -> int:
        """Delete what was done, or cancelled, so long ago; see `Tending.prune`."""
        with self.begin() as connection:
            return self.tending.prune(connection, age)

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call a function whenever deliveries are committed: by this process, and on PostgreSQL by any."""
        self._attachment.wakers.append(wake)
        calls = self.kind == "postgresql" and self._attachment.outbox.notify
        silence = Listener(self.engine, self._attachment.outbox.channel, wake).start() if calls else None

        def end() -> None:
            self._attachment.wakers.remove(wake)
            if silence is not None:
                silence()

        return end

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Within `call`: what something gives that is to be awaited."""
        return wait(awaitable)


class DeliveryScope(WritingScope):
    """What a durable hook can reach: a session of its own, and the delivery."""

    __slots__ = ("_delivery",)

    def __init__(self, host: SessionHost, delivery: Delivery) -> None:
        super().__init__(host)
        self._delivery = delivery

    @property
    def values(self) -> Mapping[str, Any]:
        """The context, and the delivery."""
        return {**super().values, "delivery": self._delivery}

    def session(self, asynchronous: bool) -> Any:
        """The session; an async hook gets it as it is where sessions are sync."""
        return super().session(asynchronous and self.host.asynchronous)
