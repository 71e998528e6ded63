"""Writing deliveries: one row per durable hook and net change, in the transaction itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ARRAY, Connection, Label, Text, bindparam, cast, column, func, insert, literal, select
from sqlalchemy.orm import Session

from hookline.core.change import Change
from hookline.core.hook import Hook
from hookline.sqlalchemy.outbox.bodies import Writer
from hookline.sqlalchemy.outbox.tables import Outbox

if TYPE_CHECKING:
    from hookline.sqlalchemy.concern import Schema
    from hookline.sqlalchemy.host import SessionHost

SET: Final = 1_000
"""Changes in one delivery, of a hook that takes several."""

_MANY: Final = 1_000_000
"""Characters of bodies in one statement, unless a single one has more: far from any limit, many rows at once."""

Work = list[tuple[Hook, list[Change[Any]]]]


class Rows:
    """Deliveries that one connection writes: of each its hook, lane and body, in three lists.

    Attributes:
        locked: Of the lanes, those that no row of the changes themselves keeps in order, each after its hook.
    """

    def __init__(self) -> None:
        self.hooks: list[str] = []
        self.lanes: list[str] = []
        self.bodies: list[str] = []
        self.locked: set[str] = set()

    def add(self, hook: Hook, lanes: Sequence[str], bodies: Sequence[str]) -> None:
        """What a hook is to be told of, in lanes."""
        if hook.arguments.set_at_a_time:
            lanes, bodies = _in_sets(lanes, bodies)
        self.hooks += [hook.name] * len(lanes)
        self.lanes += lanes
        self.bodies += bodies
        assert hook.terms is not None
        if hook.arguments.set_at_a_time or hook.terms.key is not None:
            self.locked.update(f"{hook.name} {lane}" for lane in lanes)


class Deliveries:
    """Writes what durable hooks are to be told of.

    Args:
        outbox: Where to.
        schema: The mapped classes.
    """

    def __init__(self, outbox: Outbox, schema: Schema) -> None:
        self.outbox = outbox
        self._writer = Writer(schema)

    def write(self, host: SessionHost, work: Work) -> None:
        """Write them, each to the database that its change is in.

        Args:
            host: The session.
            work: Hooks with their net changes.

        Raises:
            DeliveryError: A change cannot be kept.
        """
        for connection, rows in self._rows(host, work).items():
            self._lock(connection, rows.locked)
            number = self._insert(connection, rows)
            if number is not None:
                host.number = connection.engine, number

    def _rows(self, host: SessionHost, work: Work) -> dict[Connection, Rows]:
        told = {id(change): change for _, changes in work for change in changes}  # by several hooks, perhaps
        host.complete(list(told.values()))
        writer = self._writer
        bodies = dict(zip(told, writer.bodies(told.values()), strict=True))
        connections = {
            model: connection_for(host.session, model) for model in {change.model for change in told.values()}
        }
        rows: dict[Connection, Rows] = {}
        for hook, changes in work:
            for connection, some in _by_connection(connections, changes).items():
                its = rows.setdefault(connection, Rows())
                its.add(hook, writer.lanes(hook, some), [bodies[id(change)] for change in some])
        return rows

    def _lock(self, connection: Connection, lanes: set[str]) -> None:
        """Rows order those who write them; other keys need a lock, or deliveries could be numbered out of order."""
        if connection.dialect.name == "postgresql" and lanes:
            one = func.unnest(cast(bindparam("lanes"), ARRAY(Text))).table_valued(column("lane")).render_derived()
            numbers = select(func.hashtextextended(one.c.lane, literal(0)).label("number")).distinct().subquery()
            ordered = select(numbers.c.number).order_by(numbers.c.number).subquery()
            connection.execute(select(func.count(func.pg_advisory_xact_lock(ordered.c.number))), {"lanes": list(lanes)})

    def _insert(self, connection: Connection, rows: Rows) -> int | None:
        """Write rows in their order, and call for workers when they are committed.

        Returns:
            The number of the transaction, by which PostgreSQL can tell later what has become of it.
        """
        if connection.dialect.name != "postgresql":
            columns = zip(rows.hooks, rows.lanes, rows.bodies, strict=True)
            given = [{"hook": hook, "lane": lane, "body": body} for hook, lane, body in columns]
            connection.execute(insert(self.outbox.deliveries), given)
            return None
        for some in _parts(rows.bodies):
            lines = {"hook": rows.hooks[some], "lane": rows.lanes[some], "body": rows.bodies[some]}
            connection.execute(self._from_texts, {name: "\n".join(several) for name, several in lines.items()})
        call = [func.pg_notify(self.outbox.channel, "")] if self.outbox.notify else []
        return int(connection.execute(select(func.txid_current(), *call)).scalar_one())

    @cached_property
    def _from_texts(self) -> Any:
        """On PostgreSQL, three texts of lines are much faster than three times as many parameters as there are rows.

        None of them has line breaks within: hooks have names of one line, and the rest is JSON. Only a lane can be
        empty; of a text without a character, PostgreSQL makes no line.
        """
        rows = select(*map(_lines, ("hook", "lane", "body"))).subquery()
        source = select(rows.c.hook, func.coalesce(rows.c.lane, ""), rows.c.body)
        return insert(self.outbox.deliveries).from_select(("hook", "lane", "body"), source)


def _parts(bodies: Sequence[str]) -> Iterator[slice]:
    """Where one statement ends and the next begins."""
    start = size = 0
    for place, body in enumerate(bodies):
        if size + len(body) > _MANY and place > start:
            yield slice(start, place)
            start, size = place, 0
        size += len(body)
    yield slice(start, len(bodies))


def _lines(name: str) -> Label[str]:
    """The lines of a text; what stands side by side with it goes on in step, so rows are in order."""
    return func.unnest(func.string_to_array(bindparam(name, type_=Text), "\n"), type_=Text()).label(name)


def _in_sets(lanes: Sequence[str], bodies: Sequence[str]) -> tuple[list[str], list[str]]:
    """Several changes of a lane in each body."""
    by_lane: dict[str, list[str]] = {}
    for lane, body in zip(lanes, bodies, strict=True):
        by_lane.setdefault(lane, []).append(body)
    sets = [
        (lane, f"[{','.join(some[start : start + SET])}]")
        for lane, some in by_lane.items()
        for start in range(0, len(some), SET)
    ]
    return [lane for lane, _ in sets], [body for _, body in sets]


def _by_connection(
    connections: Mapping[type, Connection], changes: list[Change[Any]]
) -> dict[Connection, list[Change[Any]]]:
    if len(set(connections.values())) == 1:
        return {next(iter(connections.values())): changes}
    some: dict[Connection, list[Change[Any]]] = {}
    for change in changes:
        some.setdefault(connections[change.model], []).append(change)
    return some


def connection_for(session: Session, model: type) -> Connection:
    """The connection by which a session writes a class."""
    return session.connection(bind_arguments={"mapper": model})
