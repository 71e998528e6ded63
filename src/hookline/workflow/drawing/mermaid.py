"""A workflow as Mermaid, for pages that draw it themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hookline.workflow.definition import Definition
from hookline.workflow.drawing.picture import Picture, Shown, Way, picture

# Only letters, digits and what binds two of them stay as they are: the rest may be syntax of Mermaid, of Markdown or
# of HTML. So is "direction LR", wherever it stands in a line.
_SYNTAX = re.compile(r"(?<=direction) |(?!(?<=[^\W_])[-._](?=[^\W_]))[^\w ,/]|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE)

_CLASSES = {
    "visited": "stroke:#0969da,stroke-width:3px",
    "current": "fill:#0969da,color:#ffffff,stroke:#0969da",
    "jump_only": "stroke-dasharray:5 4",
    "gone": "stroke-dasharray:5 4,font-style:italic",
}


def mermaid(definition: Definition, path: Sequence[tuple[str, str]] = (), current: str | None = None) -> str:
    """Write a workflow as a state diagram of Mermaid.

    Args:
        definition: The workflow.
        path: Which ways an object has gone, in order: these have a tick. What is no transition is a jump, and is
            said to be one.
        current: The state in which it is now: this is filled.

    Returns:
        A diagram, for a block of Markdown that begins with "```mermaid".

    Example:
        >>> from hookline.workflow.definition import Approval, Transition
        >>> print(mermaid(Definition("new", [Transition("new", "sent", [Approval(groups="courier")])])))
        stateDiagram-v2
            direction LR
            state "new" as s0
            state "sent" as s1
            [*] --> s0
            s0 --> s1 : group courier
            s1 --> [*]
        <BLANKLINE>
    """
    shown = picture(definition, path, current)
    return "".join(f"{line}\n" for line in ("stateDiagram-v2", *(f"    {line}" for line in _lines(shown))))


def _lines(shown: Picture) -> Iterator[str]:
    ids = {name: f"s{number}" for number, name in enumerate(shown.states)}
    yield "direction LR"
    for name, state in shown.states.items():
        yield f'state "{_escaped(state.label)}{" #40;gone#41;" if state.gone else ""}" as {ids[name]}'
    yield from (f"[*] --> {ids[name]}" for name, state in shown.states.items() if state.initial)
    for way in shown.ways:
        told = _told(way)
        yield f"{ids[way.source]} --> {ids[way.destination]}{' : ' if told else ''}{told}"
    yield from (f"{ids[name]} --> [*]" for name, state in shown.states.items() if state.final)
    yield from _classes(shown, ids)


def _told(way: Way) -> str:
    first = " ".join(part for part in (way.mark, "jump" if way.jump else "", _escaped(way.label)) if part)
    return "<br/>".join(part for part in (first, *map(_escaped, way.approvals)) if part)


def _classes(shown: Picture, ids: dict[str, str]) -> Iterator[str]:
    for kind, style in _CLASSES.items():
        members = [ids[name] for name, state in shown.states.items() if _is(state, kind)]
        if members:
            yield f"classDef {kind} {style}"
            yield f"class {','.join(members)} {kind}"


def _is(state: Shown, kind: str) -> bool:
    return bool(getattr(state, kind))


def _escaped(text: str) -> str:
    return _SYNTAX.sub(lambda found: f"#{ord(found[0])};", text)
