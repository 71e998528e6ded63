"""Objects begin: what they wait for in their first state is written, set at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from hookline.workflow.allowed import allowing
from hookline.workflow.definition import Definition, Rule
from hookline.workflow.entries import PENDING, RESTS
from hookline.workflow.keys import among, chunks

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hookline.workflow.workflow import Workflow

Row = dict[str, Any]

_CHUNK: Final = 10_000
"""Objects that begin at once."""


def waiting(rule: Rule, version: int, iteration: int = 0) -> Row:
    """The row of an approval that waits, but for its object."""
    return {
        "version": version, "rule": rule.number, "source": rule.transition.source,
        "destination": rule.transition.destination, "position": rule.position, "iteration": iteration,
        "status": PENDING, "completes": False, "by": None,
    }  # fmt: skip


def stay(definition: Definition, version: int, state: str, iteration: int = 0) -> list[Row]:
    """The rows of an object that comes into a state, but for the object: what it waits for, or that it rests there."""
    waits = [waiting(rule, version, iteration) for rule in definition.first_rules(state)]
    rests = {
        "version": version, "rule": None, "source": state, "destination": state, "position": 0,
        "iteration": iteration, "status": RESTS, "completes": False, "by": None,
    }  # fmt: skip
    return waits or [rests]


def begin(
    flow: Workflow, connection: sa.Connection, version: int, definition: Definition,
    objects: Iterable[tuple[tuple[Any, ...], str]],
) -> None:  # fmt: skip
    """Let objects wait for the transitions that leave their states.

    Args:
        flow: The workflow.
        connection: Where.
        version: The number of their definition.
        definition: The definition.
        objects: Their keys, with their states.
    """
    templates: dict[str, Sequence[Row]] = {}
    rows: list[Row] = []
    for key, state in objects:
        its = templates.get(state)
        if its is None:
            its = templates[state] = stay(definition, version, state)
        rows += [flow.tables.row_of(key) | row for row in its]
    write_rows(flow, connection, rows)


def write_rows(flow: Workflow, connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Write rows of steps, as of now."""
    if rows:
        connection.execute(sa.insert(flow.tables.steps).inline().values(at=sa.func.current_timestamp()), rows)


def write_state(flow: Workflow, session: Session, state: str, keys: Sequence[tuple[Any, ...]]) -> None:
    """Put objects into a state, as the workflow itself does it; with the hooks of any statement."""
    adapter, key = flow.adapter_of(session), flow.mapper.base_mapper.primary_key
    with allowing(flow, adapter.transaction(session), [(adapter.identity(flow.model, one), state) for one in keys]):
        for some in chunks(keys):
            writing = sa.update(flow.model).where(among(key, some))
            session.execute(writing.values({flow.field: flow.values.value(state)}))


def start(flow: Workflow, session: Session) -> dict[Any, int]:
    """Let objects begin that are not under way: see `Workflow.start`."""
    session.flush()
    connection, tables = flow.connection(session), flow.tables
    connection.execute(tables.lock)
    version, definition = flow.versions.current(connection, flow.adapter_of(session).transaction(session))
    column, key, value = flow.column, list(flow.mapper.base_mapper.primary_key), flow.values.value
    same_object = sa.and_(*(mine == its for mine, its in zip(tables.key, key, strict=True)))
    fresh = ~sa.exists().where(same_object).correlate(column.table)
    stateless = sa.select(*key).where(fresh, column.is_(None))
    write_state(flow, session, definition.initial, [tuple(row) for row in connection.execute(stateless)])
    known = [value(state) for state in definition.states]
    query = sa.select(*key, column).where(fresh, column.in_(known)).limit(_CHUNK)
    while found := connection.execute(query).all():
        begin(flow, connection, version, definition, ((tuple(row[:-1]), flow.values.text(row[-1])) for row in found))
    strangers = sa.select(column, sa.func.count()).where(fresh, column.not_in(known))
    return {row[0]: row[1] for row in connection.execute(strangers.group_by(column))}
