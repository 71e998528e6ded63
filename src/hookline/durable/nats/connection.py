"""Connections to a NATS server: a lasting one, and one that is there while it is used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from hookline.durable.extras import needed
from hookline.errors import RegistrationError, SinkError

if TYPE_CHECKING:
    from nats.aio.client import Client

log = logging.getLogger("hookline.worker")

IDLE: Final = 10.0
"""Seconds for which a connection is kept that nobody uses."""


class Server:
    """A NATS server, or a cluster of them.

    Args:
        url: ``nats://host:4222``; several with commas between them. What it holds of secrets is shown nowhere.
        options: More arguments of ``nats.connect``, such as ``user_credentials`` and ``tls``.
        whose: For errors.

    Raises:
        RegistrationError: It is no such URL.
        UsageError: The extra ``nats`` is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None, whose: str) -> None:
        self._nats = needed("nats", "nats", whose)
        self._urls = [one.strip() for one in url.split(",")]
        parts = [urlsplit(one) for one in self._urls]
        if not all(part.scheme in ("nats", "tls", "ws", "wss") and part.hostname for part in parts):
            raise RegistrationError(f"{whose} needs the URL of a server, such as 'nats://localhost:4222'.")
        self._options = dict(options or {})
        self.origin = ",".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts)
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, _Held] = WeakKeyDictionary()

    async def connect(self, seconds: float, *, lasting: bool) -> Client:
        """A connection; who asked for it closes it.

        Args:
            seconds: How long it may take.
            lasting: Whether it connects again whenever it is lost.

        Raises:
            SinkError: The server cannot be reached, or refuses.
        """
        troubles: list[Exception] = []

        async def troubled(error: Exception) -> None:
            troubles[:] = [error]
            log.warning("%s: %s", self.origin, _told(error))

        # One that does not last is given up after each server was tried twice.
        lasts = {"allow_reconnect": lasting, "max_reconnect_attempts": -1 if lasting else 1}
        waits = {"connect_timeout": seconds, "reconnect_time_wait": 2.0 if lasting else 0.05}
        try:
            async with asyncio.timeout(seconds):  # a lasting one would go on trying to make its first connection
                return await self._nats.connect(  # type: ignore[no-any-return]
                    self._urls, **{**lasts, **waits, "error_cb": troubled, "name": "hookline", **self._options}
                )
        except (OSError, self._nats.errors.Error) as error:
            why = _told(troubles[-1] if troubles else error)
            raise SinkError(f"{self.origin} cannot be connected to: {why}.") from None

    @asynccontextmanager
    async def connection(self, seconds: float) -> AsyncIterator[Client]:
        """The connection of this event loop, for the time of a block; it stays for a while, for others to use.

        Raises:
            SinkError: The server cannot be reached, or refuses.
        """
        held = self._held.setdefault(asyncio.get_running_loop(), _Held())
        held.users += 1
        try:
            async with held.lock:
                if held.client is None or not held.client.is_connected:
                    held.client = await self.connect(seconds, lasting=False)
                    held.keep(held.client)
            yield held.client
        finally:
            held.users -= 1
            held.used.set()


class _Held:
    """What one event loop has of a server."""

    def __init__(self) -> None:
        self.lock, self.used = asyncio.Lock(), asyncio.Event()
        self.client: Client | None = None
        self._keepers: set[asyncio.Task[None]] = set()  # the loop itself would forget them
        self.users = 0

    def keep(self, client: Client) -> None:
        """Close a connection when it was idle, was lost, or when the loop ends."""
        keeper = asyncio.create_task(self._keep(client))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    async def _keep(self, client: Client) -> None:
        try:
            while client.is_connected:
                self.used.clear()
                try:
                    async with asyncio.timeout(IDLE):
                        await self.used.wait()
                except TimeoutError:
                    if not self.users:
                        return
        finally:  # the end of a loop cancels its tasks
            if self.client is client:
                self.client = None
            await client.close()


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
