"""The hooks of a workflow itself: they begin and end the ways of objects, and keep others from writing states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from hookline.core.change import Change
from hookline.core.conditions import Condition, changed
from hookline.core.transaction import Transaction
from hookline.errors import Problem, ValidationError
from hookline.workflow.allowed import allowed
from hookline.workflow.jumping import Jump, jump
from hookline.workflow.keys import chunks
from hookline.workflow.starting import begin

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hookline.core.registry import Hooks
    from hookline.workflow.workflow import Workflow

Changes = list[Change[Any]]

_LATE: Final = 1_000_000
"""Their order among `before` hooks: the application's own may choose the state first."""


def govern(flow: Workflow, book: Hooks) -> None:
    """Add the hooks of a workflow to a rule book."""
    model, field = flow.model, flow.field
    governed = _Governed(flow)
    options: dict[str, Any] = {"protected": True}
    book.add(
        governed.give_initial_state, "before", "insert", model, name=f"{flow.name}: initial state", order=_LATE,
        bypass="allow", **options,
    )  # fmt: skip
    options["bypass"] = flow.bypass
    book.add(governed.begin, "after", "insert", model, name=f"{flow.name}: begin", order=-_LATE, **options)
    book.add(governed.end, "after", "delete", model, name=f"{flow.name}: end", **options)
    book.add(governed.move, "after", "update", model, name=f"{flow.name}: new key", when=_KeyMoves(flow), **options)
    guarding = {"when": changed(field), **options}
    if flow.direct == "refuse":
        book.add(governed.refuse, "check", "update", model, name=f"{flow.name}: guard", **guarding)
        return
    book.add(governed.jump, "after", "update", model, name=f"{flow.name}: jump", order=-_LATE, **guarding)


class _KeyMoves(Condition):
    """The row is given another key."""

    def __init__(self, flow: Workflow) -> None:
        self._names = [flow.mapper.get_property_by_column(one).key for one in flow.mapper.primary_key]

    def __call__(self, change: Change[Any]) -> bool:
        return change.identity != change.identity_before

    def names(self) -> Iterator[str]:
        return iter(self._names)

    def needs(self) -> frozenset[str] | None:
        return frozenset(self._names)

    def __str__(self) -> str:
        return "given another key"


class _Governed:
    """The functions of these hooks."""

    def __init__(self, flow: Workflow) -> None:
        self._flow = flow

    def give_initial_state(self, changes: Changes, session: Session) -> None:
        """Objects begin in the initial state; with ``direct="jump"``, in any."""
        flow = self._flow
        definition = flow.current(session)
        initial = flow.values.value(definition.initial)
        for change in changes:
            if change.new.get(flow.field) is None:
                change.new[flow.field] = initial

    def begin(self, changes: Changes, session: Session, tx: Transaction) -> None:
        """What they wait for is written."""
        flow = self._flow
        connection = flow.connection(session)
        version, definition = flow.versions.current(connection, tx)
        objects, refused = [], []
        for change in changes:
            state = change.new[flow.field]
            text = None if state is None else flow.values.text(state)
            known = text in definition.states
            if text is None or not known or (text != definition.initial and flow.direct != "jump"):
                initial = flow.values.value(definition.initial)
                refused.append(self._refusal(change, "initial_state", "objects begin in the state {initial!r}, not in "
                               "{state!r}", {"initial": initial, "state": state}))  # fmt: skip
            else:
                objects.append((_key(change), text))
        _raise(refused)
        begin(flow, connection, version, definition, objects)

    def end(self, changes: Changes, session: Session) -> None:
        """An object that is deleted takes its way with it; databases do so, too, where they look after foreign keys."""
        connection, steps = self._flow.connection(session), self._flow.tables.steps
        keys = [_key_before(change) for change in changes]
        for some in chunks(keys):
            connection.execute(sa.delete(steps).where(self._flow.keyed(some)))

    def move(self, changes: Changes, session: Session) -> None:
        """An object whose key changes keeps its way; likewise."""
        connection, tables = self._flow.connection(session), self._flow.tables
        for change in changes:
            before = (mine == old for mine, old in zip(tables.key, _key_before(change), strict=True))
            connection.execute(sa.update(tables.steps).where(*before).values(tables.row_of(_key(change))))

    def refuse(self, changes: Changes, tx: Transaction) -> None:
        """The field is written by the workflow only."""
        flow, permitted = self._flow, allowed(self._flow, tx)
        refused = []
        for change in changes:
            state = change.new[flow.field]
            if (change.identity, "" if state is None else flow.values.text(state)) not in permitted:
                refused.append(
                    self._refusal(
                        change,
                        "workflow",
                        "goes from {old!r} to {new!r} by its workflow only: workflow.of(entity).approve(user), or "
                        ".jump_to({new!r})",
                        {"old": change.old[flow.field], "new": state},
                    )
                )
        _raise(refused)

    def jump(self, changes: Changes, session: Session, tx: Transaction) -> None:
        """A write of the field is a jump. Its row is written already; what `before` hooks refuse is rolled back."""
        flow, permitted = self._flow, allowed(self._flow, tx)
        text, field = flow.values.text, flow.field
        meant = [
            Jump(_key(change), text(change.old[field]), text(change.new[field]))
            for change in changes
            if (change.identity, text(change.new[field])) not in permitted
        ]
        if meant:
            jump(flow, session, meant)

    def _refusal(self, change: Change[Any], code: str, message: str, parameters: dict[str, Any]) -> ValidationError:
        entity = change.entity if change.door == "unit of work" else change.model
        return ValidationError(entity, {self._flow.field: Problem(entity, self._flow.field, code, message, parameters)})


def _key(change: Change[Any]) -> tuple[Any, ...]:
    return change.key if isinstance(change.key, tuple) else (change.key,)


def _key_before(change: Change[Any]) -> tuple[Any, ...]:
    known: Any = change.identity_before
    return tuple(known[1])


def _raise(refused: Iterable[ValidationError]) -> None:
    several = list(refused)
    if several:
        raise ValidationError.gather(several)
