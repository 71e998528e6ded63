"""Where registrations are kept, for the time of one piece of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hookline.registrations.registration import HistoryEntry, Registration


class Store(Protocol):
    """Reads and writes registrations; all of it, or nothing, takes effect at the end."""

    def insert(self, draft: Registration) -> Registration:
        """Keep a new one, and write its history; gives it its number and its time."""

    def update(self, one: Registration, action: str, by: str | None, why: str | None = None) -> Registration:
        """Keep other values of one, and write its history; gives it its time."""

    def delete(self, one: Registration, by: str | None, why: str | None = None) -> None:
        """Remove one, and write its history."""

    def one(self, number: int) -> Registration | None:
        """The registration of this number."""

    def select(self, callback: str | None, target: str | None, key: tuple[Any, ...] | None) -> list[Registration]:
        """Those of a callback, a target, an object; in order of their numbers. None is for any."""

    def keyed(self, keys: Iterable[tuple[Any, ...]]) -> list[Registration]:
        """Those for single objects with one of these keys, of whichever class."""

    def history(self, number: int | None) -> Sequence[HistoryEntry]:
        """What was done to one, or to all, the oldest first."""
