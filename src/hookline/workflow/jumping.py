"""Jumps: objects are put into a state that nobody has approved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from hookline.core.step import StepChange
from hookline.errors import NotAvailableError, near
from hookline.workflow.entries import CANCELLED, JUMPED, MOVED, PENDING, RESTS
from hookline.workflow.keys import chunks
from hookline.workflow.starting import Row, waiting, write_rows

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hookline.workflow.definition import Definition
    from hookline.workflow.workflow import Workflow

Key = tuple[Any, ...]


class Jump(NamedTuple):
    """One object with its states, as text.

    Attributes:
        key: Its key.
        source: The state before.
        destination: The state after.
    """

    key: Key
    source: str
    destination: str


class Way(NamedTuple):
    """Where an object is on its way.

    Attributes:
        version: The number of its definition.
        definition: The definition.
        waited: By state, how often it has waited there.
        iteration: That of its stay, if it waits, or came to rest where it had waited; None if it does neither.
    """

    version: int
    definition: Definition
    waited: dict[str, int]
    iteration: int | None

    def iteration_in(self, state: str) -> int:
        """How often it had been waiting in the state in which it is, before it came there."""
        return self.waited.get(state, 0) if self.iteration is None else self.iteration


def jump(
    flow: Workflow, session: Session, jumps: Sequence[Jump], *, by: str | None = None, user: Any = None,
    write: Callable[[], None] | None = None, by_current: bool = False,
) -> None:  # fmt: skip
    """Let objects jump, with hooks; set at a time.

    Args:
        flow: The workflow.
        session: Theirs.
        jumps: Which, from where, to where.
        by: The id of the one who lets them, as text.
        user: What was given as such.
        write: Writes their states, if that is not done yet.
        by_current: Whether they go by the current definition from now on.

    Raises:
        NotAvailableError: The definition that an object goes by has no such state.
    """
    adapter, value = flow.adapter_of(session), flow.values.value
    ways = ways_of(flow, session, [one.key for one in jumps], by_current=by_current)
    steps = []
    for one in jumps:
        definition = ways[one.key].definition
        if one.destination not in definition.states:
            raise _no_such_state(flow, one, definition)
        row = adapter.row_at(session, flow.model, one.key)
        assert row is not None
        events = ("transition", "complete") if one.destination in definition.final_states else ("transition",)
        for event in events:
            source, destination = value(one.source), value(one.destination)
            steps.append(StepChange(event, flow, row, source, destination, by=by, user=user, jump=True))

    def happen() -> None:
        if write is not None:  # what hooks of the row refuse must leave nothing
            write()
        _write(flow, session, jumps, ways, by)

    adapter.happen(session, steps, happen)


def _no_such_state(flow: Workflow, one: Jump, definition: Definition) -> NotAvailableError:
    key = one.key[0] if len(one.key) == 1 else one.key
    refused = f"{flow.model.__name__} {key!r} cannot jump to {one.destination!r}"
    if any(one.destination in other.states for other in flow.versions.known.values()):
        return NotAvailableError(
            f"{refused}: the definition that it goes by has no such state. Let it go by the current one: "
            f"workflow.migrate(session, ...)."
        )
    return NotAvailableError(f"{refused}: there is no such state.{near(one.destination, definition.states)}")


def ways_of(flow: Workflow, session: Session, keys: Sequence[Key], *, by_current: bool = False) -> dict[Key, Way]:
    """Where objects are on their ways; those that have none yet begin by the current definition."""
    connection, steps, key = flow.connection(session), flow.tables.steps, flow.tables.key
    waited: dict[Key, dict[str, int]] = {}
    last: dict[int, Key] = {}
    for some in chunks(keys):
        iteration = sa.func.max(sa.case((steps.c.rule.is_not(None), steps.c.iteration)))
        asked = sa.select(*key, steps.c.source, iteration, sa.func.max(steps.c.id)).where(flow.keyed(some))
        latest: dict[Key, int] = {}
        for *values, source, highest, number in connection.execute(asked.group_by(*key, steps.c.source)):
            one = tuple(values)
            waited.setdefault(one, {})[source] = 0 if highest is None else highest + 1
            latest[one] = max(latest.get(one, 0), number)
        last |= {number: one for one, number in latest.items()}
    current = None
    if by_current or len(last) < len(keys):
        current = flow.versions.current(connection, flow.adapter_of(session).transaction(session))
    ways = {one: Way(*current, {}, None) for one in keys} if current is not None else {}
    for numbers in chunks(list(last)):
        for row in connection.execute(sa.select(steps).where(steps.c.id.in_(numbers))):
            one = last[row.id]
            its = current if by_current else None
            version, definition = its or (row.version, flow.versions.get(connection, row.version))
            stays = row.iteration if row.status in (PENDING, RESTS, MOVED) else None
            ways[one] = Way(version, definition, waited[one], stays)
    return ways


def _write(flow: Workflow, session: Session, jumps: Sequence[Jump], ways: dict[Key, Way], by: str | None) -> None:
    connection, steps = flow.connection(session), flow.tables.steps
    rows: list[Row] = []
    for some in chunks(jumps):
        waits = flow.keyed([one.key for one in some]) & (steps.c.status == PENDING)
        connection.execute(sa.update(steps).where(waits).values(status=CANCELLED, at=sa.func.current_timestamp()))
        for one in some:
            way, key = ways[one.key], flow.tables.row_of(one.key)
            done = {
                "version": way.version, "rule": None, "source": one.source, "destination": one.destination,
                "position": 0, "iteration": way.iteration_in(one.source), "status": JUMPED, "completes": True, "by": by,
            }  # fmt: skip
            iteration = way.waited.get(one.destination, 0)
            fresh = [waiting(rule, way.version, iteration) for rule in way.definition.first_rules(one.destination)]
            rows += [key | row for row in (done, *fresh)]
    write_rows(flow, connection, rows)
