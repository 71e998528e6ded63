"""What runs until it is told to stop: as a program, in a thread, or as a task of an application."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import threading
from contextlib import suppress
from typing import Self

from hookline.durable.progress import Progress
from hookline.durable.store import Store
from hookline.errors import RegistrationError

log = logging.getLogger("hookline.worker")


class Service:
    """Runs `serve` in the ways that there are.

    Args:
        name: For messages.
        store: What it works for.

    Attributes:
        name: For messages.
        progress: What it has done so far.
    """

    def __init__(self, name: str, store: Store) -> None:
        self.name, self._store = name, store
        self.progress = Progress()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event = asyncio.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> int:
        """How many hooks run now."""
        raise NotImplementedError

    async def serve(self, *, until_idle: bool = False) -> None:
        """Run as a task of an application, until `stop` or until it is cancelled.

        Args:
            until_idle: Return as soon as nothing is due.
        """
        raise NotImplementedError

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then let running hooks end, and return.

        A second signal does not wait for them, and neither does the end of ``grace``: threads cannot be stopped, so
        the process then ends as it is, with exit code 1, and others run what it had begun.
        """
        self._stopping = False

        async def until_told() -> None:
            loop = asyncio.get_running_loop()
            for one in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(one, self._told)
            try:
                await self.serve()
            finally:
                for one in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(one)

        asyncio.run(until_told())
        if self.running:
            logging.shutdown()
            os._exit(1)

    def start(self) -> Self:
        """Run in a thread of this process, until `stop`; as a context manager, for the time of a block."""
        if self._thread is not None:
            raise RegistrationError(f"{self!r} runs already.")
        if self._store.one_thread:
            raise RegistrationError(
                "A database of SQLite in memory belongs to the thread that made it, so no worker can run beside it. "
                "Call worker.run_until_idle() in that thread, or keep the database in a file."
            )
        self._stopping = False
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(lambda: asyncio.run(self.serve()),), name=f"hookline {self.name}"
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Claim no more, let running hooks end, give back the rest; of `start`: wait for that."""
        self._stopping = True
        self._call()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run_until_idle(self) -> int:
        """Run what is due now, and what becomes due by that, and return; for tests, and for jobs that a clock starts.

        Returns:
            How many deliveries are done.
        """
        self._stopping = False
        before = self.progress.done
        asyncio.run(self.serve(until_idle=True))
        return self.progress.done - before

    def _told(self) -> None:
        if self._stopping:
            log.warning("told to stop again: not waiting for %d running hooks", self.running)
            os._exit(1)
        log.info("told to stop: waiting for %d running hooks", self.running)
        self.stop()

    def _call(self) -> None:
        """Wake it; from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def _called(self, seconds: float) -> None:
        """Until somebody wakes it, and so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # unlike wait_for(), it never takes a cancellation for an answer
                await self._wake.wait()
