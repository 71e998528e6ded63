"""What can happen, and when hooks can run."""

from __future__ import annotations

from typing import Final

from hookline.errors import UnknownEventError, UnknownPhaseError, near

ROW_EVENTS: Final = ("insert", "update", "delete")
LINK_EVENTS: Final = ("link", "unlink")
STEP_EVENTS: Final = ("approve", "transition", "complete")
EVENTS: Final = ROW_EVENTS + LINK_EVENTS + STEP_EVENTS

GROUPS: Final = {
    "save": ("insert", "update"),
    "write": ROW_EVENTS,
}
"""Names for several events at once."""

PHASES: Final = ("before", "check", "after", "before_commit", "after_commit", "after_rollback", "durable")
COMMIT_PHASES: Final = ("before_commit", "after_commit", "after_rollback", "durable")
"""Those that get net changes."""


def events_named(name: str) -> tuple[str, ...]:
    """The events that a name stands for.

    Raises:
        UnknownEventError: There is no such event or group.

    Example:
        >>> events_named("save")
        ('insert', 'update')
    """
    if isinstance(name, str):
        if name in GROUPS:
            return GROUPS[name]
        if name in EVENTS:
            return (name,)
    raise UnknownEventError(f"There is no event {name!r}.{near(str(name), (*EVENTS, *GROUPS))}")


def phase_named(name: str) -> str:
    """The phase of this name.

    Raises:
        UnknownPhaseError: There is none.
    """
    if name not in PHASES:
        raise UnknownPhaseError(f"There is no phase {name!r}.{near(str(name), PHASES)}")
    return name
