"""What Hookline does when SQLAlchemy tells that something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction
from sqlalchemy.orm.session import SessionTransactionState
from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.core.commit import Preparation, committed, rolled_back, unknown
from hookline.core.run import Steps, drive
from hookline.core.transaction import Outcome, Transaction
from hookline.sqlalchemy.asynchronous import wait
from hookline.sqlalchemy.change import EndedRowChange, RowChange
from hookline.sqlalchemy.connections import Connections
from hookline.sqlalchemy.constraints import Engines
from hookline.sqlalchemy.external import when_it_ends
from hookline.sqlalchemy.flush import Flush
from hookline.sqlalchemy.guard import kept_open
from hookline.sqlalchemy.outcome import was_committed
from hookline.sqlalchemy.statements.door import StatementDoor
from hookline.sqlalchemy.statements.listed import save_mappings
from hookline.sqlalchemy.stir import Stir

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookline.sqlalchemy.attachment import Attachment
    from hookline.sqlalchemy.host import SessionHost


_class_of = attrgetter("class_")


class Listeners:
    """The listeners of one attachment."""

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self._engines = Engines()
        self._door = StatementDoor(self.drive, self._engines)
        self._connections = Connections(self._door)

    def session_events(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """The session events that are listened to."""
        yield "before_flush", self.before_flush
        yield "after_flush", self.after_flush
        yield "after_flush_postexec", self.after_flush_postexec
        yield "before_commit", self.before_commit
        yield "after_commit", self.after_commit
        yield "after_begin", self.after_begin
        yield "after_transaction_create", self.after_transaction_create
        yield "after_transaction_end", self.after_transaction_end

    def forget_engines(self) -> None:
        """Stop listening to engines."""
        self._engines.forget()
        self._connections.forget()

    def drive(self, host: SessionHost, steps: Steps[None]) -> None:
        """Run steps: in an async session, awaiting from within SQLAlchemy's greenlet."""
        if host.asynchronous:
            drive(steps, wait)
        else:
            drive(steps)

    # -- flush

    def before_flush(self, session: Session, context: UOWTransaction, objects: Any) -> None:
        """Run `before` and `check`."""
        host = self.attachment.host_of(session)
        if host is None:
            return
        self._before_flush(host, context, objects)
        host.flushing = True

    def _before_flush(self, host: SessionHost, context: UOWTransaction, objects: Any) -> None:
        session = host.session
        concerns = host.schema.concerns(host.plan)
        classes = set(map(_class_of, session._new))
        classes.update(map(_class_of, session.identity_map._modified))
        classes.update(map(_class_of, session._deleted))
        if not any(concerns.of(model) for model in classes):
            return
        flush = Flush(host, objects)
        with kept_open(host):
            self.drive(host, flush.before())
        context.attributes[self] = flush  # type: ignore[index]
        self._engines.sending(flush)

    def after_flush(self, session: Session, context: UOWTransaction) -> None:
        """Take down what was written."""
        known = self.attachment.known_host(session)
        if known is not None:
            known.flushing = False
        flush: Flush | None = context.attributes.get(self)  # type: ignore[call-overload]
        if flush is None:
            host = self.attachment.host_of(session)
            if host is None:
                return
            concerns = host.schema.concerns(host.plan)
            if not any(concerns.of(mapper.class_) for mapper in context.mappers):
                return
            flush = context.attributes[self] = Flush(host)  # type: ignore[index]
        flush.written(context)

    def after_flush_postexec(self, session: Session, context: UOWTransaction) -> None:
        """Run `after`, then flush what it wrote."""
        flush: Flush | None = context.attributes.pop(self, None)  # type: ignore[call-overload]
        if flush is None:
            return
        self._engines.sending(None)
        # SQLAlchemy has finished with this flush, but for releasing its subtransaction: hooks may flush, and
        # their queries autoflush, as they would anywhere else.
        session._flushing = False
        try:
            with kept_open(flush.host):
                self.drive(flush.host, flush.after())
            if not flush.objects:
                flush.host.flush()
        finally:
            session._flushing = True

    def concerned(self, host: SessionHost, statement: Any) -> bool:
        """Whether hooks may have to run around a statement that writes."""
        return self._door.concerned(host, statement)

    def orm_execute(self, state: ORMExecuteState) -> Any:
        """Run hooks around a statement of the ORM that writes."""
        host = self.attachment.host_of(state.session)
        return None if host is None else self._door.orm_execute(host, state)

    def save_mappings(
        self, session: Session, send: Callable[..., None], mapper: Any, rows: Any, options: dict[str, Any]
    ) -> None:
        """Run hooks around the older bulk methods."""
        host = self.attachment.host_of(session)
        if host is None:
            send(mapper, rows, **options)
        else:
            save_mappings(self._door, host, send, inspect(mapper).mapper, rows, options)

    # -- transaction

    def after_begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        """A connection joins the transaction."""
        self._engines.listen(connection.engine)
        host = self.attachment.host_of(session)
        if host is not None:
            if self.attachment.capture is not None and connection not in host.connections:
                self.attachment.begin_capture(connection)
            self.attachment.begin_durable(session, connection)
            self._connections.join(host, connection)

    def after_transaction_create(self, session: Session, transaction: SessionTransaction) -> None:
        """A savepoint was set, perhaps."""
        host = self.attachment.known_host(session)
        if host is not None and host.tx is not None and transaction.nested:
            host.tx.set_savepoint()

    def before_commit(self, session: Session) -> None:
        """Run the phase of the same name, if this is the outermost commit."""
        host = self.attachment.host_of(session)
        if host is None:
            return
        if _is_savepoint(session) or host.committing:
            return
        host.flush()
        try:
            prepared = self._prepare(host)
        except BaseException:  # whatever stopped it, nothing of it may be committed
            _roll_back(session)
            raise
        for one in prepared:
            one.attachment.begin_commit(one)

    def _prepare(self, host: SessionHost) -> list[SessionHost]:
        """Let each rule book have its say; as the hooks of one may write what concerns another, until none has more."""
        session = host.session
        others = (one.host_of(session) for one in self.attachment.others(session))
        hosts = [host, *(one for one in others if one is not None)]
        prepared: dict[SessionHost, Preparation] = {}
        rounds = -1
        while rounds < (rounds := sum(one.rounds for one in prepared.values())):
            for one in hosts:
                one.ending, one.number = True, None
                if one.tx is None:
                    one.flush()  # what was captured may be all that there is
                if one.tx is not None:
                    preparation = prepared.setdefault(one, Preparation(one.tx))
                    with kept_open(one):
                        one.attachment.drive(one, preparation.settle())
            if len(hosts) == 1:
                break
        for one, preparation in prepared.items():
            with kept_open(one):
                one.attachment.drive(one, preparation.deliver())
        return list(prepared)

    def begin_commit(self, host: SessionHost) -> None:
        """All is ready: COMMIT is next."""
        host.committing = True
        self._engines.committing(host)

    def after_commit(self, session: Session) -> None:
        """A savepoint was released, or COMMIT happened."""
        host = self.attachment.known_host(session)
        if host is not None:
            host.committed = session.get_nested_transaction() or session.get_transaction()

    def after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        """A savepoint is over, or the transaction is."""
        host = self.attachment.known_host(session)
        if host is None:
            return
        host.flushing = False  # it may have failed
        self._door.clear(host)
        good = host.committed is transaction
        if transaction.nested:
            if host.tx is not None:
                if good:
                    host.tx.release_savepoint()
                else:
                    host.tx.rollback_savepoint()
        elif transaction.parent is None:
            self._end(host, transaction, good)

    def _end(self, host: SessionHost, transaction: SessionTransaction, good: bool) -> None:
        tx, lost, tried = host.tx, self._engines.lost_while_committing(host), host.committing
        host.tx, host.committing, host.committed = None, False, None
        host.registered = None
        host.ending, host.accounted = False, 0
        host.unfollowed.clear()
        host.stir = Stir(host.session)
        self._engines.committing(None)
        self._engines.sending(None)
        self._connections.leave(host)
        if tx is None:
            return
        if good:
            if not when_it_ends(transaction, lambda kept: self._tell(host, tx, kept)):
                self._tell(host, tx, True)
        elif lost is not None:
            self._settle(host, tx, lost)
        else:
            self._tell(host, tx, False, Outcome.COMMIT_FAILED if tried else Outcome.ROLLED_BACK)

    def _tell(self, host: SessionHost, tx: Transaction, good: bool, outcome: Outcome = Outcome.ROLLED_BACK) -> None:
        """Run the phases after the end."""
        for step in tx.steps:
            if isinstance(step, RowChange):
                step.__class__ = EndedRowChange
        before, host.ended = host.ended, tx
        try:
            self.drive(host, committed(tx) if good else rolled_back(tx, outcome))
        finally:
            host.ended = before
        if good and tx.errors and self.attachment.raise_after_commit:
            raise BaseExceptionGroup("the transaction is committed, but after_commit hooks failed", tx.errors)

    def _settle(self, host: SessionHost, tx: Transaction, lost: BaseException) -> None:
        """The connection broke during COMMIT: look for what the transaction wrote before anything is reported."""
        before, host.ended = host.ended, tx
        try:
            answer = was_committed(host, tx, lost)
        finally:
            host.ended = before
        if isinstance(answer, bool):
            self._tell(host, tx, answer, Outcome.COMMIT_FAILED)
        else:
            unknown(tx, answer)


def _is_savepoint(session: Session) -> bool:
    """Whether the commit under way is that of a savepoint, not of the root around it."""
    root = session.get_transaction()
    return session.in_nested_transaction() and (root is None or root._current_fn is None)


def _roll_back(session: Session) -> None:
    """Roll back in the middle of a commit, the way SQLAlchemy does it when a two-phase PREPARE fails."""
    root = session.get_transaction()
    if root is not None:
        with root._expect_state(SessionTransactionState.CLOSED):
            root.rollback()
