"""Writing deliveries: one row per durable hook and net change, in the transaction itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ARRAY, Connection, Text, bindparam, cast, column, func, insert, literal, select
from sqlalchemy.orm import Session

from hookline.core.change import Change
from hookline.core.hook import Hook
from hookline.sqlalchemy.outbox.bodies import Writer
from hookline.sqlalchemy.outbox.tables import Outbox

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

SET: Final = 1_000
"""Changes in one delivery, of a hook that takes several."""

Work = list[tuple[Hook, list[Change[Any]]]]
Row = tuple[str, str, str]
"""Hook, lane and body."""


class Deliveries:
    """Writes what durable hooks are to be told of.

    Args:
        outbox: Where to.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def write(self, host: SessionHost, work: Work) -> None:
        """Write them, each to the database that its change is in.

        Args:
            host: The session.
            work: Hooks with their net changes.

        Raises:
            DeliveryError: A change cannot be kept.
        """
        host.complete([change for _, changes in work for change in changes])
        rows: dict[Connection, list[Row]] = {}
        locks: dict[Connection, set[str]] = {}
        for connection, row, locked in self._rows(host, work):
            rows.setdefault(connection, []).append(row)
            if locked:
                locks.setdefault(connection, set()).add(f"{row[0]} {row[1]}")
        for connection, some in rows.items():
            self._lock(connection, locks.get(connection, set()))
            number = self.insert(connection, some)
            if number is not None:
                host.number = connection.engine, number

    def _rows(self, host: SessionHost, work: Work) -> Iterator[tuple[Connection, Row, bool]]:
        writer, session = Writer(host.schema), host.session
        connections: dict[type, Connection] = {}
        for hook, changes in work:
            assert hook.terms is not None
            lanes: dict[tuple[Connection, str], list[Change[Any]]] = {}
            for change in changes:
                connection = connections.get(change.model)
                if connection is None:
                    connection = connections[change.model] = connection_for(session, change.model)
                if hook.arguments.set_at_a_time:
                    lane = writer.lane(hook, change) if hook.terms.key is not None else ""
                    lanes.setdefault((connection, lane), []).append(change)
                else:
                    row = (hook.name, writer.lane(hook, change), writer.json(change))
                    yield connection, row, hook.terms.key is not None
            for (connection, lane), some in lanes.items():
                for start in range(0, len(some), SET):
                    yield connection, (hook.name, lane, writer.json(some[start : start + SET])), True

    def _lock(self, connection: Connection, lanes: set[str]) -> None:
        """Rows order those who write them; other keys need a lock, or deliveries could be numbered out of order."""
        if connection.dialect.name == "postgresql" and lanes:
            one = func.unnest(cast(bindparam("lanes"), ARRAY(Text))).table_valued(column("lane")).render_derived()
            numbers = select(func.hashtextextended(one.c.lane, literal(0)).label("number")).distinct().subquery()
            ordered = select(numbers.c.number).order_by(numbers.c.number).subquery()
            connection.execute(select(func.count(func.pg_advisory_xact_lock(ordered.c.number))), {"lanes": list(lanes)})

    def insert(self, connection: Connection, rows: Sequence[Row]) -> int | None:
        """Write rows in their order, and call for workers when they are committed.

        Returns:
            The number of the transaction, by which PostgreSQL can tell later what has become of it.
        """
        table = self.outbox.deliveries
        if connection.dialect.name != "postgresql":
            connection.execute(insert(table), [{"hook": h, "lane": n, "body": b} for h, n, b in rows])
            return None
        heads = msgspec.json.encode([(hook, lane) for hook, lane, _ in rows]).decode()
        connection.execute(self._from_texts, {"heads": heads, "bodies": "\n".join([body for _, _, body in rows])})
        call = [func.pg_notify(self.outbox.channel, "")] if self.outbox.notify else []
        return int(connection.execute(select(func.txid_current(), *call)).scalar_one())

    @cached_property
    def _from_texts(self) -> Any:
        """On PostgreSQL, two texts are much faster than three times as many parameters as there are rows.

        A body is a line, which the server need not parse: JSON has no line breaks within.
        """
        from sqlalchemy.dialects.postgresql import JSONB

        rows = select(
            func.jsonb_array_elements(cast(bindparam("heads", type_=Text), JSONB), type_=JSONB).label("head"),
            func.unnest(func.string_to_array(bindparam("bodies", type_=Text), "\n"), type_=Text()).label("body"),
        ).subquery()  # what stands side by side goes on in step, so this is in order
        head = rows.c.head
        source = select(head[0].as_string(), head[1].as_string(), rows.c.body)
        return insert(self.outbox.deliveries).from_select(("hook", "lane", "body"), source)


def connection_for(session: Session, model: type) -> Connection:
    """The connection by which a session writes a class."""
    return session.connection(bind_arguments={"mapper": model})
