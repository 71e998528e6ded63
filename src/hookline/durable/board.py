"""The deliveries that a worker has claimed: which may run next, lane by lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import Any

Lane = tuple[str, str]


class Board:
    """Claimed deliveries. Of each lane one runs at a time, in order; lanes run side by side. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lanes: dict[Lane, deque[Any]] = {}
        self._ready: deque[Lane] = deque()
        self._running: dict[int, Any] = {}
        self._unmarked: list[Any] = []

    def put(self, claims: Iterable[Any]) -> None:
        """Put claims on it, in their order."""
        with self._lock:
            for claim in claims:
                at = claim.hook, claim.lane
                lane = self._lanes.get(at)
                if lane is None:
                    lane = self._lanes[at] = deque()
                    self._ready.append(at)
                lane.append(claim)

    def next(self) -> Any:
        """Take one that may run; None if there is none."""
        with self._lock:
            if not self._ready:
                return None
            claim = self._lanes[self._ready.popleft()].popleft()
            self._running[claim.id] = claim
            return claim

    def ended(self, claim: Any, *, marked: bool = True) -> None:
        """One has run: the next of its lane may.

        Args:
            claim: Which.
            marked: Whether the store knows that it is done.
        """
        with self._lock:
            del self._running[claim.id]
            if not marked:
                self._unmarked.append(claim)
            at = claim.hook, claim.lane
            if self._lanes[at]:
                self._ready.append(at)
            else:
                del self._lanes[at]

    def behind(self, claim: Any) -> list[Any]:
        """Take off those behind a running one in its lane: they must not run before it."""
        with self._lock:
            lane = self._lanes[claim.hook, claim.lane]
            held_back = list(lane)
            lane.clear()
            return held_back

    def take_unmarked(self) -> list[Any]:
        """Take those that have run, and of which the store does not know it."""
        with self._lock:
            unmarked, self._unmarked = self._unmarked, []
            return unmarked

    def take_waiting(self) -> list[Any]:
        """Take all that have not begun."""
        with self._lock:
            waiting = [claim for lane in self._lanes.values() for claim in lane]
            self._ready.clear()
            self._lanes = {(claim.hook, claim.lane): deque() for claim in self._running.values()}
            return waiting

    def held(self) -> list[Any]:
        """All whose leases must not end: those that wait, run, or have run and are not marked."""
        with self._lock:
            waiting = [claim for lane in self._lanes.values() for claim in lane]
            return [*waiting, *self._running.values(), *self._unmarked]

    @property
    def ready(self) -> int:
        """How many lanes have one that may run."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def unmarked(self) -> int:
        """How many have run, and the store does not know it."""
        return len(self._unmarked)
