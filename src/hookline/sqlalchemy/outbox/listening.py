"""On PostgreSQL, being called when deliveries are committed, by whichever process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from sqlalchemy import Engine

log = logging.getLogger("hookline.worker")


class Listener:
    """A connection of its own that waits for NOTIFY, in a thread of its own.

    It is psycopg's, whichever driver the engine has. Without psycopg nobody is called, and workers look by themselves.

    Args:
        engine: Which server.
        channel: Where to listen.
        wake: Called in the thread.
    """

    _AGAIN = 5.0
    """Seconds until it connects again after the connection was lost."""

    def __init__(self, engine: Engine, channel: str, wake: Callable[[], None]) -> None:
        self._engine, self._channel, self._wake = engine, channel, wake
        self._over = Event()
        self._thread = Thread(target=self._run, name=f"hookline listener on {channel}", daemon=True)

    def start(self) -> Callable[[], None]:
        """Begin; returns what ends it."""
        try:
            import psycopg  # noqa: F401
        except ImportError:
            log.info("without psycopg nobody is called by PostgreSQL: deliveries are found by looking")
            return lambda: None
        self._thread.start()
        return self._end

    def _end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        import psycopg

        while not self._over.is_set():
            try:
                with psycopg.connect(self._target(), autocommit=True) as connection:
                    connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))
                    self._wake()  # for what was committed before
                    while not self._over.is_set():
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            self._wake()
            except psycopg.Error as error:
                log.warning("the connection that waits for deliveries is lost (%s); connecting again", error)
                self._over.wait(self._AGAIN)

    def _target(self) -> str:
        url: Any = self._engine.url
        return str(url.set(drivername="postgresql").render_as_string(hide_password=False))
