"""`python -m benchmarks`: run them all, or those named, and print how they stand to their budgets.

    python -m benchmarks                        all of them: some minutes
    python -m benchmarks --quick                fewer objects and rounds: an impression
    python -m benchmarks row_hooks dispatch     these only
    python -m benchmarks --json figures.json    keep every figure

    python -m benchmarks --cpu                  on a busy machine: count the CPU seconds of this process

On SQLite in memory, and on PostgreSQL if there is a server: that of HOOKLINE_POSTGRESQL_URL, or the one that
comes as a wheel. It exits with 0 whatever the verdicts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import (
    capturing,
    databases,
    dispatch,
    durable,
    flush_row_hooks,
    flush_set_hooks,
    flush_unconcerned,
    http,
    importing,
    registrations,
    statements,
    statements_unconcerned,
)
from benchmarks.result import Result
from benchmarks.table import table_of, write_json
from benchmarks.timing import Load

ON_EACH_DATABASE = {
    "unconcerned": flush_unconcerned.measure,
    "set_hooks": flush_set_hooks.measure,
    "row_hooks": flush_row_hooks.measure,
    "statements": statements.measure,
    "small_statements": statements_unconcerned.measure,
    "registrations": registrations.measure,
    "durable": durable.measure,
}
ON_POSTGRESQL = {"capture": capturing.measure}
ON_SQLITE = {"dispatch": dispatch.measure}
ON_NONE = {"importing": importing.measure, "http": http.measure}
NAMES = (*ON_EACH_DATABASE, *ON_POSTGRESQL, *ON_SQLITE, *ON_NONE)

FULL = Load()
QUICK = Load(objects=2_000, rounds=7)


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    load = QUICK if options.quick else FULL
    load = replace(
        load,
        objects=options.objects or load.objects,
        rounds=options.rounds or load.rounds,
        collecting=options.gc,
        cpu=options.cpu,
    )
    console = Console()
    results: list[Result] = []
    with console.status("starting") as status:
        for result in run(set(options.names or NAMES), load, with_postgresql=options.postgresql):
            results.append(result)
            status.update(f"{len(results)} figures, the last: {result.what} {result.where}")
    console.print(table_of(results, load))
    if options.json:
        write_json(results, load, options.json)


def run(names: set[str], load: Load, *, with_postgresql: bool) -> Iterator[Result]:
    """The results of some benchmarks, one after the other."""
    with ExitStack() as stack:
        sqlite = stack.enter_context(databases.sqlite())
        engines = [sqlite]
        if with_postgresql and names & {*ON_EACH_DATABASE, *ON_POSTGRESQL}:
            engines.append(stack.enter_context(databases.postgresql()))
        for name, measure in ON_EACH_DATABASE.items():
            for engine in engines if name in names else ():
                yield from measure(engine, load)
        for name, measure in ON_POSTGRESQL.items():
            for engine in engines[1:] if name in names else ():
                yield from measure(engine, load)
        for name, measure in ON_SQLITE.items():
            if name in names:
                yield from measure(sqlite, load)
        for name, measure_alone in ON_NONE.items():
            if name in names:
                yield from measure_alone(load)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What Hookline costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer objects and rounds")
    parser.add_argument("--objects", type=int, help="rows per flush")
    parser.add_argument("--rounds", type=int, help="how often each case is timed")
    parser.add_argument("--gc", action="store_true", help="leave the garbage collector on while timing")
    parser.add_argument("--cpu", action="store_true", help="count this process's CPU seconds, not the clock's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--postgresql",
        action=argparse.BooleanOptionalAction,
        default=databases.has_postgresql(),
        help="measure flushes on PostgreSQL too; by default if there is a server",
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


if __name__ == "__main__":
    main()
