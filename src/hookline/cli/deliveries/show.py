"""``hookline deliveries show``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from hookline.cli.asking import ask
from hookline.cli.deliveries.list import due
from hookline.cli.printing import AsJSON, as_json, console, key, span, state
from hookline.cli.rulebook import Of, Target
from hookline.core.status import Status


def show(
    target: Target,
    id: Annotated[int, typer.Argument(help="Its number.", show_default=False)],  # noqa: A002 - what everybody calls it
    of: Of = None,
    json: AsJSON = False,
) -> None:
    """Show one delivery: what it is about, and each try that failed."""
    found = ask(target, of, lambda deliveries: deliveries.show(id))
    if json:
        as_json(found)
        return
    out = console()
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found):
        if value:
            facts.add_row(Text(name, "bold"), value)
    out.print(facts)
    out.print("\nchanges", style="bold")
    out.print(JSON(found.body))
    for attempt in found.history:
        by = f" by {attempt.worker}" if attempt.worker else ""
        out.print(Text(f"\nattempt {attempt.number} failed at {attempt.ended_at:%Y-%m-%d %H:%M:%S} UTC{by}", "bold"))
        out.print(Text(attempt.error.rstrip()))


def _facts(one: Status) -> list[tuple[str, str | Text]]:
    return [
        ("id", str(one.id)),
        ("hook", Text(one.hook)),
        ("key", Text(key(one.lane))),
        ("state", state(one.state)),
        ("tries", str(one.attempts)),
        ("age", span(one.age)),
        ("due", due(one)),
        ("ended", f"{one.ended_at:%Y-%m-%d %H:%M:%S} UTC" if one.ended_at else ""),
        ("worker", Text(one.worker or "")),
        ("error", Text(one.reason)),
    ]
