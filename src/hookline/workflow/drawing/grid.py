"""The cells of a layered drawing: boxes in the even rows, and in all rows between a way's ends a place for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from hookline.workflow.graph import Edges

# Cells for ways that pass through rows. What the longest ways would need beyond runs under the drawing instead.
_ROOM = 30_000


@dataclass(slots=True, eq=False)
class Cell:
    """A box, or the place of a way in one row: a horizontal piece of line with room for a label above it.

    Attributes:
        row: Where it is, from the left.
        until: The last row that it reaches; itself, unless it runs under the drawing.
        width: Of its content.
        above: Room from its line, or its middle, upwards.
        below: The same downwards.
        weight: How much it resists being moved.
        before: Its neighbours in the row before.
        after: Its neighbours in the row after.
        at: Which it is in its row, from the top.
        y: Where its line is, or its middle.
        port_before: How far from its middle the box before it is met.
        port_after: The same of the box after it.
    """

    row: int
    until: int
    width: float
    above: float
    below: float
    weight: float = 1.0
    before: list[Cell] = field(default_factory=list)
    after: list[Cell] = field(default_factory=list)
    at: float = 0
    y: float = 0.0
    port_before: float = 0.0
    port_after: float = 0.0


@dataclass(frozen=True)
class Grid:
    """Cells in rows.

    Attributes:
        rows: All that stand in a row, from the top.
        boxes: The cell of each state.
        chains: For each way the places through which it leads, from the left, wherever it leads; not its boxes.
        labels: For each way the place of its label.
        under: The places that run under the drawing.
    """

    rows: list[list[Cell]]
    boxes: dict[str, Cell]
    chains: list[list[Cell]]
    labels: list[Cell]
    under: list[Cell]


Size = tuple[float, float]


def grid(layer: Mapping[str, int], edges: Edges, boxes: Mapping[str, Size], labels: Iterable[Size]) -> Grid:
    """Cells for all states and ways.

    Args:
        layer: Of each state.
        edges: The ways as pairs of states.
        boxes: The width and height of each state.
        labels: The same of each way's label; zeros if it has none.
    """
    rows: list[list[Cell]] = [[] for _ in range(2 * max(layer.values()) + 2)]
    made = {name: Cell(2 * at, 2 * at, *_box(*boxes[name])) for name, at in layer.items()}
    for cell in made.values():
        rows[cell.row].append(cell)
    drawn = Grid(rows, made, [], [], [])
    high = _through([abs(layer[a] - layer[b]) for a, b in edges])
    for (source, destination), (width, height), through in zip(edges, labels, high, strict=True):
        ends = sorted((made[source], made[destination]), key=lambda cell: cell.row)
        chain = _chain(drawn, *ends, through=through)
        label = min(chain, key=lambda cell: (abs(2 * cell.row - ends[0].row - ends[1].row), cell.row))
        label = label if label.row % 2 else chain[0]
        label.width, label.above = width, label.above + height
        drawn.chains.append(chain)
        drawn.labels.append(label)
    return drawn


def _box(width: float, height: float) -> tuple[float, float, float]:
    return width, height / 2, height / 2


def _through(spans: list[int]) -> list[bool]:
    """Which ways pass through the rows between their ends: the short ones first, as long as there is room."""
    left, high = _ROOM, [True] * len(spans)
    for way in sorted(range(len(spans)), key=spans.__getitem__):
        left -= 2 * spans[way]
        high[way] = left >= 0 or spans[way] < 3
    return high


def _chain(drawn: Grid, first: Cell, last: Cell, *, through: bool) -> list[Cell]:
    begin, end = first.row + 1, max(first.row + 1, last.row - 1)
    runs = (
        [(row, row) for row in range(begin, end + 1)] if through else [(begin, begin), (begin + 1, end - 1), (end, end)]
    )
    chain = [Cell(row, until, 0.0, 6.0, 6.0) for row, until in runs]
    for cell in chain:
        if cell.row == cell.until:
            drawn.rows[cell.row].append(cell)
        else:
            drawn.under.append(cell)
    linked = [first, *chain, last] if first is not last else [first, *chain]
    for one, other in pairwise(linked):
        if one.row == one.until and other.row == other.until:
            one.after.append(other)
            other.before.append(one)
    for cell in chain:
        cell.weight = 8.0
    return chain
