"""A workflow for the terminal: a block for each state, with the ways that leave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hookline.workflow.definition import Definition
from hookline.workflow.drawing.layers import layers
from hookline.workflow.drawing.lettering import columns, wrapped
from hookline.workflow.drawing.picture import Picture, Shown, Way, picture

_COLUMNS = 80


def text(definition: Definition, path: Sequence[tuple[str, str]] = (), current: str | None = None) -> str:
    """Write a workflow as text, in lines of up to 80 columns.

    States come layer by layer, as `svg` draws them from left to right. `→` is where objects begin, `■` where they end,
    `●` where the object is, `✓` where it was and which ways it went.

    Args:
        definition: The workflow.
        path: Which ways an object has gone, in order. What is no transition is a jump, and has a dashed line.
        current: The state in which it is now.

    Example:
        >>> from hookline.workflow.definition import Approval, Transition
        >>> print(text(Definition("new", [Transition("new", "sent", [Approval(groups="courier")])]), [], "new"))
        →  ● new
             └─ → sent   (group courier)
         ■ ○ sent
        <BLANKLINE>
    """
    shown = picture(definition, path, current)
    layer = layers(shown.states, shown.edges, definition.initial)
    leaving: dict[str, list[Way]] = {name: [] for name in shown.states}
    for way in shown.ways:
        leaving[way.source].append(way)
    return "".join(
        f"{line}\n"
        for name in sorted(shown.states, key=layer.__getitem__)
        for line in _block(shown, name, leaving[name])
    )


def _block(shown: Picture, name: str, ways: Sequence[Way]) -> Iterator[str]:
    state = shown.states[name]
    where = f"{'→' if state.initial else ' '}{'■' if state.final else ' '}"
    mark = "●" if state.current else "✓" if state.visited else "○"
    yield from _hung(f"{where} {mark} ", " " * 7, f"{state.label}{_remark(state)}")
    for way in ways:
        last = way is ways[-1]
        branch = f"     {'└' if last else '├'}{'┄' if way.jump else '─'} "
        yield from _hung(branch, f"     {' ' if last else '│'}      ", _told(way, shown.states[way.destination].label))


def _remark(state: Shown) -> str:
    return " (gone)" if state.gone else " (jump only)" if state.jump_only else ""


def _told(way: Way, destination: str) -> str:
    parts = [way.mark, "jump" if way.jump else way.label, f"→ {destination}"]
    approvals = f"   ({', '.join(way.approvals)})" if way.approvals else ""
    return " ".join(part for part in parts if part) + approvals


def _hung(first: str, others: str, told: str) -> Iterator[str]:
    if columns(first + told) <= _COLUMNS:
        yield first + told
        return
    start, *rest = wrapped(told, _COLUMNS - max(columns(first), columns(others)))
    yield first + start.rstrip()
    yield from (others + line.rstrip() for line in rest)
