"""Real processes for tests: what they log is waited for, and each is ended by those who started it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import hookline

PATIENCE = 60.0
"""Seconds after which what has not happened is taken not to happen at all."""

_PATH = os.pathsep.join([str(Path(hookline.__file__).parents[1]), str(Path(__file__).parents[1])])


class Process:
    """A program at work.

    Args:
        *command: The program and its arguments.
        folder: Where it runs; here if left out.
        environment: What it knows beyond what this process knows.
    """

    def __init__(self, *command: str, folder: Path | None = None, **environment: str) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": _PATH, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    @property
    def log(self) -> str:
        """What it has said so far."""
        with self._more:
            return "".join(self._lines)

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Wait until lines that match have been logged so many times."""
        until = monotonic() + PATIENCE
        with self._more:
            while sum(1 for line in self._lines if re.search(pattern, line)) < times:
                left = until - monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else f"said nothing of the kind in {PATIENCE} s"
                    raise AssertionError(
                        f"waiting for {times} x {pattern!r}, the process {why}:\n{''.join(self._lines)}"
                    )
                self._more.wait(left)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def suspend(self) -> None:
        """Stop it, and wait until it stands still."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def end(self) -> int:
        """Ask it to end, and wait."""
        self.send(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.running:
            self._process.kill()
        self.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


class CommandLine(Process):
    """The same for ``hookline``.

    Args:
        *arguments: What follows ``hookline``.
        folder: Where it runs.
        environment: What it knows beyond what this process knows.
    """

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        super().__init__(sys.executable, "-m", "hookline.cli", *arguments, folder=folder, **environment)
