"""`import hookline` in a new interpreter: how long it takes, and what else it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.result import Result, Unit, milliseconds
from benchmarks.timing import Case, Load, Timed, interleave

BUDGET = 30.0
BARE, CASE = "a bare interpreter", "import hookline"


def measure(load: Load) -> Iterator[Result]:
    """Whole processes, less what a bare interpreter takes; always by the clock."""
    cases = {BARE: _process("pass"), CASE: _process("import hookline")}
    times = interleave(cases, replace(load, cpu=False))
    strangers = sorted(loaded_from_elsewhere())
    yield Result(
        what=CASE,
        where="",
        against=BARE,
        base=milliseconds(times.spread(BARE)),
        measured=milliseconds(times.spread(CASE)),
        figure=milliseconds(times.beyond(CASE, BARE)),
        unit=Unit.MILLISECONDS,
        budget=BUDGET,
        objection=f"loads {', '.join(strangers)}" if strangers else "",
    )


def loaded_from_elsewhere() -> set[str]:
    """The packages outside the standard library that importing Hookline loads, Hookline itself aside."""
    program = (
        "import json, sys; before = set(sys.modules); import hookline; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(ran.stdout)
    return {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"hookline"}


def _process(program: str) -> Case:
    # As installed: with its byte code at hand, which the first, uncounted round writes.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)

    @contextmanager
    def case() -> Iterator[Timed]:
        yield run

    return case
