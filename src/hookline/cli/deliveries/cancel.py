"""``hookline deliveries cancel``."""

from __future__ import annotations

from hookline.cli.deliveries.filters import HookName, Ids, State, Yes
from hookline.cli.deliveries.moving import move
from hookline.cli.rulebook import Of, Target


def cancel(
    target: Target, ids: Ids = None, of: Of = None, state: State = None, hook: HookName = None, yes: Yes = False
) -> None:
    """Let waiting or dead deliveries never run; those behind them go on."""
    move(target, of, "cancel", ("pending", "dead"), ids or (), state, hook, yes)
