"""Where the sequences run: an engine for sessions, and a connection of its own for snapshots."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from hookline.sqlalchemy import capture
from tests.sqlalchemy.databases import async_engine_for, empty, engine_for

from .schema import MODELS, Base, seed
from .snapshot import Snapshot, take

T = TypeVar("T")


class Database:
    """One database: its engine for sessions, a connection of its own for snapshots.

    Args:
        url: A synchronous URL.
        is_async: Whether sessions are `AsyncSession`s.
        captured: Whether triggers capture what is written.
    """

    def __init__(self, url: str, *, is_async: bool = False, captured: bool = False) -> None:
        self.is_async = is_async
        self.capture = capture(*MODELS) if captured else None
        self._outside = engine_for(url)
        Base.metadata.drop_all(self._outside)
        Base.metadata.create_all(self._outside)
        if self.capture is not None:
            self.capture.install(self._outside)
        self._connection: Connection = self._outside.connect()
        self._runner = asyncio.Runner() if is_async else None
        self._async_engine: AsyncEngine | None = async_engine_for(url) if is_async else None
        self.engine: Engine = self._async_engine.sync_engine if self._async_engine else engine_for(url)
        self.counts: Counter[str] = Counter()

    def close(self) -> None:
        if self._runner is not None and self._async_engine is not None:
            self._runner.run(self._async_engine.dispose())
            self._runner.close()
        self.engine.dispose()
        self._connection.close()
        if self.capture is not None:
            self.capture.remove(self._outside)
        self._outside.dispose()

    def session(self) -> Session | AsyncSession:
        return AsyncSession(self._async_engine) if self._async_engine else Session(self.engine)

    def run(self, session: Session | AsyncSession, function: Callable[[], T]) -> T:
        """Call a function that talks to the database through the session."""
        if isinstance(session, AsyncSession):
            assert self._runner is not None
            return self._runner.run(session.run_sync(lambda _: function()))
        return function()

    def clear(self) -> None:
        empty(self._connection, Base.metadata)
        if self.capture is not None:
            self.capture.prune(self._connection, dt.timedelta(0))
        self._connection.commit()

    def seed(self) -> None:
        with Session(self._connection) as session:
            session.add_all(seed())
            session.commit()

    def snapshot(self) -> Snapshot:
        snapshot = take(self._connection)
        self._connection.rollback()
        return snapshot
