"""Registrations of one process, gone with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock
from typing import Any, ClassVar

from hookline.core.change import Change
from hookline.core.registered import Connect, Part
from hookline.errors import RegistrationStoreError
from hookline.registrations.registration import HistoryEntry, Registration
from hookline.registrations.registrations import Registrations


class MemoryRegistrations(Registrations):
    """Registrations of this process only: for tests, and for programs that make them anew each time.

    They belong to no transaction: what is added stays, whatever is rolled back. Those of a deleted object go when the
    deletion is committed.

    Args:
        name: Part of the names of their hooks, if a rule book uses several.

    Example:
        >>> registrations = MemoryRegistrations()
        >>> hooks.use(registrations)
        >>> @hooks.callback
        ... def greet(change): ...
        >>> one = registrations.add("greet", "after", "insert", Person)
        >>> [one.name for one in registrations.list()]
        ['greet #1']
    """

    forgets: ClassVar[str] = "after_commit"

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._lock = RLock()
        self._rows: dict[int, Registration] = {}
        self._entries: list[HistoryEntry] = []
        self._last = 0

    def current(self, connect: Connect) -> Part:
        """Their hooks for a transaction that begins now."""
        return self.known()

    def known(self) -> Part:
        """The same."""
        with self._lock:
            if self._view is None or self._view.rows is not self._rows:
                self._view = self._seen(self._rows)
        return super().known()

    @contextmanager
    def _store(self, session: Any, *, writing: bool = False) -> Iterator[_MemoryStore]:
        if session is not None and writing:
            raise RegistrationStoreError(
                "MemoryRegistrations take no part in transactions, so session= cannot be kept. "
                "Leave it out, or use DatabaseRegistrations."
            )
        with self._lock:
            if not writing:
                yield _MemoryStore(self._rows, self._entries, self._last)
                return
            store = _MemoryStore(dict(self._rows), list(self._entries), self._last)
            yield store
            self._rows, self._entries, self._last = store.rows, store.entries, store.last

    def _forget(self) -> Callable[..., None]:
        def forget(changes: Sequence[Change[Any]]) -> None:
            with self._store(None, writing=True) as store:
                self._forgotten(store, changes)

        return forget


class _MemoryStore:
    """Copies that replace the originals if all goes well."""

    def __init__(self, rows: dict[int, Registration], entries: list[HistoryEntry], last: int) -> None:
        self.rows, self.entries, self.last = rows, entries, last

    def insert(self, draft: Registration) -> Registration:
        self.last += 1
        return self._keep(replace(draft, id=self.last, created_at=_now()), "added", draft.created_by, None)

    def update(self, one: Registration, action: str, by: str | None, why: str | None = None) -> Registration:
        return self._keep(replace(one, changed_at=_now()), action, by, why)

    def delete(self, one: Registration, by: str | None, why: str | None = None) -> None:
        del self.rows[one.id]
        self.entries.append(HistoryEntry(one, "removed", by, _now(), why))

    def one(self, number: int) -> Registration | None:
        return self.rows.get(number)

    def select(self, callback: str | None, target: str | None, key: tuple[Any, ...] | None) -> list[Registration]:
        return [
            row
            for row in self.rows.values()
            if callback in (None, row.callback) and target in (None, row.target) and key in (None, row.key)
        ]

    def keyed(self, keys: Iterable[tuple[Any, ...]]) -> list[Registration]:
        wanted = list(keys)
        return [row for row in self.rows.values() if row.key in wanted]

    def history(self, number: int | None) -> Sequence[HistoryEntry]:
        return [entry for entry in self.entries if number in (None, entry.registration.id)]

    def _keep(self, one: Registration, action: str, by: str | None, why: str | None) -> Registration:
        self.rows[one.id] = one
        self.entries.append(HistoryEntry(one, action, by, _now(), why))
        return one


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
