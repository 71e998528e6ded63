"""Writes that hooks do not see yet: never without a word."""

from __future__ import annotations

from sqlalchemy.orm import ORMExecuteState

from hookline.core.plan import Plan
from hookline.errors import UnhookedWriteWarning
from hookline.sqlalchemy.warn import warn


def warn_of_bulk(plan: Plan, state: ORMExecuteState) -> None:
    """Warn that a bulk statement of the ORM goes around the hooks of its model."""
    mapper = state.bind_mapper
    if mapper is None:
        return
    event = "insert" if state.is_insert else "update" if state.is_update else "delete"
    skipped = [hook for hook in plan.hooks if hook in _all_for(plan, event, mapper.class_)]
    if skipped:
        warn(
            f"The bulk {event} of {mapper.class_.__name__} goes around {', '.join(map(str, skipped))}: in this version "
            f"hooks see the unit of work only (add, attribute set, delete). Write through the session's objects, "
            f"or filter this warning if that is meant.",
            UnhookedWriteWarning,
        )


def _all_for(plan: Plan, event: str, model: type) -> set[object]:
    return {hook for phase in {hook.phase for hook in plan.hooks} for hook in plan.for_row(phase, event, model)}
