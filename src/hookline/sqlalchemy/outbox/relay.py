"""The relay: makes deliveries of what triggers have captured of others, in the order of their commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, literal, select
from sqlalchemy.orm import Session

from hookline.core.net import Fold
from hookline.core.run import concerned, work_by_row
from hookline.sqlalchemy.readback import ReadBack
from hookline.sqlalchemy.statements.locks import take_write_lock

if TYPE_CHECKING:
    from hookline.sqlalchemy.attachment import Attachment
    from hookline.sqlalchemy.capturing import Capture, Captured
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.outbox.writing import Work

_RELAYING: Final = 0x7265_6C61_79
"""The number of the lock under which one process at a time relays."""


class Relay:
    """Reads the log of an attachment's triggers.

    What it reads is deleted from the log in the transaction that writes the deliveries: each captured change becomes
    one delivery per hook, however often a relay dies on the way.

    Args:
        attachment: The rule book and its sessions.
        capture: The triggers.
    """

    def __init__(self, attachment: Attachment, capture: Capture) -> None:
        self._attachment, self._capture = attachment, capture

    def run(self, connection: Connection, limit: int) -> int:
        """Relay what waits, once.

        Args:
            connection: In a transaction of its own.
            limit: Transactions at most; on SQLite, which does not tell them apart, rows.

        Returns:
            How many captured changes there were.
        """
        if not self._alone(connection):  # before anything is read: who reads first may not become SQLite's writer
            return 0
        with self._attachment.session() as session:
            session.bind = connection
            return self._run(session, limit)

    def _run(self, session: Session, limit: int) -> int:
        connection = session.connection()
        waiting = self._capture.waiting(connection, limit)
        host = self._attachment.host_of(session)
        assert host is not None
        for captured in _transactions(waiting):
            work = self._work(host, captured)
            if work:
                host.deliver(work)
        if waiting:
            self._capture.forget(connection, waiting)
        session.commit()
        return len(waiting)

    def _alone(self, connection: Connection) -> bool:
        if connection.dialect.name == "postgresql":
            key = func.hashtextextended(literal(self._capture.log), literal(_RELAYING))
            return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(key))))
        take_write_lock(connection, self._attachment.outbox.deliveries)
        return True

    def _work(self, host: SessionHost, captured: Iterable[Captured]) -> Work:
        fold = Fold()
        for change in ReadBack(host, self._capture).of_others(captured):
            fold.add([change])
        return concerned(work_by_row(host.plan, "durable", fold.all()))


def _transactions(waiting: Iterable[Captured]) -> Iterator[list[Captured]]:
    """What each transaction did. Where the database does not tell them apart, each row stands for itself."""
    for _, some in groupby(enumerate(waiting), lambda one: one[1].transaction or one[0]):
        yield [captured for _, captured in some]
