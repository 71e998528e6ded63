"""``hookline deliveries``: looking after them. One file per verb."""

from __future__ import annotations

import typer

from hookline.cli.deliveries.cancel import cancel
from hookline.cli.deliveries.counts import counts
from hookline.cli.deliveries.list import list_
from hookline.cli.deliveries.prune import prune
from hookline.cli.deliveries.retry import retry
from hookline.cli.deliveries.show import show

app = typer.Typer(no_args_is_help=True, help="List, show, retry, cancel, prune and count deliveries.")
app.command("list")(list_)
app.command()(show)
app.command()(retry)
app.command()(cancel)
app.command()(prune)
app.command()(counts)
