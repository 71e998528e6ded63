"""Sessions that joined a transaction which somebody else began on the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.orm import SessionTransaction


def when_it_ends(transaction: SessionTransaction, tell: Callable[[bool], None]) -> bool:
    """Wait for the COMMIT or ROLLBACK of a transaction that goes on after the session's own commit.

    Args:
        transaction: The session's root transaction, which was committed.
        tell: Called with whether it was kept.

    Returns:
        Whether there is such a transaction; if not, `tell` is never called.
    """
    connections = {entry[0] for entry in transaction._connections.values()}
    for connection in connections:
        if not connection.closed and connection.in_transaction():
            _Waiting.on(connection).add(connection, tell)
            return True
    return False


_WRAPPED: Final = (
    "_commit_impl",
    "_rollback_impl",
    "_rollback_to_savepoint_impl",
    "_release_savepoint_impl",
    "_hookline_waiting",
)


class _Waiting:
    """What waits for one connection's transaction to end.

    SQLAlchemy tells of a COMMIT before it is sent, and not after; so the connection's own method is wrapped, on
    this one connection and until this one transaction ends.
    """

    def __init__(self, connection: Connection) -> None:
        self._tells: list[tuple[Any, Callable[[bool], None]]] = []
        self._wrap(connection, "_commit_impl", kept=True)
        self._wrap(connection, "_rollback_impl", kept=False)
        self._wrap_savepoint(connection)

    @classmethod
    def on(cls, connection: Connection) -> _Waiting:
        """The waiting room of a connection."""
        room = connection.__dict__.get("_hookline_waiting")
        if room is None:
            room = connection.__dict__["_hookline_waiting"] = cls(connection)
        return room

    def add(self, connection: Connection, tell: Callable[[bool], None]) -> None:
        """Wait for the end; or for the rollback of the savepoint that the session's work lies in."""
        nested = connection.get_nested_transaction()
        self._tells.append((getattr(nested, "_savepoint", None), tell))

    def _wrap(self, connection: Connection, method: str, *, kept: bool) -> None:
        original = getattr(connection, method)

        def wrapped() -> None:
            original()
            self._leave(connection)
            for _, tell in self._tells:
                tell(kept)

        connection.__dict__[method] = wrapped

    def _wrap_savepoint(self, connection: Connection) -> None:
        roll_back, release = connection._rollback_to_savepoint_impl, connection._release_savepoint_impl

        def rolled_back(name: str) -> None:
            roll_back(name)
            lost = [tell for savepoint, tell in self._tells if savepoint == name]
            self._tells = [one for one in self._tells if one[0] != name]
            for tell in lost:
                tell(False)

        def released(name: str) -> None:
            release(name)
            nested = connection.get_nested_transaction()
            outer = getattr(getattr(nested, "_previous_nested", None), "_savepoint", None)
            self._tells = [(outer if savepoint == name else savepoint, tell) for savepoint, tell in self._tells]

        connection.__dict__["_rollback_to_savepoint_impl"] = rolled_back
        connection.__dict__["_release_savepoint_impl"] = released

    def _leave(self, connection: Connection) -> None:
        for name in _WRAPPED:
            connection.__dict__.pop(name, None)
