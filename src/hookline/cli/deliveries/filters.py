"""Which deliveries are meant: the options that verbs have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from hookline.core.status import STATES
from hookline.errors import UsageError, near


def known_state(state: str | None) -> str | None:
    """A state as it was given.

    Raises:
        UsageError: There is no such state.
    """
    if state is not None and state not in STATES:
        raise UsageError(f"There is no state {state!r}.{near(state, STATES)}")
    return state


State = Annotated[
    str | None,
    typer.Option(callback=known_state, help=f"Only those in this state: {', '.join(STATES)}.", show_default=False),
]
HookName = Annotated[
    str | None, typer.Option("--hook", help="Only those of the hook of this name.", show_default=False)
]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers of deliveries.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether that many are meant.")]
