"""Which session a connection works for, and what is sent through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event

from hookline.sqlalchemy.raw import guard_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookline.sqlalchemy.host import SessionHost


class Connections:
    """Listens to what attached sessions send, on the engines that they use."""

    def __init__(self) -> None:
        self._engines: WeakSet[Engine] = WeakSet()
        self._hosts: WeakKeyDictionary[Connection, SessionHost] = WeakKeyDictionary()

    def _events(self) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
        yield "before_cursor_execute", self._before_cursor_execute, {}

    def join(self, host: SessionHost, connection: Connection) -> None:
        """A connection works for a session from now on."""
        if self._hosts.get(connection) is not host:
            self._hosts[connection] = host
            host.connections.append(connection)
        engine = connection.engine
        if engine not in self._engines:
            self._engines.add(engine)
            for name, listener, options in self._events():
                event.listen(engine, name, listener, **options)

    def leave(self, host: SessionHost) -> None:
        """A session's transaction is over: its connections work for nobody."""
        for connection in host.connections:
            self._hosts.pop(connection, None)
        host.connections.clear()

    def forget(self) -> None:
        """Listen no more."""
        for engine in self._engines:
            for name, listener, _ in self._events():
                event.remove(engine, name, listener)
        self._engines.clear()
        self._hosts.clear()

    def _before_cursor_execute(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        host = self._hosts.get(connection)
        if host is not None and context is not None:
            guard_raw(host, connection, statement, context)
