"""``hookline worker``: run durable hooks until told to stop."""

from __future__ import annotations

import datetime as dt
import logging
import math
from pathlib import Path
from typing import Annotated

import typer

from hookline.cli.rulebook import Of, Target, attachment, rule_book
from hookline.durable import Worker
from hookline.errors import UsageError, near

_LEVELS = ("debug", "info", "warning", "error", "critical")


def worker(
    target: Target,
    of: Of = None,
    concurrency: Annotated[int, typer.Option(help="How many deliveries run at the same time.")] = 10,
    batch: Annotated[
        int | None, typer.Option(help="How many are claimed at once; ten times --concurrency if left out.")
    ] = None,
    lease: Annotated[
        float, typer.Option(help="Seconds after which others take over, if nothing is heard of this worker.")
    ] = 30.0,
    poll: Annotated[float, typer.Option(help="Seconds between looks, at most, while nothing happens.")] = 5.0,
    keep_days: Annotated[
        float, typer.Option(metavar="DAYS", help="Days for which done deliveries are kept; inf for ever.")
    ] = 7.0,
    grace: Annotated[float, typer.Option(help="Seconds that running hooks have to end when told to stop.")] = 30.0,
    health_file: Annotated[
        Path | None, typer.Option(help="A file that is touched as long as all is well.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Its name in the database; host and process if left out.", show_default=False)
    ] = None,
    log_level: Annotated[str, typer.Option(help=f"What is logged: {', '.join(_LEVELS)}.")] = "info",
) -> None:
    """Run the durable hooks of a rule book.

    SIGTERM and SIGINT let running hooks end and give back the rest; a second signal does not wait.
    """
    if log_level.lower() not in _LEVELS:
        raise UsageError(f"There is no log level {log_level!r}.{near(log_level.lower(), _LEVELS)}")
    hooks = rule_book(target)
    # What the application has set up while it was imported stays as it is.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("hookline").setLevel(log_level.upper())
    Worker(
        hooks, of=attachment(of), concurrency=concurrency, batch=batch, lease=lease, poll=poll, grace=grace,
        keep=None if math.isinf(keep_days) else dt.timedelta(days=keep_days), health_file=health_file, name=name,
    ).run()  # fmt: skip
