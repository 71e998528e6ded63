"""Deliveries that come from other databases: each is run once here, however often it comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, select

from hookline.core.delivery import Delivery
from hookline.core.hook import Hook
from hookline.sqlalchemy.once import insert_once
from hookline.sqlalchemy.outbox.clock import later

if TYPE_CHECKING:
    from hookline.sqlalchemy.outbox.store import Store


class Inbox:
    """What was delivered to a database by others.

    Args:
        store: The outbox of the same database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.claims.outbox.received

    def run(self, delivery: Delivery, hook: Hook, wait: Callable[[Awaitable[Any]], Any]) -> bool:
        """Run a hook, and in the same transaction keep that it ran.

        Args:
            delivery: What it runs for.
            hook: The hook.
            wait: Runs what the hook returns to be awaited.

        Returns:
            Whether what it wrote is committed. If not, it had run already, for the same delivery, before or meanwhile.

        Raises:
            Exception: What the hook raised; nothing was written.
        """
        if self._knows(delivery.id):
            return False
        with self._store.ran(hook, delivery, wait) as session:
            session.flush()
            values = {"id": delivery.id, "hook": delivery.hook}
            if not insert_once(self._store.connection(session, hook), self._table, values):
                return False
            session.commit()
        return True

    def _knows(self, id: str) -> bool:  # noqa: A002 - what everybody calls it
        with self._store.begin() as connection:
            return bool(connection.scalar(select(exists().where(self._table.c.id == id))))

    def prune(self, age: dt.timedelta) -> int:
        """Forget what ran so long ago: if it came again, it would run again.

        Returns:
            How many there were.
        """
        with self._store.begin() as connection:
            old = self._table.c.received_at < later(-age.total_seconds())
            return connection.execute(delete(self._table).where(old)).rowcount
