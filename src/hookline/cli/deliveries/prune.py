"""``hookline deliveries prune``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from hookline.cli.asking import ask
from hookline.cli.deliveries.filters import Yes
from hookline.cli.rulebook import Of, Target


def prune(
    target: Target,
    days: Annotated[float, typer.Option(min=0, help="Those that ended so many days ago.", show_default=False)],
    of: Of = None,
    state: Annotated[list[str], typer.Option(help="In which states; may be given several times.")] = [  # noqa: B006 - Typer reads it
        "done",
        "cancelled",
    ],
    yes: Yes = False,
) -> None:
    """Delete deliveries that ended long ago; workers do that by themselves for those that are done."""
    if "dead" in state and not yes:
        typer.confirm("delete dead deliveries, which then can be retried no more?", abort=True)
    number = ask(target, of, lambda deliveries: deliveries.prune(dt.timedelta(days=days), state))
    typer.echo(f"{number} {'delivery was' if number == 1 else 'deliveries were'} deleted")
