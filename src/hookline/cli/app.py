"""The command line as a whole: its verbs, and what becomes of errors."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from hookline.cli.deliveries import app as deliveries
from hookline.cli.draw import draw
from hookline.cli.health import health
from hookline.cli.worker import worker
from hookline.errors import HooklineError


class Verbs(TyperGroup):
    """Says errors of this library in one sentence; a traceback would teach nothing. Any other error keeps its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run what was asked for."""
        try:
            return super().invoke(ctx)
        except HooklineError as error:
            typer.echo("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Workers for durable hooks, what looks after their deliveries, and pictures of workflows.",
    epilog="Exit codes: 0 yes or done, 1 no, 2 an error.",
)  # fmt: skip
app.command()(worker)
app.command()(health)
app.command()(draw)
app.add_typer(deliveries, name="deliveries")
