"""Jumps: objects are put into a state that nobody has approved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from hookline.core.step import StepChange
from hookline.errors import NotAvailableError, near
from hookline.workflow.entries import CANCELLED, JUMPED, PENDING
from hookline.workflow.starting import Row, waiting, write_rows

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hookline.workflow.definition import Definition
    from hookline.workflow.workflow import Workflow

_CHUNK: Final = 500
"""Keys in a statement."""

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
        iterations: By state, how often it has waited there.
    """

    version: int
    definition: Definition
    iterations: dict[str, int]


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
        _write(flow, session, jumps, ways, by)
        if write is not None:
            write()

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
    found: dict[Key, tuple[int, dict[str, int]]] = {}
    for some in _chunks(keys):
        last = sa.func.max(steps.c.id)
        waited = sa.func.max(sa.case((steps.c.rule.is_not(None), steps.c.iteration)))
        asked = sa.select(*key, steps.c.source, waited, last).where(flow.keyed(some))
        seen: dict[Key, tuple[int, dict[str, int]]] = {}
        for *values, source, iteration, number in connection.execute(asked.group_by(*key, steps.c.source)):
            latest, iterations = seen.get(tuple(values), (0, {}))
            iterations[source] = 0 if iteration is None else iteration + 1
            seen[tuple(values)] = max(latest, number), iterations
        numbers = [number for number, _ in seen.values()]
        versions = sa.select(steps.c.id, steps.c.version).where(steps.c.id.in_(numbers))
        by_number = {row.id: row.version for row in connection.execute(versions)}
        found |= {one: (by_number[number], iterations) for one, (number, iterations) in seen.items()}
    ways = {
        one: Way(version, flow.versions.get(connection, version), iterations)
        for one, (version, iterations) in found.items()
        if not by_current
    }
    if len(ways) < len(keys):
        version, definition = flow.versions.current(connection, flow.adapter_of(session).transaction(session))
        for one in keys:
            ways.setdefault(one, Way(version, definition, found[one][1] if one in found else {}))
    return ways


def _write(flow: Workflow, session: Session, jumps: Sequence[Jump], ways: dict[Key, Way], by: str | None) -> None:
    connection, steps = flow.connection(session), flow.tables.steps
    names = [column.name for column in flow.tables.key]
    rows: list[Row] = []
    for some in _chunks(jumps):
        waits = flow.keyed([one.key for one in some]) & (steps.c.status == PENDING)
        connection.execute(sa.update(steps).where(waits).values(status=CANCELLED, at=sa.func.current_timestamp()))
        for one in some:
            way, key = ways[one.key], dict(zip(names, one.key, strict=True))
            visited = max(way.iterations.get(one.source, 0) - 1, 0)
            done = {
                "version": way.version, "rule": None, "source": one.source, "destination": one.destination,
                "position": 0, "iteration": visited, "status": JUMPED, "completes": True, "by": by,
            }  # fmt: skip
            iteration = way.iterations.get(one.destination, 0)
            fresh = [waiting(rule, way.version, iteration) for rule in way.definition.first_rules(one.destination)]
            rows += [key | row for row in (done, *fresh)]
    write_rows(flow, connection, rows)


def _chunks(several: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (several[start : start + _CHUNK] for start in range(0, len(several), _CHUNK))
