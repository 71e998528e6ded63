"""All processes obey, each at its next transaction."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hookline.registrations import DatabaseRegistrations
from tests.databases import Database
from tests.registrations.conftest import House
from tests.registrations.schema import Consignment


class Process:
    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def write(self, number: int) -> str:
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{number}\n")
        self._running.stdin.flush()
        return self._running.stdout.readline().strip()


@contextmanager
def process(database: Database) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.registrations.obeying", str(database)]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with running:
        yield Process(running)
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(60) == 0


def test_two_other_processes_obey_at_their_next_transaction(
    house: House, registrations: DatabaseRegistrations, database: Database
) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(process(database)) for _ in range(2))
        assert [first.write(1), second.write(2)] == ["[]", "[]"]
        one = registrations.add("listen", "after_commit", "insert", Consignment)
        assert [first.write(3), second.write(4)] == ["[3]", "[4]"]
        registrations.change(one, when={"not": {"from_user": True}})
        assert [first.write(5), second.write(6)] == ["[]", "[]"]
        registrations.add("listen", "after", "insert", Consignment, key=7)
        assert [first.write(8), second.write(7)] == ["[]", "[7]"]
        registrations.change(one, when=None)
        registrations.disable(one)
        assert first.write(9) == "[]"
        registrations.enable(one)
        assert [first.write(10), second.write(11)] == ["[10]", "[11]"]
        registrations.remove(one)
        assert [first.write(12), second.write(13)] == ["[]", "[]"]
