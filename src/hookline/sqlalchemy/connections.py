"""Which session a connection works for, and what is sent through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event

from hookline.sqlalchemy.raw import guard_raw
from hookline.sqlalchemy.statements.chunks import make_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.door import StatementDoor


class Connections:
    """Listens to what attached sessions send, on the engines that they use."""

    def __init__(self, door: StatementDoor) -> None:
        self._door = door
        self._places: WeakSet[Engine | Connection] = WeakSet()
        self._hosts: WeakKeyDictionary[Connection, SessionHost] = WeakKeyDictionary()

    def _events(self) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
        yield "before_execute", self._before_execute, {"retval": True}
        yield "after_execute", self._after_execute, {"insert": True}  # of several rule books, the last one first
        yield "before_cursor_execute", self._before_cursor_execute, {}

    def join(self, host: SessionHost, connection: Connection) -> None:
        """A connection works for a session from now on."""
        if self._hosts.get(connection) is not host:
            self._hosts[connection] = host
            host.connections.append(connection)
        self._listen(connection.engine)
        if getattr(connection.dispatch, "parent", None) is not connection.engine.dispatch:
            self._listen(connection)  # it is older than the listeners of its engine, and does not hear of them

    def _listen(self, place: Engine | Connection) -> None:
        if place not in self._places:
            self._places.add(place)
            for name, listener, options in self._events():
                event.listen(place, name, listener, **options)

    def leave(self, host: SessionHost) -> None:
        """A session's transaction is over: its connections work for nobody."""
        for connection in host.connections:
            self._hosts.pop(connection, None)
        host.connections.clear()

    def forget(self) -> None:
        """Listen no more."""
        for place in self._places:
            for name, listener, _ in self._events():
                event.remove(place, name, listener)
        self._places.clear()
        self._hosts.clear()

    def _before_execute(
        self, connection: Connection, statement: Any, several: Any, one: Any, options: Any
    ) -> tuple[Any, Any, Any]:
        host = self._hosts.get(connection)
        if host is None or not getattr(statement, "is_dml", False):
            return statement, several, one
        return self._door.before_execute(host, connection, statement, several, one, options)

    def _after_execute(
        self, connection: Connection, statement: Any, several: Any, one: Any, options: Any, result: Any
    ) -> None:
        host = self._hosts.get(connection)
        if host is not None and host.sending:
            self._door.after_execute(host, statement, result)

    def _before_cursor_execute(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, _executemany: bool
    ) -> None:
        host = self._hosts.get(connection)
        if host is not None and context is not None:
            if host.readers:
                make_way(host, context)
            guard_raw(host, connection, statement, context)
