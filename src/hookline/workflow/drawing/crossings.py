"""In which order the cells of each row stand, so that few ways cross: barycentre sweeps."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence

from hookline.workflow.drawing.grid import Cell

Rows = Sequence[list[Cell]]


def untangle(rows: Rows) -> None:
    """Order each row by the middle of each cell's neighbours, to and fro, and keep the best that was seen.

    The larger the drawing, the fewer the sweeps.
    """
    _number(rows)
    best, fewest = [list(row) for row in rows], crossings(rows)
    for sweep in range(max(3, min(24, 60_000 // sum(map(len, rows))))):
        if not fewest:
            break
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _sort(row, onward=sweep % 2 == 0)
        found = crossings(rows)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept
    _number(rows)


def _sort(row: list[Cell], *, onward: bool) -> None:
    middles = {}
    for cell in row:
        near = cell.before if onward else cell.after
        middles[cell] = sum(one.at for one in near) / len(near) if near else cell.at
    row.sort(key=middles.__getitem__)
    _number([row])


def _number(rows: Iterable[list[Cell]]) -> None:
    for row in rows:
        for at, cell in enumerate(row):
            cell.at = at


def crossings(rows: Rows) -> int:
    """How many pairs of ways cross between neighbouring rows, as the cells are numbered."""
    count = 0
    for row in rows:
        ends: list[float] = []
        for cell in row:
            these = sorted(one.at for one in cell.after)
            count += sum(len(ends) - bisect_right(ends, end) for end in these)
            for end in these:
                insort(ends, end)
    return count
