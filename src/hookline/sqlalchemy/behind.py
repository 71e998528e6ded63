"""What a flush wrote behind the hooks' backs: rows and values that came after `before` and `check`.

Other listeners of the flush may add rows or edit values when Hookline has looked already. Such writes are checked
all the same, after the fact; and where a `before` hook missed one, that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.core.plan import Plan
from hookline.errors import UnhookedWriteWarning
from hookline.sqlalchemy.change import RowChange
from hookline.sqlalchemy.concern import Concerns
from hookline.sqlalchemy.warn import warn

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


def rows_behind(
    host: SessionHost, concerns: Concerns, rows: Iterable[RowChange], context: UOWTransaction
) -> Iterator[RowChange]:
    """Rows of hooked classes that were written, but are not among those that hooks were told of."""
    known = {change.state for change in rows}
    for state, (is_delete, list_only) in list(context.states.items()):
        if list_only or state in known or state._deleted:
            continue
        concern = concerns.of(state.class_)
        if concern is None or concern.interest is None:
            continue
        event = "delete" if is_delete else "insert" if state in host.session._new else "update"
        change = RowChange(event, state, concern.facts, host)
        change.freeze()
        if event != "update" or change.fields:
            _tell(concerns.plan, change)
            yield change


def edited_behind(change: RowChange) -> bool:
    """Whether a row was written with other values than those that `check` was shown."""
    shown, facts = change.checked or {}, change.facts
    now: Any = change.known_new()
    return any(
        name in now and not change.same(name, value, now[name])
        for name, value in shown.items()
        if name not in facts.silent and name not in change.synced and not (value is None and name in facts.filled)
    )


def _tell(plan: Plan, change: RowChange) -> None:
    skipped = plan.for_row("before", change.event, change.model)
    if skipped:
        warn(
            f"{change!r} was written by another listener of this flush, after the `before` hooks had run; "
            f"{', '.join(str(hook) for hook in skipped)} did not see it. `check` and `after` do. "
            f"Register that listener before attach(), or make it a hook.",
            UnhookedWriteWarning,
        )
