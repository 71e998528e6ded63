"""What a hook can reach: the writing session, or after the end one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from hookline.core.change import Change
from hookline.core.hook import Hook
from hookline.core.transaction import Transaction
from hookline.sqlalchemy.asynchronous import around, not_awaited

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class WritingScope:
    """Up to ``before_commit``: the writing session."""

    __slots__ = ("host",)

    def __init__(self, host: SessionHost) -> None:
        self.host = host

    @property
    def tx(self) -> Transaction:
        """The transaction."""
        return self.host.open_transaction()

    @property
    def values(self) -> Mapping[str, Any]:
        """The context."""
        return self.host.attachment.book.surroundings.values

    def session(self, asynchronous: bool) -> Any:
        """The writing session; for an async hook, the AsyncSession around it."""
        return around(self.host.session) if asynchronous else self.host.session

    def entity(self, change: Change[Any], asynchronous: bool) -> Any:
        """The object that is written."""
        return change.entity


class AfterScope:
    """After the end: a new session for each call, opened when first needed."""

    def __init__(self, host: SessionHost, cause: Hook | None, parent: Change[Any] | None) -> None:
        self.host, self._tx = host, host.ended
        self._cause, self._parent = cause, parent
        self._in_coroutine = cause is not None and cause.arguments.asynchronous
        self._session: Session | None = None
        self._outer = host.after
        host.after = self

    @property
    def tx(self) -> Transaction:
        """The transaction that has ended."""
        assert self._tx is not None
        return self._tx

    @property
    def values(self) -> Mapping[str, Any]:
        """The context."""
        return self.host.attachment.book.surroundings.values

    @property
    def sync_session(self) -> Session:
        """The session, opened if need be."""
        if self._session is None:
            self._session = self.host.attachment.new_session(self.host)
            inner = self.host.attachment.host_of(self._session)
            if inner is not None:
                inner.caller = (self._cause, self._parent)
        return self._session

    def session(self, asynchronous: bool) -> Any:
        """The new session; for an async hook, as an AsyncSession."""
        return around(self.sync_session) if asynchronous else self.sync_session

    def entity(self, change: Change[Any], asynchronous: bool) -> Any:
        """The entity as the new session knows it; a deleted one as it was."""
        waiting, self._in_coroutine = self._in_coroutine, False
        try:
            return change.entity
        finally:
            self._in_coroutine = waiting

    def load(self, model: type, key: tuple[Any, ...] | None) -> Any:
        """An object by key."""
        if self._in_coroutine and self._cause is not None:
            raise not_awaited(self._cause)
        return None if key is None else self.sync_session.get(model, key)

    def close(self, good: bool) -> None:
        """Commit if the hook returned, else roll back."""
        self.host.after = self._outer
        if self._session is not None:
            with self._session as session:
                if good:
                    session.commit()
