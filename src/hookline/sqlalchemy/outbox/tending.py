"""Looking after deliveries: finding, showing, retrying, cancelling and pruning them, and counting them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, select, update

from hookline.errors import DeliveryError, near
from hookline.sqlalchemy.outbox.clock import later, now
from hookline.sqlalchemy.outbox.tables import CANCELLED, DEAD, DONE, PENDING, STATES, Outbox

_MANY: Final = 5_000
"""Rows deleted at once."""


@dataclass(frozen=True)
class Attempt:
    """A try that failed.

    Attributes:
        number: Which.
        worker: Who tried.
        ended_at: When; aware.
        error: The traceback.
    """

    number: int
    worker: str | None
    ended_at: dt.datetime
    error: str


@dataclass(frozen=True)
class Status:
    """A delivery, from outside.

    Attributes:
        id: Its number in this database.
        hook: The hook's name.
        lane: What it is kept in order by.
        state: ``pending``, ``running``, ``done``, ``dead`` or ``cancelled``.
        attempts: How often it was begun.
        created_at: When it was written; aware.
        due_at: Pending: when it may run. Running: when its lease ends.
        ended_at: When it was done, died or was cancelled.
        worker: Who has it, or had it last.
        error: The last traceback.
        body: The changes, as JSON.
        history: The tries that failed, if they were asked for.
    """

    id: int
    hook: str
    lane: str
    state: str
    attempts: int
    created_at: dt.datetime
    due_at: dt.datetime
    ended_at: dt.datetime | None
    worker: str | None
    error: str | None
    body: str
    history: tuple[Attempt, ...] = field(default=())


@dataclass(frozen=True)
class Count:
    """How many deliveries of a hook are in a state.

    Attributes:
        hook: The hook's name.
        state: The state.
        number: How many.
        oldest: The age of the oldest one, in seconds.
    """

    hook: str
    state: str
    number: int
    oldest: float


class Tending:
    """What can be asked about the deliveries of one outbox, and done to them.

    Args:
        outbox: The tables.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self._table = outbox, outbox.deliveries

    def find(
        self, connection: Connection, *, state: str | None = None, hook: str | None = None, limit: int = 100
    ) -> list[Status]:
        """The latest deliveries first.

        Raises:
            DeliveryError: There is no such state.
        """
        query = self._query().order_by(self._table.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(self._table.c.state == number_of(state))
        if hook is not None:
            query = query.where(self._table.c.hook == hook)
        return [_status(row) for row in connection.execute(query)]

    def show(self, connection: Connection, id: int) -> Status:  # noqa: A002 - what everybody calls it
        """One, with the tries that failed.

        Raises:
            DeliveryError: There is none of this number.
        """
        row = connection.execute(self._query().where(self._table.c.id == id)).first()
        if row is None:
            raise DeliveryError(f"There is no delivery {id}: it never was, or it was pruned.")
        a = self._outbox.attempts.c
        query = select(a.number, a.worker, a.ended_at, a.error).where(a.delivery == id).order_by(a.id)
        return _status(row, tuple(Attempt(*one) for one in connection.execute(query)))

    def retry(self, connection: Connection, ids: Sequence[int]) -> int:
        """Let dead, cancelled or waiting deliveries run now, with as many tries as a new one.

        Returns:
            How many there were; those that run or are done are left alone.
        """
        c = self._table.c
        again = update(self._table).where(c.id.in_(ids), c.state.in_((PENDING, DEAD, CANCELLED)))
        values = {"state": PENDING, "attempts": 0, "due_at": now(), "ended_at": None, "worker": None}
        return connection.execute(again.values(values)).rowcount

    def cancel(self, connection: Connection, ids: Sequence[int]) -> int:
        """Let deliveries never run; those behind them go on.

        Returns:
            How many there were; those that run or are done are left alone.
        """
        c = self._table.c
        gone = update(self._table).where(c.id.in_(ids), c.state.in_((PENDING, DEAD)))
        return connection.execute(gone.values(state=CANCELLED, ended_at=now())).rowcount

    def prune(self, connection: Connection, age: dt.timedelta, states: Sequence[str] = ("done", "cancelled")) -> int:
        """Delete what ended so long ago.

        Args:
            connection: In a transaction.
            age: How long ago.
            states: Which; those that are pending or run cannot be among them.

        Returns:
            How many there were.

        Raises:
            DeliveryError: One of the states is none, or no end.
        """
        numbers = [number_of(state) for state in states]
        if not {DONE, DEAD, CANCELLED}.issuperset(numbers):
            raise DeliveryError("Only deliveries that are done, dead or cancelled can be pruned.")
        c, count = self._table.c, 0
        old = select(c.id).where(c.state.in_(numbers), c.ended_at < later(-age.total_seconds())).limit(_MANY)
        while found := connection.scalars(old).all():
            attempts = self._outbox.attempts
            connection.execute(delete(attempts).where(attempts.c.delivery.in_(old)))
            count += connection.execute(delete(self._table).where(c.id.in_(found))).rowcount
        return count

    def counts(self, connection: Connection) -> list[Count]:
        """How many are in which state, by hook, and how old the oldest is: for monitoring."""
        c = self._table.c
        query = select(c.hook, c.state, func.count(), func.min(c.created_at), now()).group_by(c.hook, c.state)
        return [
            Count(hook, STATES[state], number, (here - oldest).total_seconds())
            for hook, state, number, oldest, here in connection.execute(query.order_by(c.hook, c.state))
        ]

    def _query(self) -> Select[Any]:
        c = self._table.c
        return select(
            c.id, c.hook, c.lane, c.state, c.attempts, c.created_at, c.due_at, c.ended_at, c.worker, c.error, c.body
        )


def number_of(state: str) -> int:
    """The number of a state.

    Raises:
        DeliveryError: There is no such state.
    """
    if state not in STATES:
        raise DeliveryError(f"There is no state {state!r}.{near(state, STATES)}")
    return STATES.index(state)


def _status(row: Any, history: tuple[Attempt, ...] = ()) -> Status:
    values = row._asdict()
    values["state"] = STATES[values["state"]]
    return Status(**values, history=history)
