"""Objects that are under way go on by another definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from hookline.workflow.entries import MOVED, PENDING
from hookline.workflow.jumping import Jump, jump, ways_of
from hookline.workflow.keys import chunks
from hookline.workflow.starting import stay, waiting, write_rows, write_state

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hookline.workflow.definition import Definition, Rule
    from hookline.workflow.workflow import Workflow


@dataclass
class Migration:
    """What `Workflow.migrate` did.

    Attributes:
        moved: How many objects go by the current definition now.
        restarted: How many of these must have approvals again that they had, because their transition asks for others.
        jumped: How many of these were put into another state, by ``states``.
        kept: By state, how many objects keep their definition, because the current one does not have their state.
    """

    moved: int = 0
    restarted: int = 0
    jumped: int = 0
    kept: dict[Any, int] = field(default_factory=dict)

    def __str__(self) -> str:
        kept = "".join(f"; {number} in {state!r} kept theirs" for state, number in self.kept.items())
        return (
            f"{self.moved} moved, {self.restarted} of them with approvals to give again, {self.jumped} by a jump{kept}"
        )


class _Wait(NamedTuple):
    """What is needed of an approval that an object waits for; the fields are columns of the steps."""

    id: int
    version: int
    rule: int
    source: str
    destination: str
    position: int
    iteration: int


def migrate(
    flow: Workflow, session: Session, where: Sequence[Any], states: Mapping[Any, Any], by: str | None
) -> Migration:
    """Let objects go on by the current definition: see `Workflow.migrate`."""
    session.flush()
    connection, steps = flow.connection(session), flow.tables.steps
    connection.execute(flow.tables.lock)
    version, definition = flow.versions.current(connection, flow.adapter_of(session).transaction(session))
    texts = {flow.values.text(old): definition.named(flow.values.text(new)).value for old, new in states.items()}
    done, rows, leaving = Migration(), [], []
    jumps: list[Jump] = []
    under_way = _under_way(flow, connection, version, where)
    ways = ways_of(flow, session, [key for key, (_, waits) in under_way.items() if not waits])
    for key, (state, waits) in under_way.items():
        if state in definition.states:
            rules, restarted = _rules(flow, connection, definition, state, waits)
            if not rules and not waits:
                continue
            iteration = waits[0].iteration if waits else ways[key].iteration_in(state)
            fresh = [waiting(rule, version, iteration) for rule in rules] or stay(definition, version, state, iteration)
            rows += [flow.tables.row_of(key) | row for row in fresh]
            done.moved += 1
            done.restarted += restarted
        elif state in texts:
            jumps.append(Jump(key, state, texts[state]))
        else:
            value = flow.values.value(state)
            done.kept[value] = done.kept.get(value, 0) + 1
            continue
        leaving += [row.id for row in waits]
    for some in chunks(leaving):
        these = steps.c.id.in_(some)
        connection.execute(sa.update(steps).where(these).values(status=MOVED, by=by, at=sa.func.current_timestamp()))
    write_rows(flow, connection, rows)
    if jumps:
        jump(flow, session, jumps, by=by, write=lambda: _write_states(flow, session, jumps), by_current=True)
        done.moved += len(jumps)
        done.jumped = len(jumps)
    return done


def _under_way(
    flow: Workflow, connection: sa.Connection, version: int, where: Sequence[Any]
) -> dict[tuple[Any, ...], tuple[str, list[_Wait]]]:
    """The objects that go by another definition, each with its state and what it waits for."""
    steps, key, model_key = flow.tables.steps, flow.tables.key, flow.mapper.base_mapper.primary_key
    same = sa.and_(*(mine == its for mine, its in zip(key, model_key, strict=True)))
    waits = (steps.c.status == PENDING) & (steps.c.version != version)
    columns = [steps.c[name] for name in _Wait._fields]
    model = sa.select(*model_key, flow.column, *columns).select_from(flow.mapper).outerjoin(steps, same & waits)
    own = steps.alias()
    mine = sa.and_(*(own.c[one.name] == its for one, its in zip(key, model_key, strict=True)))
    elsewhere = sa.exists().where(mine, own.c.version != version).correlate(flow.column.table)
    here = sa.exists().where(mine, own.c.version == version, own.c.status == PENDING).correlate(flow.column.table)
    found: dict[tuple[Any, ...], tuple[str, list[_Wait]]] = {}
    for row in connection.execute(model.where(elsewhere, ~here, *where).order_by(*model_key, steps.c.id)):
        object_key, state, wait = tuple(row[: len(key)]), row[len(key)], _Wait(*row[len(key) + 1 :])
        its = found.setdefault(object_key, (flow.values.text(state), []))[1]
        if wait.id is not None:
            its.append(wait)
    return found


def _rules(
    flow: Workflow, connection: sa.Connection, definition: Definition, state: str, waits: Sequence[_Wait]
) -> tuple[Sequence[Rule], bool]:
    """What an object is asked for now, and whether it must have approvals again that it had."""
    first = definition.first_rules(state)
    if not waits or waits[0].position == 0:
        return first, False
    row = waits[0]
    before = flow.versions.get(connection, row.version).rules[row.rule].transition.approvals
    rule = definition.rule_of(row.source, row.destination, row.position)
    if rule is None or rule.transition.approvals[: row.position] != before[: row.position]:
        return first, True
    return [rule], False


def _write_states(flow: Workflow, session: Session, jumps: Sequence[Jump]) -> None:
    by_state: dict[str, list[tuple[Any, ...]]] = {}
    for one in jumps:
        by_state.setdefault(one.destination, []).append(one.key)
    for state, keys in by_state.items():
        write_state(flow, session, state, keys)
