"""``hookline deliveries retry``."""

from __future__ import annotations

from hookline.cli.deliveries.filters import HookName, Ids, State, Yes
from hookline.cli.deliveries.moving import move
from hookline.cli.rulebook import Of, Target


def retry(
    target: Target, ids: Ids = None, of: Of = None, state: State = None, hook: HookName = None, yes: Yes = False
) -> None:
    """Let dead, cancelled or waiting deliveries run now, with as many tries as a new one."""
    move(target, of, "retry", ("pending", "dead", "cancelled"), ids or (), state, hook, yes)
