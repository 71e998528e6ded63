"""Which captured rows nobody has been told of yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

Values = Mapping[str, Any]


class Write(Protocol):
    """One row written, as whoever knows of it describes it."""

    @property
    def table(self) -> Hashable:
        """Its table."""

    @property
    def operation(self) -> str:
        """``insert``, ``update`` or ``delete``."""

    @property
    def key(self) -> Hashable:
        """Its primary key; of an update, the one before."""

    @property
    def old(self) -> Values | None:
        """The values before, as far as they are known."""

    @property
    def new(self) -> Values | None:
        """The values afterwards, as far as they are known."""


class Told(NamedTuple):
    """A write that the session's hooks have been told of."""

    table: Hashable
    operation: str
    key: Hashable
    old: Values | None = None
    new: Values | None = None


W = TypeVar("W", bound=Write)


def untold(captured: Iterable[W], told: Iterable[Write]) -> list[W]:
    """The captured rows that nobody has been told of.

    What happened to one row is told in the order in which it happened, so what was told of it is found in order among
    what was captured of it: as much of it as there is, and as much as possible with the values that were told.

    Args:
        captured: What triggers took down, in order.
        told: What was told, in order.

    Returns:
        The others, in order.

    Example:
        >>> person = ("person", "update", (7,))
        >>> captured = [Told(*person, new={"age": 1}), Told(*person, new={"age": 2})]
        >>> untold(captured, [Told(*person, new={"age": 2})])[0].new
        {'age': 1}
    """
    rows = list(captured)
    waiting: defaultdict[Hashable, list[Write]] = defaultdict(list)
    for one in told:
        waiting[one.table, one.key].append(one)
    if not waiting:
        return rows
    alike: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        alike[row.table, row.key].append(index)
    known = {
        indexes[place]
        for name, indexes in alike.items()
        if name in waiting
        for place in _accounted([rows[index] for index in indexes], waiting[name])
    }
    return [row for index, row in enumerate(rows) if index not in known]


def _accounted(rows: list[W], told: list[Write]) -> Iterable[int]:
    """Of what was captured of one row: the places of what was told of it."""
    if [row.operation for row in rows] == [one.operation for one in told]:
        return range(len(rows))
    # The best way to find the first n of what was told among the first m of what was captured: how many, how many of
    # them with equal values, and where. A longest common subsequence.
    best: list[list[tuple[int, int, tuple[int, ...]]]] = [[(0, 0, ())] * (len(rows) + 1)]
    for one in told:
        line: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
        for place, row in enumerate(rows):
            ways = [line[place], best[-1][place + 1]]
            if row.operation == one.operation:
                count, equal, places = best[-1][place]
                ways.append((count + 1, equal + _agree(row, one), (*places, place)))
            line.append(max(ways, key=lambda way: way[:2]))
        best.append(line)
    return best[-1][-1][2]


def _agree(row: Write, told: Write) -> bool:
    """Whether all values that were told are those of the row, and any were."""
    pairs = [(mine, known) for mine, known in ((row.old, told.old), (row.new, told.new)) if mine and known]
    return bool(pairs) and all(
        name in mine and bool(mine[name] == value) for mine, known in pairs for name, value in known.items()
    )
