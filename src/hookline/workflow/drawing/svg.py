"""A workflow as a picture by itself: SVG for light and dark pages, and for readers who hear it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from hookline.workflow.definition import Definition
from hookline.workflow.drawing.crossings import untangle
from hookline.workflow.drawing.grid import Cell, grid
from hookline.workflow.drawing.layers import layers
from hookline.workflow.drawing.lettering import ems, wrapped
from hookline.workflow.drawing.picture import Picture, Shown, Way, picture
from hookline.workflow.drawing.places import Columns, place
from hookline.workflow.drawing.style import STYLE

_SIZE, _SMALL = 14.0, 11.5
_LINE, _SMALL_LINE = 18.0, 14.0
_MARGIN, _BEFORE = 20.0, 34.0
_MOST = 6


def svg(definition: Definition, path: Sequence[tuple[str, str]] = (), current: str | None = None) -> str:
    """Draw a workflow as SVG, from left to right.

    Args:
        definition: The workflow.
        path: Which ways an object has gone, in order: these are bold. What is no transition is a dashed jump.
        current: The state in which it is now: this is filled.

    Returns:
        An image that stands alone, or in HTML as it is.

    Example:
        >>> from hookline.workflow.definition import Transition
        >>> svg(Definition("new", [Transition("new", "sent")])).startswith("<svg ")
        True
    """
    shown = picture(definition, path, current)
    names = {name: _lines(state.label, 190 / _SIZE) for name, state in shown.states.items()}
    labels = [_label(way) for way in shown.ways]
    drawn = grid(
        layers(shown.states, shown.edges, definition.initial),
        shown.edges,
        {name: _size(lines, _SIZE, _LINE, 28, 22) for name, lines in names.items()},
        [_size(lines, _SMALL, _SMALL_LINE, 8, 0) if lines else (0.0, 0.0) for lines in labels],
    )
    untangle(drawn.rows)
    columns = place(drawn)
    ways = (
        _way(shown.states, *each, drawn.boxes, columns)
        for each in zip(shown.ways, labels, drawn.chains, drawn.labels, strict=True)
    )
    states = (_state(state, names[name], drawn.boxes[name], columns) for name, state in shown.states.items())
    left, top = -_BEFORE - _MARGIN, -_MARGIN
    width, height = columns.width + _MARGIN - left, columns.height + _MARGIN - top
    view = f'viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}"'
    size = f'width="{width:.0f}" height="{height:.0f}"'
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="workflow" role="img" {size} {view}>',
        f"<title>{escape(_title(shown, definition.initial))}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" x="{left:.0f}" y="{top:.0f}" {size}/>',
        *ways,
        *states,
        "</svg>",
    )
    return "".join(f"{line}\n" for line in lines)


def _title(shown: Picture, initial: str) -> str:
    here = "".join(f"; now in {state.label}" for state in shown.states.values() if state.current)
    return f"Workflow of {len(shown.states)} states, from {shown.states[initial].label}{here}"


def _label(way: Way) -> list[str]:
    words = [way.label, *way.approvals, "jump" if way.jump else "", way.often]
    return [line for one in words if one for line in _lines(one, 210 / _SMALL)]


def _lines(text: str, room: float) -> list[str]:
    """Lines of a text, up to a number; its title tells the rest."""
    lines = wrapped(text, room, ems)
    return lines if len(lines) <= _MOST else [*lines[: _MOST - 1], "…"]


def _size(lines: Sequence[str], size: float, line: float, around: float, above: float) -> tuple[float, float]:
    return max(map(ems, lines)) * size + around, len(lines) * line + above


def _state(state: Shown, lines: Sequence[str], cell: Cell, columns: Columns) -> str:
    left, width = columns.left[cell.row], columns.right[cell.row] - columns.left[cell.row]
    top, height = cell.y - cell.above, cell.above + cell.below
    traits = ("initial", "final", "jump_only", "gone", "visited", "current")
    told = [trait.replace("_", "-") for trait in traits if getattr(state, trait)]
    parts = [f"<title>{escape(': '.join([state.label, ', '.join(told)] if told else [state.label]))}</title>"]
    if state.initial:
        parts.append(f'<circle class="start" cx="{left - 28:.1f}" cy="{cell.y:.1f}" r="6"/>')
        parts.append(_arrow(f"M{left - 22:.1f} {cell.y:.1f}H{left - 7:.1f}", left, cell.y, 1))
    parts.append(_box("outer", left, top, width, height, 9))
    if state.final:
        parts.append(_box("inner", left + 4, top + 4, width - 8, height - 8, 6))
    parts.append(_text(lines, left + width / 2, cell.y - (len(lines) - 1) * _LINE / 2 + 5, _LINE))
    return f'<g class="{" ".join(["state", *told])}">{"".join(parts)}</g>'


def _box(kind: str, x: float, y: float, width: float, height: float, round_: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_:.0f}"/>'


def _text(lines: Iterable[str], x: float, y: float, line: float) -> str:
    spans = (f'<tspan x="{x:.1f}" y="{y + at * line:.1f}">{escape(one)}</tspan>' for at, one in enumerate(lines))
    return f"<text>{''.join(spans)}</text>"


def _way(
    states: dict[str, Shown],
    way: Way,
    lines: Sequence[str],
    chain: Sequence[Cell],
    label: Cell,
    boxes: dict[str, Cell],
    columns: Columns,
) -> str:
    told = "; ".join([part for part in (way.label, *way.approvals) if part] or ["anybody"])
    ends = f"{states[way.source].label} → {states[way.destination].label}"
    title = " ".join([f"{ends}: {'jump' if way.jump else told}", *([way.mark] if way.times else [])])
    kinds = ["way", *(["jump"] if way.jump else []), *(["passed"] if way.times else [])]
    text = ""
    if lines:
        middle = (columns.left[label.row] + columns.right[label.row]) / 2
        text = _text(lines, middle, label.y - 6 - (len(lines) - 1) * _SMALL_LINE, _SMALL_LINE)
    line = _line(boxes[way.source], chain, boxes[way.destination], columns)
    return f'<g class="{" ".join(kinds)}"><title>{escape(title)}</title>{line}{text}</g>'


def _line(source: Cell, chain: Sequence[Cell], destination: Cell, columns: Columns) -> str:
    """The line of a way with its arrowhead: level within rows, so that it meets no box, and curved between them."""
    first, last = sorted((source, destination), key=lambda cell: cell.row)
    begin = (columns.right[first.row], first.y + chain[0].port_before)
    if source is destination:
        x, y = columns.left[chain[0].row], chain[0].y
        round_ = f"H{x + 6:.1f}A4 4 0 0 1 {x + 6:.1f} {y + 4:.1f}H{x:.1f}"
        out, back = _curve(begin[0], begin[1] - 4, x, y - 4), _curve(x, y + 4, begin[0] + 7, begin[1] + 4)
        return _arrow(f"M{begin[0]:.1f} {begin[1] - 4:.1f}{out}{round_}{back}", begin[0], begin[1] + 4, -1)
    end = (columns.left[last.row], last.y + chain[-1].port_after)
    stops = [begin]
    for cell in chain:
        stops += [(columns.left[cell.row], cell.y), (columns.right[cell.until], cell.y)]
    stops.append(end)
    onward = source is first
    if not onward:
        stops.reverse()
    x, y = stops[-1]
    stops[-1] = (x - 7 if onward else x + 7, y)
    return _arrow("".join(_pieces(stops)), x, y, 1 if onward else -1)


def _pieces(stops: Sequence[tuple[float, float]]) -> Iterator[str]:
    at = stops[0]
    yield f"M{at[0]:.1f} {at[1]:.1f}"
    for one in stops[1:]:
        if abs(one[1] - at[1]) > 0.05:
            yield _curve(*at, *one)
        elif one[0] != at[0]:
            yield f"H{one[0]:.1f}"
        at = one


def _curve(x: float, y: float, end_x: float, end_y: float) -> str:
    middle = (x + end_x) / 2
    return f"C{middle:.1f} {y:.1f} {middle:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}"


def _arrow(line: str, x: float, y: float, onward: int) -> str:
    back = x - 9 * onward
    head = f"M{x:.1f} {y:.1f}L{back:.1f} {y - 4.5:.1f}V{y + 4.5:.1f}Z"
    return f'<path class="line" d="{line}"/><path class="head" d="{head}"/>'
