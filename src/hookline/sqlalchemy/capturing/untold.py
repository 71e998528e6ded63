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

    A row that was told of accounts for one captured row of the same table, operation and key: for the first that has
    the values told, else for the first.

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
    waiting: defaultdict[Hashable, list[Write]] = defaultdict(list)
    for one in told:
        waiting[one.table, one.operation, one.key].append(one)
    if not waiting:
        return list(captured)
    rows = list(captured)
    alike: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        alike[row.table, row.operation, row.key].append(index)
    known = {index for name, indexes in alike.items() for index in _accounted(rows, indexes, waiting.get(name, ()))}
    return [row for index, row in enumerate(rows) if index not in known]


def _accounted(rows: list[W], indexes: list[int], told: Iterable[Write]) -> list[int]:
    """Of rows with one table, operation and key: those that were told of."""
    told = list(told)
    if len(told) >= len(indexes):
        return indexes
    left, found = list(indexes), 0
    for one in told:
        equal = next((index for index in left if _agree(rows[index], one)), None)
        if equal is not None:
            left.remove(equal)
            found += 1
    del left[: len(told) - found]
    return [index for index in indexes if index not in left]


def _agree(row: Write, told: Write) -> bool:
    """Whether all values that were told are those of the row, and any were."""
    pairs = [(mine, known) for mine, known in ((row.old, told.old), (row.new, told.new)) if mine and known]
    return bool(pairs) and all(
        name in mine and bool(mine[name] == value) for mine, known in pairs for name, value in known.items()
    )
