"""``hookline deliveries counts``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from hookline.cli.asking import ask
from hookline.cli.printing import STYLES, AsJSON, as_json, console, span, table
from hookline.cli.rulebook import Of, Target
from hookline.core.status import STATES, Count


def counts(target: Target, of: Of = None, json: AsJSON = False) -> None:
    """Count deliveries by hook and state, with ages: for monitoring."""
    found = ask(target, of, lambda deliveries: deliveries.counts())
    if json:
        as_json(found)
        return
    listed = table("hook", *STATES, "oldest unfinished", "late by")
    by_hook: dict[str, list[Count]] = {}
    for count in found:
        by_hook.setdefault(count.hook, []).append(count)
    for hook, some in by_hook.items():
        listed.add_row(*_row(hook, some))
    console().print(listed)


def _row(hook: str, some: Sequence[Count]) -> list[str | Text]:
    numbers = {count.state: count.number for count in some}
    unfinished = [count for count in some if count.state in ("pending", "running")]
    late = max((count.overdue for count in unfinished), default=0.0)
    return [
        Text(hook),
        *(Text(str(numbers[name]), STYLES[name]) if name in numbers else "" for name in STATES),
        span(max(count.oldest for count in unfinished)) if unfinished else "",
        span(late) if late else "",
    ]
