"""Looking after deliveries: finding, showing, retrying, cancelling and pruning them, and counting them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, delete, func, select, update
from sqlalchemy.sql import ColumnCollection

from hookline.core.status import STATES, Attempt, Count, Status
from hookline.errors import DeliveryError, near
from hookline.sqlalchemy.outbox.clock import later, now
from hookline.sqlalchemy.outbox.tables import CANCELLED, DEAD, DONE, PENDING, RUNNING, Outbox
from hookline.sqlalchemy.statements.locks import take_write_lock

_MANY: Final = 5_000
"""Rows deleted at once."""

_AT_ONCE: Final = 500
"""Ids in one statement."""


class Tending:
    """What can be asked about the deliveries of one outbox, and done to them.

    Args:
        outbox: The tables.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self._table = outbox, outbox.deliveries

    def list(
        self, connection: Connection, *, state: str | None = None, hook: str | None = None, limit: int | None = 100
    ) -> Sequence[Status]:
        """The latest deliveries first.

        Raises:
            DeliveryError: There is no such state.
        """
        c = self._table.c
        query = self._query().where(*_meant(c, (), state, hook)).order_by(c.id.desc()).limit(limit)
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

    def retry(
        self, connection: Connection, ids: Sequence[int] = (), *, state: str | None = None, hook: str | None = None
    ) -> int:
        """Let dead, cancelled or waiting deliveries run now, with as many tries as a new one.

        Returns:
            How many there were; those that run or are done are left alone.

        Raises:
            DeliveryError: It was not said which are meant, or there is no such state.
        """
        values = {"state": PENDING, "attempts": 0, "due_at": now(), "ended_at": None, "worker": None}
        return self._move(connection, (PENDING, DEAD, CANCELLED), values, ids, state, hook)

    def cancel(
        self, connection: Connection, ids: Sequence[int] = (), *, state: str | None = None, hook: str | None = None
    ) -> int:
        """Let deliveries never run; those behind them go on.

        Returns:
            How many there were; those that run or are done are left alone.

        Raises:
            DeliveryError: It was not said which are meant, or there is no such state.
        """
        return self._move(connection, (PENDING, DEAD), {"state": CANCELLED, "ended_at": now()}, ids, state, hook)

    def _move(
        self, connection: Connection, start: Sequence[int], values: dict[str, Any],
        ids: Sequence[int], state: str | None, hook: str | None,
    ) -> int:  # fmt: skip
        if not ids and state is None and hook is None:
            raise DeliveryError("Say which deliveries are meant: by ids, by state=, or by hook=.")
        count = 0
        for first in range(0, max(len(ids), 1), _AT_ONCE):
            some = ids[first : first + _AT_ONCE]
            self._call_up_behind(connection, some, state, hook)
            meant = _meant(self._table.c, some, state, hook)
            moved = update(self._table).where(self._table.c.state.in_(start), *meant)
            count += connection.execute(moved.values(values)).rowcount
        if count:
            self._outbox.call(connection)
        return count

    def _call_up_behind(
        self, connection: Connection, ids: Sequence[int], state: str | None, hook: str | None
    ) -> None:  # fmt: skip
        """Those that wait for one that was to be tried again later need not wait any longer."""
        c, first = self._table.c, self._table.alias().c
        same_lane = first.hook == c.hook, first.lane == c.lane, first.id < c.id
        waits = select(first.id).where(first.state == PENDING, *_meant(first, ids, state, hook), *same_lane).exists()
        late = update(self._table).where(c.state == PENDING, c.due_at > now(), waits)
        connection.execute(late.values(due_at=now()))

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
        take_write_lock(connection, self._table)
        c, count = self._table.c, 0
        old = select(c.id).where(c.state.in_(numbers), c.ended_at < later(-age.total_seconds())).limit(_MANY)
        while found := connection.scalars(old).all():
            attempts = self._outbox.attempts
            connection.execute(delete(attempts).where(attempts.c.delivery.in_(found)))
            count += connection.execute(delete(self._table).where(c.id.in_(found))).rowcount
        return count

    def counts(self, connection: Connection) -> Sequence[Count]:
        """How many are in which state, by hook, how old the oldest is, and for how long one could have run."""
        c = self._table.c
        due = case((c.state <= RUNNING, c.due_at))
        query = select(c.hook, c.state, func.count(), func.min(c.created_at), func.min(due), now())
        return [
            Count(hook, STATES[state], number, _since(oldest, here), max(_since(late or here, here), 0.0))
            for hook, state, number, oldest, late, here in connection.execute(
                query.group_by(c.hook, c.state).order_by(c.hook, c.state)
            )
        ]

    def _query(self) -> Select[Any]:
        c = self._table.c
        return select(
            c.id, c.hook, c.lane, c.state, c.attempts, c.created_at, c.due_at, c.ended_at, c.worker, c.error, c.body,
            now().label("here"),
        )  # fmt: skip


def number_of(state: str) -> int:
    """The number of a state.

    Raises:
        DeliveryError: There is no such state.
    """
    if state not in STATES:
        raise DeliveryError(f"There is no state {state!r}.{near(state, STATES)}")
    return STATES.index(state)


def _meant(
    c: ColumnCollection[str, Any], ids: Sequence[int], state: str | None, hook: str | None
) -> Iterator[ColumnElement[bool]]:
    if ids:
        yield c.id.in_(ids)
    if state is not None:
        yield c.state == number_of(state)
    if hook is not None:
        yield c.hook == hook


def _status(row: Any, history: tuple[Attempt, ...] = ()) -> Status:
    values = row._asdict()
    here = values.pop("here")
    values["state"] = STATES[values["state"]]
    return Status(**values, age=_since(row.created_at, here), due_in=-_since(row.due_at, here), history=history)


def _since(then: dt.datetime, here: dt.datetime) -> float:
    return (here - then).total_seconds()
