"""Taking down what hooks were told, in a form that tests can compare."""

from __future__ import annotations

from typing import Any

from hookline import Change, Hooks, LinkChange


def brief(change: Change[Any]) -> tuple[Any, ...]:
    """A change as a tuple: event, class, and what differs."""
    if isinstance(change, LinkChange):
        return change.event, change.relation, change.subject_key, change.object_key
    old, new = change.old, change.new
    if change.event == "update":
        return "update", change.model.__name__, {n: (old[n], new[n]) for n in sorted(change.fields)}
    row = new if change.event == "insert" else old
    return change.event, change.model.__name__, {n: row[n] for n in sorted(change.fields)}


class Log(list[Any]):
    """What hooks were told, in order; `take` empties it."""

    def take(self) -> list[Any]:
        taken = list(self)
        self.clear()
        return taken


def committed(hooks: Hooks, *targets: Any, event: str = "write") -> Log:
    """Register an `after_commit` hook that logs net changes."""
    log = Log()

    def log_committed(changes: list[Change[Any]]) -> None:
        log.extend(sorted(map(brief, changes), key=repr))

    hooks.add(log_committed, "after_commit", event, targets or None, name=f"log {event} {len(hooks)}")
    return log


def logged(hooks: Hooks, phase: str, *targets: Any, event: str = "write", **options: Any) -> Log:
    """Register a hook of any phase that logs changes."""
    log = Log()

    def log_changes(change: Change[Any]) -> None:
        log.append(brief(change))

    hooks.add(log_changes, phase, event, targets or None, name=f"log {phase} {event} {len(hooks)}", **options)
    return log
