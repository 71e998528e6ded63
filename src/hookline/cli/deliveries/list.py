"""``hookline deliveries list``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from hookline.cli.asking import ask
from hookline.cli.deliveries.filters import HookName, State
from hookline.cli.printing import AsJSON, as_json, console, key, span, state, table
from hookline.cli.rulebook import Of, Target
from hookline.core.status import Status


def list_(
    target: Target,
    of: Of = None,
    state: State = None,
    hook: HookName = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: AsJSON = False,
) -> None:
    """List deliveries, the latest first."""
    found = ask(target, of, lambda deliveries: deliveries.list(state=state, hook=hook, limit=limit))
    if json:
        as_json(found)
        return
    listed = table("id", "state", "hook", "key", "tries", "age", "due", "error")
    for one in found:
        listed.add_row(*_row(one))
    console().print(listed)


def _row(one: Status) -> list[str | Text]:
    return [
        str(one.id),
        state(one.state),
        Text(one.hook),
        Text(key(one.lane)),
        str(one.attempts),
        span(one.age),
        due(one),
        Text(one.reason),
    ]


def due(one: Status) -> str:
    """When something happens to a delivery; empty if nothing will."""
    match one.state:
        case "pending":
            return "now" if one.due_in <= 0 else f"in {span(one.due_in)}"
        case "running":
            return "lease is over" if one.due_in <= 0 else f"lease of {span(one.due_in)}"
        case _:
            return ""
