"""``hookline health``: is anything late, or waiting in vain?"""

from __future__ import annotations

from typing import Annotated

import typer

from hookline.cli.asking import ask
from hookline.cli.rulebook import Of, Target


def health(
    target: Target,
    of: Of = None,
    max_age: Annotated[float, typer.Option(help="Seconds that a delivery may be late.")] = 60.0,
) -> None:
    """Exit with 1 if deliveries that could run do not, or if some wait for hooks that the rule book does not have."""
    problems = ask(target, of, lambda deliveries: deliveries.problems(max_age))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("well: nothing is late")
