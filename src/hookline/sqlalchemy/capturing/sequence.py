"""The order in which rows were really changed.

A trigger is told of a change when it is over. What other triggers, or SQLite's foreign keys, did to the same row in the
meantime is in the log before it, though it came after.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hookline.sqlalchemy.capturing.captured import Captured

Values = Mapping[str, Any] | None


@dataclass
class _Chain:
    """What is known of one row: what it was at first, what it is now, and the change that began it."""

    first: Values
    now: Values
    head: Captured


def in_sequence(changes: Iterable[Captured]) -> list[Captured]:
    """Changes of one transaction, each after the one that it builds on.

    Args:
        changes: In the order of the log.

    Returns:
        The same changes. One that does not go on where its row was left, but ends where the row began, is put before
        that beginning; all others stay in order.
    """
    found: list[Captured] = []
    chains: dict[Hashable, _Chain] = {}
    for change in changes:
        source, target = _row(change, change.old or change.new), _row(change, change.new or change.old)
        here, there = chains.get(source), chains.get(target)
        goes_on = here.now == change.old if here is not None else there is None or there.now is None
        if not goes_on and there is not None and change.new is not None and there.first == change.new:
            found.insert(next(n for n, one in enumerate(found) if one is there.head), change)
            there.first, there.head = (change.old if source == target else None), change
            if source != target and here is None:
                chains[source] = _Chain(change.old, None, change)
            continue
        found.append(change)
        if here is None:
            here = chains[source] = _Chain(change.old, None, change)
        here.now = change.new if source == target else None
        if source != target:
            chains.setdefault(target, _Chain(None, None, change)).now = change.new
    return found


def _row(change: Captured, values: Values) -> Hashable:
    """The identity of a row."""
    assert values is not None
    return change.table, *(values.get(column.key) for column in change.table.primary_key.columns)
