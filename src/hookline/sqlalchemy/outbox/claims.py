"""What workers ask of an outbox: which deliveries they may run, and what became of them."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from hookline.sqlalchemy.outbox.clock import later, now
from hookline.sqlalchemy.outbox.tables import DEAD, DONE, PENDING, RUNNING, Outbox
from hookline.sqlalchemy.statements.locks import take_write_lock

_CLAIMING: Final = 0x686F_6F6B_6C69
"""The number of the lock under which workers claim, one after the other: see `Claims.take`."""

_MANY: Final = 500
"""Ids in one statement."""


class Claim(NamedTuple):
    """A delivery that one worker runs.

    Attributes:
        id: Its number in this database.
        hook: The hook's name.
        lane: What it is kept in order by.
        body: The changes, as JSON.
        attempt: Which try this is, from 1.
        created_at: When it was written.
        token: What only this claim has: who has lost its lease cannot end it any more.
        suspect: Whether a worker died that had it, be it the one that killed it, or one that was not even begun; this
            try is counted when it is begun.
    """

    id: int
    hook: str
    lane: str
    body: str
    attempt: int
    created_at: dt.datetime
    token: str
    suspect: bool = False


class _Found(NamedTuple):
    """A delivery that may be claimed."""

    id: int
    hook: str
    lane: str
    state: int
    due_at: dt.datetime


class Claims:
    """The statements of workers on one outbox.

    Args:
        outbox: The tables.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._table = outbox.deliveries

    def take(self, connection: Connection, worker: str, hooks: Sequence[str], limit: int, lease: float) -> list[Claim]:
        """Claim deliveries that may run now, in the order in which they must.

        A delivery may run if it is due, or its worker's lease is over, and every unfinished one before it in its lane
        is claimed along with it. To know that, each worker must see what the others have claimed: they claim one after
        the other. What a worker that lost its lease still writes to, nobody waits for.

        Args:
            connection: In a transaction of its own.
            worker: Who claims.
            hooks: The names of the hooks that the worker knows.
            limit: How many at most.
            lease: Seconds for which they are its own, unless it says again that it is alive.
        """
        if not hooks:
            return []
        self._one_at_a_time(connection)
        c = self._table.c
        found = self._found(connection, hooks, limit)
        if not found:
            return []
        suspects = {one.id for one in found if one.state == RUNNING}
        ids = [one.id for one in found]
        token = f"{worker}/{secrets.token_hex(4)}"
        attempts = case((c.state == RUNNING, c.attempts), else_=c.attempts + 1)
        claimed = (
            update(self._table)
            .where(c.id.in_(bindparam("ids", expanding=True)), c.state <= RUNNING, c.due_at <= now())
            .values(state=RUNNING, attempts=attempts, due_at=later(bindparam("lease")), worker=token)
            .returning(c.id, c.hook, c.lane, c.body, c.attempts, c.created_at)
        )
        claims: list[Claim] = []
        for some in _parts(ids):
            rows = connection.execute(claimed, {"ids": some, "lease": lease})
            claims += [Claim(*row, token, row[0] in suspects) for row in rows]  # type: ignore[call-arg]
        return sorted(claims)

    def _found(self, connection: Connection, hooks: Sequence[str], limit: int) -> list[_Found]:
        """What can be claimed; further away, if all that comes first is locked."""
        reach = limit
        while True:
            due = [_Found(*row) for row in connection.execute(self._due(hooks, reach))]
            free = self._unlocked(self._from_the_front(due, reach, connection), connection)
            if free or len(due) < reach:
                return free[:limit]
            reach *= 2

    def _unlocked(self, found: list[_Found], connection: Connection) -> list[_Found]:
        """Without what the worker that had it still writes to, or has just written, and what is behind in its lane."""
        suspects = [one.id for one in found if one.state == RUNNING]
        if not suspects or connection.dialect.name != "postgresql":
            return found
        c = self._table.c
        over = and_(c.id.in_(bindparam("ids", expanding=True)), c.state == RUNNING, c.due_at <= now())
        query = select(c.id).where(over).with_for_update(skip_locked=True)
        locked = set(suspects)
        for some in _parts(suspects):
            locked.difference_update(connection.scalars(query, {"ids": some}))
        held_back: set[tuple[str, str]] = set()
        free = []
        for one in found:
            if one.id in locked:
                held_back.add((one.hook, one.lane))
            elif (one.hook, one.lane) not in held_back:
                free.append(one)
        return free

    def _one_at_a_time(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            key = f"{self.outbox.schema or ''}.{self.outbox.prefix}"
            lock = select(func.pg_advisory_xact_lock(func.hashtextextended(literal(key), literal(_CLAIMING))))
            connection.execute(lock)
        take_write_lock(connection, self._table)

    def _due(self, hooks: Sequence[str], limit: int) -> Select[Any]:
        """Hook by hook, so that an index gives each one's in order, and what nobody can run is not even looked at."""
        c, earlier = self._table.c, self._table.alias()
        held_back = (
            select(literal(1))
            .where(
                earlier.c.hook == c.hook, earlier.c.lane == c.lane, earlier.c.id < c.id,
                earlier.c.state <= RUNNING, earlier.c.due_at > now(),
            )
            .exists()
        )  # fmt: skip
        each = [
            select(c.id, c.hook, c.lane, c.state, c.due_at)
            .where(c.hook == hook, c.state <= RUNNING, c.due_at <= now(), ~held_back)
            .order_by(c.due_at, c.id)
            .limit(limit)
            .subquery()
            for hook in hooks
        ]
        if len(each) == 1:
            return select(each[0])
        every = union_all(*(select(one) for one in each)).subquery()
        return select(every).order_by(every.c.due_at, every.c.id).limit(limit)

    def _from_the_front(self, found: Sequence[_Found], limit: int, connection: Connection) -> list[_Found]:
        """As many of each lane, but its first ones.

        What was claimed before, and given back, is due later than what waits behind it. So what is due first need not
        be what must run first; but all that is before it is due as well, or it would not have been found.
        """
        c = self._table.c
        lanes: dict[tuple[str, str], list[_Found]] = {}
        for one in found:
            lanes.setdefault((one.hook, one.lane), []).append(one)
        names, chosen = list(lanes), []
        for start in range(0, len(names), _MANY):
            some = names[start : start + _MANY]
            end = max(one.id for name in some for one in lanes[name])
            query = (
                select(c.id, c.hook, c.lane, c.state, c.due_at)
                .where(
                    c.state <= RUNNING,
                    c.id <= end,
                    or_(*(and_(c.hook == hook, c.lane.in_(several)) for hook, several in _by_hook(some).items())),
                )
                .order_by(c.id)
                .limit(limit)
            )
            first: dict[tuple[str, str], list[_Found]] = {}
            for row in connection.execute(query):
                one = _Found(*row)
                first.setdefault((one.hook, one.lane), []).append(one)
            for name, ones in first.items():
                chosen += ones[: len(lanes[name])]
        return chosen

    def next_due(self, connection: Connection, hooks: Sequence[str]) -> float | None:
        """Seconds until something becomes due that is not yet; None if nothing does.

        What is due and was not claimed is held back by such a one.
        """
        if not hooks:
            return None
        c = self._table.c
        query = select(func.min(c.due_at)).where(c.hook.in_(hooks), c.state <= RUNNING, c.due_at > now())
        moment, here = connection.execute(select(query.scalar_subquery(), now())).one()
        return None if moment is None else max((moment - here).total_seconds(), 0.0)

    def unknown(self, connection: Connection, hooks: Sequence[str]) -> dict[str, int]:
        """How many deliveries wait for hooks that are not among these, by name."""
        c = self._table.c
        query = select(c.hook, func.count()).where(c.hook.not_in(hooks), c.state <= RUNNING).group_by(c.hook)
        return {row[0]: row[1] for row in connection.execute(query)}

    # -- what became of them

    def done_one(self, connection: Connection, claim: Claim) -> bool:
        """One has run, in this very transaction.

        Returns:
            Whether it was still this worker's own; only then it is done.
        """
        return connection.execute(self._done_one, {"claim_id": claim.id, "token": claim.token}).rowcount == 1

    @cached_property
    def _done_one(self) -> Any:
        c = self._table.c
        own = and_(c.id == bindparam("claim_id"), c.worker == bindparam("token"), c.state == RUNNING)
        return update(self._table).where(own).values(state=DONE, ended_at=now(), error=None)

    def done(self, connection: Connection, claims: Sequence[Claim]) -> int:
        """They have run.

        Returns:
            How many of them were still this worker's own; only these are done.
        """
        return self._end(connection, claims, {"state": DONE, "ended_at": now(), "error": None})

    def extend(self, connection: Connection, claims: Sequence[Claim], lease: float) -> int:
        """Their worker is alive: their leases begin anew."""
        return self._end(connection, claims, {"due_at": later(lease)})

    def give_back(self, connection: Connection, claims: Sequence[Claim]) -> int:
        """They were not begun: somebody else may run them at once, and this was no attempt."""
        values = {"state": PENDING, "due_at": now(), "worker": None}
        suspects = [claim for claim in claims if claim.suspect]
        others = [claim for claim in claims if not claim.suspect]
        attempts = self._table.c.attempts - 1
        return self._end(connection, suspects, values) + self._end(connection, others, {**values, "attempts": attempts})

    def begun(self, connection: Connection, claim: Claim) -> Claim | None:
        """A suspect is begun: from now on this is a try.

        Returns:
            The claim with its number; None if it is not this worker's own any more.
        """
        if not self._end(connection, [claim], {"attempts": self._table.c.attempts + 1}):
            return None
        return claim._replace(attempt=claim.attempt + 1, suspect=False)

    def failed(self, connection: Connection, claim: Claim, error: str, delay: float | None) -> bool:
        """One raised.

        Args:
            connection: In a transaction of its own.
            claim: Which.
            error: What is kept of it.
            delay: Seconds until it is tried again; None if it is not.

        Returns:
            Whether it was still this worker's own.
        """
        if delay is None:
            values: dict[str, Any] = {"state": DEAD, "ended_at": now(), "error": error}
        else:
            values = {"state": PENDING, "due_at": later(delay), "error": error, "worker": None}
        if not self._end(connection, [claim], values):
            return False
        self.take_down(connection, claim, error)
        if delay:  # those behind it cannot run before: nobody need look at them
            c = self._table.c
            behind = and_(c.hook == claim.hook, c.lane == claim.lane, c.id > claim.id, c.state == PENDING)
            due = later(delay)
            connection.execute(update(self._table).where(behind, c.due_at < due).values(due_at=due))
        return True

    def take_down(self, connection: Connection, claim: Claim, error: str) -> None:
        """Keep an attempt that failed."""
        attempts, worker = self.outbox.attempts, claim.token.partition("/")[0]
        values = {"delivery": claim.id, "number": claim.attempt, "worker": worker, "error": error}
        connection.execute(insert(attempts).values(values))

    def _end(self, connection: Connection, claims: Sequence[Claim], values: dict[str, Any]) -> int:
        c = self._table.c
        count = 0
        by_token: dict[str, list[int]] = {}
        for claim in claims:
            by_token.setdefault(claim.token, []).append(claim.id)
        for token, ids in by_token.items():
            for some in _parts(ids):
                own = and_(c.id.in_(bindparam("ids", expanding=True)), c.worker == token, c.state == RUNNING)
                count += connection.execute(update(self._table).where(own).values(values), {"ids": some}).rowcount
        return count

    # -- what tells this database from others

    def known_origin(self, connection: Connection) -> str | None:
        """What the ids of this database's deliveries begin with; None if that is not made up yet."""
        one = self.outbox.origins.c
        return connection.scalar(select(one.origin).where(one.one == 1))

    def origin(self, connection: Connection) -> str:
        """The same, made up if need be; in a transaction of its own."""
        self._one_at_a_time(connection)
        known = self.known_origin(connection)
        if known is None:
            known = secrets.token_hex(6)
            connection.execute(insert(self.outbox.origins).values(one=1, origin=known))
        return known


def _parts(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[start : start + _MANY]) for start in range(0, len(ids), _MANY)]


def _by_hook(lanes: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hook, lane in lanes:
        found.setdefault(hook, []).append(lane)
    return found
