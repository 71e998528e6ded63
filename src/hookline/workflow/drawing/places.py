"""Where on the paper each cell stands: rows from left to right, and each cell as near its neighbours as it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as chained
from itertools import repeat
from math import inf

from hookline.workflow.drawing.grid import Cell, Grid

_APART = 14.0
_PORT = 14.0
_STRAIGHTEN = 12
_ROUNDED = 1e-6  # What adding in another order may differ by.


@dataclass(frozen=True)
class Columns:
    """Where each row begins and ends, from left to right, and how wide and high all is."""

    left: list[float]
    right: list[float]
    width: float
    height: float


def place(grid: Grid) -> Columns:
    """Give each cell its height on the paper, and say where rows begin and end."""
    _ports(grid)
    for row in grid.rows:
        y = 0.0
        for cell in row:
            cell.y = y + cell.above
            y = cell.y + cell.below + _APART
    for sweep in range(_STRAIGHTEN if sum(map(len, grid.rows)) < 10_000 else 4):
        for row in grid.rows if sweep % 2 == 0 else reversed(grid.rows):
            _settle(row, onward=sweep % 2 == 0)
    _straighten(grid)
    top = min(cell.y - cell.above for row in grid.rows for cell in row)
    for row in grid.rows:
        for cell in row:
            cell.y -= top
    bottom = max(cell.y + cell.below for row in grid.rows for cell in row)
    for cell in grid.under:
        cell.y = bottom + _APART + cell.above
        bottom = cell.y + cell.below
    return _columns(grid, bottom)


def _ports(grid: Grid) -> None:
    """Spread the ways along the sides of each box in the order of their other ends, and make room for them."""
    for box in grid.boxes.values():
        for near, port in ((box.before, "port_after"), (box.after, "port_before")):
            near.sort(key=lambda cell: cell.at)
            for at, cell in enumerate(near):
                setattr(cell, port, (at - (len(near) - 1) / 2) * _PORT)
            box.above = box.below = max(box.above, len(near) * _PORT / 2 + 4)


def _settle(row: list[Cell], *, onward: bool) -> None:
    """Move cells to where their neighbours want them, in their order and apart.

    Among all ways to do so this is the one with the least squares: neighbours that would be too near become a block,
    which stands where its members want it on average (pool adjacent violators).
    """
    blocks: list[tuple[float, float, int]] = []
    offsets, offset = [], 0.0
    for cell in row:
        offset += cell.above
        near = cell.before if onward else cell.after
        weight = cell.weight if near and near[0].weight > 1.0 else 1.0
        total, count = (_wanted(cell, near, onward) - offset) * weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / weight:
            above = blocks.pop()
            total, weight, count = above[0] + total, above[1] + weight, above[2] + count
        blocks.append((total, weight, count))
        offsets.append(offset)
        offset += cell.below + _APART
    starts = chained.from_iterable(repeat(total / weight, count) for total, weight, count in blocks)
    for cell, start, below in zip(row, starts, offsets, strict=True):
        cell.y = start + below


def _wanted(cell: Cell, near: Sequence[Cell], onward: bool) -> float:
    if not near:
        return cell.y
    if onward:
        return sum(one.y - one.port_after for one in near) / len(near) + cell.port_before
    return sum(one.y - one.port_before for one in near) / len(near) + cell.port_after


def _straighten(grid: Grid) -> None:
    """Draw each way level for as many rows as its neighbours allow, at the height where it begins or ends."""
    for chain in grid.chains:
        y = chain[0].before[0].y + chain[0].port_before
        run: list[Cell] = []
        low, high = -inf, inf
        for cell in chain:
            if cell.row != cell.until:
                continue
            least, most = _leeway(cell, grid.rows[cell.row])
            if max(low, least) > min(high, most):
                y = _level(run, low, high, y)
                run, low, high = [], -inf, inf
            run.append(cell)
            low, high = max(low, least), min(high, most)
        end = chain[-1].after[0].y + chain[-1].port_after if chain[-1].after else y
        _level(run, low, high, end if low <= end <= high else y)


def _leeway(cell: Cell, row: list[Cell]) -> tuple[float, float]:
    at = int(cell.at)
    least = row[at - 1].y + row[at - 1].below + _APART + cell.above if at else -inf
    most = row[at + 1].y - row[at + 1].above - _APART - cell.below if at + 1 < len(row) else inf
    return least - _ROUNDED, most + _ROUNDED


def _level(run: Iterable[Cell], low: float, high: float, y: float) -> float:
    level = min(max(y, low), high)
    for cell in run:
        cell.y = level
    return level


def _columns(grid: Grid, height: float) -> Columns:
    left, right, x = [], [], 0.0
    for row, gap in zip(grid.rows, _gaps(grid.rows), strict=True):
        left.append(x)
        right.append(x + max((cell.width for cell in row), default=0.0))
        x = right[-1] + gap
    width = max(end for end, row in zip(right, grid.rows, strict=True) if row)
    return Columns(left, right, width, height)


def _gaps(rows: Iterable[list[Cell]]) -> Iterator[float]:
    """How far the next row is from each: the farther, the steeper the ways between them would be."""
    for row in rows:
        steep = max((abs(one.y - cell.y) for cell in row for one in cell.after), default=0.0)
        yield min(90.0, 30.0 + steep / 6)
