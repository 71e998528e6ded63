"""Where the methods of a store run: in threads, or where its sessions are async, in the event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hookline.durable.store import Store

R = TypeVar("R")


class Calls:
    """Calls methods of a store from the event loop in which it was made.

    Args:
        store: Whose.
        threads: How many at the same time, where its sessions are sync.
    """

    def __init__(self, store: Store, threads: int) -> None:
        self._store, self._loop = store, asyncio.get_running_loop()
        threads = 1 if store.one_thread else threads
        self._pool = None if store.asynchronous else ThreadPoolExecutor(threads, "hookline")

    async def do(self, function: Callable[..., R], *arguments: Any) -> R:
        """Call a method."""
        if self._pool is None:
            return await self._store.call(function, *arguments)
        if self._store.one_thread:
            return function(*arguments)
        context = contextvars.copy_context()
        return await self._loop.run_in_executor(self._pool, lambda: context.run(function, *arguments))

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Within a method: what an async hook gives; from a thread, the loop runs it."""
        if self._pool is None:
            return self._store.wait(awaitable)

        async def run() -> Any:
            return await awaitable

        if self._store.one_thread:  # it is this one, and the loop's: the coroutine gets a loop of its own elsewhere
            return self._pool.submit(lambda: asyncio.run(run())).result()
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def close(self, *, wait: bool) -> None:
        """End the threads.

        Args:
            wait: Let what they do end before.
        """
        if self._pool is not None:
            self._pool.shutdown(wait=wait)
