"""The sessions of an application, sync or async, as one thing: work is written once, for the sync session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import anyio.from_thread
import anyio.to_thread
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import SingletonThreadPool

from hookline.core.registry import Hooks
from hookline.errors import TargetError
from hookline.sqlalchemy.asynchronous import around, is_a, wait
from hookline.sqlalchemy.attachment import attachments_of

R = TypeVar("R")


class Sessions:
    """What opens a session for each request.

    Sync sessions work in a thread of the event loop's pool, async ones in SQLAlchemy's greenlet. What is done in
    them is the same code.

    Args:
        factory: A sessionmaker, async_sessionmaker, scoped_session or async_scoped_session, or anything that gives a
            sync session when it is called.

    Raises:
        TargetError: It is none of these, or opens a database in memory that each thread has for itself.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.asynchronous = is_a(factory, "async_sessionmaker", "async_scoped_session")
        if not callable(factory) or isinstance(factory, Session) or is_a(factory, "AsyncSession"):
            raise TargetError(
                f"CRUD() opens a session for each request, and {factory!r} cannot open any. "
                f"Give it a factory: a sessionmaker, an async_sessionmaker or a scoped_session."
            )
        engine = _engine_of(factory)
        if engine is not None and isinstance(engine.pool, SingletonThreadPool):
            raise TargetError(
                "Requests are served by several threads, and a database of SQLite in memory belongs to the thread "
                "that opened it. Keep it in a file, or share it: create_engine('sqlite://', poolclass=StaticPool, "
                "connect_args={'check_same_thread': False})."
            )

    @property
    def dialect(self) -> str | None:
        """The name of the database's dialect, if that is known before a session is open."""
        engine = _engine_of(self.factory)
        return None if engine is None else engine.dialect.name

    async def run(self, work: Callable[[Session], R]) -> R:
        """Do work in a new session, and close that.

        Args:
            work: Does it, and commits; what it raises rolls everything back.
        """
        if self.asynchronous:
            async with self._opened() as session:
                return await session.run_sync(work)  # type: ignore[no-any-return]
        return await anyio.to_thread.run_sync(self._run, work)

    def _run(self, work: Callable[[Session], R]) -> R:
        with self._opened() as session:
            return work(session)

    def _opened(self) -> Any:
        if isinstance(self.factory, scoped_session) or is_a(self.factory, "async_scoped_session"):
            return self.factory.session_factory()  # a request has a session of its own, whoever shares the scope
        return self.factory()


def wait_for(session: Session, awaitable: Awaitable[R]) -> R:
    """Await from within work: in the greenlet of an async session, or in the event loop that the thread belongs to."""
    if around(session) is not None:
        return wait(awaitable)  # type: ignore[no-any-return]

    async def awaited() -> R:
        return await awaitable

    return anyio.from_thread.run(awaited)


@contextmanager
def context_of(session: Session, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let the hooks of all rule books that a session is governed by ask for values by name.

    Yields:
        These values, and those that the books hold already.
    """
    books: list[Hooks] = [one.book for one in attachments_of(session)]
    with ExitStack() as stack:
        held: dict[str, Any] = {}
        for book in books:
            stack.enter_context(book.context(**values))
            held.update(book.surroundings.values)
        yield {**held, **values}


def commit(session: Session, last: Callable[[], R]) -> R:
    """Commit, after doing something at the very last: when all ``before_commit`` hooks have run.

    Args:
        session: The session; the hooks of its rule books have been listening for longer, so they come first.
        last: What is to be done; its result is returned.
    """
    done: list[R] = []

    def at_last(_: Session) -> None:
        done.append(last())

    session.flush()
    event.listen(session, "before_commit", at_last)
    session.commit()
    return done[0]


def _engine_of(factory: Any) -> Engine | None:
    if isinstance(factory, scoped_session) or is_a(factory, "async_scoped_session"):
        factory = factory.session_factory
    bind = factory.kw.get("bind") if isinstance(factory, sessionmaker) or is_a(factory, "async_sessionmaker") else None
    bind = getattr(bind, "sync_engine", bind)
    return bind if isinstance(bind, Engine) else None
