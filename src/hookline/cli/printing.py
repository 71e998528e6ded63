"""How answers are printed: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline.core.status import Attempt, Count, Status

_WIDE = 200
"""Columns where nobody says how many there are: in a pipe, or a log."""

STYLES = {"pending": "yellow", "running": "cyan", "done": "green", "dead": "bold red", "cancelled": "dim"}

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console() -> Console:
    """Where answers go."""
    made = Console(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made = Console(highlight=False, width=_WIDE)
    return made


def table(*headings: str) -> Table:
    """An empty table; what does not fit in a column is folded, never left out."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def state(name: str) -> Text:
    """The name of a state in its colour."""
    return Text(name, STYLES[name])


def span(seconds: float) -> str:
    """Some seconds, as people say them.

    Example:
        >>> span(7), span(150), span(9000), span(200_000)
        ('7 s', '2 min', '2 h', '2 d')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{seconds:.0f} s"


def key(lane: str) -> str:
    """What a delivery is kept in order by, as people say it.

    Example:
        >>> key('["Order",[7]]'), key('"ann@example.org"'), key("")
        ('Order 7', 'ann@example.org', '')
    """
    parsed = json.loads(lane) if lane else ""
    match parsed:
        case [str(model), list(identity)]:
            return " ".join([model, *map(_plain, identity)])
        case _:
            return _plain(parsed)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_json(answer: Any) -> None:
    """Print an answer for programs."""
    typer.echo(json.dumps(answer, indent=2, default=_written))


def _written(value: object) -> object:
    match value:
        case Status():
            told = {name: getattr(value, name) for name in _names(value)}
            changes = json.loads(told.pop("body"))
            return told | {"reason": value.reason, "key": key(value.lane), "changes": changes}
        case Attempt() | Count():
            return {name: getattr(value, name) for name in _names(value)}
        case _:
            return str(value)


def _names(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value)]
