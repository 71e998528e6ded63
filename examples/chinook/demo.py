"""A music store, kept in order by a rule book.

    python examples/chinook/demo.py                  # on a SQLite file
    DB=postgresql python examples/chinook/demo.py    # on a PostgreSQL server of its own

Loads the Chinook data through a hooked session, lives through a few stories, checks every claim against the
database, and exits with 1 if one of them is wrong.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from database import advance_sequences, empty_database
from load import Fixture, load
from over_http import over_http
from receipts import receipts
from reckoning import reckon_load, reckon_rules
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rules import hooks
from store import Store
from stories import tell_all
from turnstile import through_every_door

from hookline import Trace
from hookline.sqlalchemy import attach


def main() -> int:
    options = _options()
    console = Console()
    started = time.perf_counter()
    with empty_database(options.db, options.file) as url:
        console.rule(f"Chinook, on {options.db}")
        store = Store(url, console)
        attach(hooks, store.sessions)
        with hooks.trace() as trace:
            open_store(store)
            with hooks.context(user="the shop", loudspeaker=store.loudspeaker):
                tell_all(store)
                store.tell("Through every door", through_every_door.__doc__)
                through_every_door(store)
                store.tell("Receipts", receipts.__doc__)
                receipts(store)
                store.tell("Over HTTP", over_http.__doc__)
                over_http(store)
        store.tell("The rules", "hold for every row, whichever way it came.")
        reckon_rules(store)
        console.print(hook_table(trace))
        store.close()
    return verdict(store, time.perf_counter() - started, sum(call.seconds for call in trace))


def open_store(store: Store) -> None:
    """Load the data, with a progress bar, and compare what arrived."""
    fixture = Fixture()
    with (
        hooks.context(user="the loader"),
        Progress(
            TextColumn("{task.description:>23}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=store.console,
        ) as progress,
    ):
        task = progress.add_task("loading", total=len(fixture))
        load(
            fixture,
            store.sessions,
            lambda stage, rows: progress.update(task, description=f"loading {stage}", advance=rows),
        )
        progress.update(task, description="loaded")
    advance_sequences(store.engine)
    reckon_load(store, fixture)


def hook_table(trace: Trace) -> Table:
    """What ran, how often, and how long, in the order of the rule book."""
    table = Table("hook", "phase", title="\nWhat ran", title_justify="left")
    for column in ("calls", "changes", "ms"):
        table.add_column(column, justify="right")
    book = list(hooks)
    for hook, calls, changes, seconds in sorted(trace.summary(), key=lambda row: book.index(row[0])):
        table.add_row(hook.name, hook.phase, f"{calls:,}", f"{changes:,}", f"{seconds * 1000:,.1f}")
    return table


def verdict(store: Store, seconds: float, in_hooks: float) -> int:
    """Print it, and return the exit code."""
    took = f"{seconds:.1f} s, of which the hooks took {in_hooks:.1f}."
    if store.failed:
        store.console.print(f"[bold red]{len(store.failed)} of {store.checked} claims are false.[/] {took}")
        return 1
    store.console.print(f"[bold green]All {store.checked} claims hold.[/] {took}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A music store, kept in order by a rule book.")
    parser.add_argument(
        "db",
        nargs="?",
        type=lambda name: name.removeprefix("DB="),
        choices=("sqlite", "postgresql"),
        default=os.environ.get("DB") or "sqlite",
        help="where to (default: the DB environment variable, or sqlite)",
    )
    parser.add_argument("--file", type=Path, help="keep the SQLite database in this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
