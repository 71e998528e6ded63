"""Processes that are killed at random moments and started again, connections that are cut, a server that dies."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
READY = 30.0
"""Seconds that a process may take to start."""


@dataclass
class Figures:
    """What happened, to be quoted."""

    kills: int = 0
    pauses: int = 0
    cuts: int = 0
    restarts: int = 0
    changes: int = 0
    deliveries: int = 0
    attempts: int = 0
    repeats_outside: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.pauses} pauses longer than a lease, {self.cuts} connections cut, "
            f"{self.restarts} restarts of the server in {self.seconds:.0f} s; {self.changes} changes committed, "
            f"{self.deliveries} deliveries, {self.attempts} claimed more than once, "
            f"{self.repeats_outside} repeats outside"
        )


@dataclass
class Storm:
    """Writers and workers in processes of their own.

    Attributes:
        url: The database.
        outside: The file that hooks append to.
        figures: What happened so far.
    """

    url: str
    outside: Path
    seed: int
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._processes: list[tuple[str, int]] = []
        self._number = 0

    @contextmanager
    def raging(self, writers: int, workers: int) -> Iterator[None]:
        """Let processes run for the time of a block; at its end all are killed."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, "-m", "tests.durable.proof.nursery", self.url, str(self.outside)]
        with (
            self.outside.with_suffix(".log").open("ab") as log,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=ROOT
            ) as self._nursery,
        ):  # fmt: skip
            try:
                for kind in ["writer"] * writers + ["worker"] * workers:
                    self._begin(kind)
                yield
            finally:
                for _, number in self._processes:
                    self._end(number)
                self._nursery.kill()

    def _begin(self, kind: str) -> None:
        self._number += 1
        nursery = self._nursery
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        nursery.stdin.write(f"{kind} {self.seed}.{self._number}\n".encode())
        nursery.stdin.flush()
        readable, _, _ = select.select([nursery.stdout], [], [], READY)
        assert readable, "a process did not start in time"
        self._processes.append((kind, int(nursery.stdout.readline())))

    def _end(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
            deadline = time.monotonic() + READY
            while time.monotonic() < deadline:
                os.kill(number, 0)  # until there is none of this number
                time.sleep(0.002)

    def kill(self) -> None:
        """Kill one, at once and without a word, and start another of its kind."""
        kind, process = self._processes.pop(self.random.randrange(len(self._processes)))
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            raise AssertionError(f"a {kind} has ended by itself: see {self.outside.with_suffix('.log')}") from None
        self._end(process)
        self.figures.kills += 1
        self._begin(kind)

    def pause(self, seconds: float) -> None:
        """Stop a worker in the middle of whatever it does, and let it go on after its leases have ended."""
        process = self.random.choice([one for kind, one in self._processes if kind == "worker"])
        os.kill(process, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process, signal.SIGCONT)
        self.figures.pauses += 1

    def rage(self, kills: int, others: Callable[[], Any] | None = None) -> None:
        """Kill so many processes, a random while apart; between them, whatever else can go wrong."""
        began = time.monotonic()
        for _ in range(kills):
            time.sleep(self.random.uniform(0.0, 0.6))  # the moment is what is random: there is nothing to wait for
            if others is not None:
                others()
            self.kill()
        self.figures.seconds += time.monotonic() - began
