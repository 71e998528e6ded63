"""What a worker has done so far."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic


@dataclass
class Progress:
    """Counts of one worker, since it was made.

    Attributes:
        done: Hooks that ran.
        failed: Attempts that raised.
        dead: Deliveries that are not tried again.
        lost: Deliveries that another worker had taken meanwhile.
    """

    done: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)
    _told: tuple[float, int] = field(default_factory=lambda: (monotonic(), 0), repr=False)

    def ran(self) -> None:
        """One more ran."""
        with self._lock:
            self.done += 1

    def tell(self, log: logging.Logger, name: str) -> None:
        """Log what happened since the last time, if anything did."""
        (then, done), now = self._told, monotonic()
        if self.done > done:
            rate = (self.done - done) / max(now - then, 0.001)
            log.info("%s: %s; %.0f a second lately", name, self, rate)
        self._told = now, self.done

    def __str__(self) -> str:
        return f"{self.done} done, {self.failed} attempts failed, {self.dead} dead, {self.lost} lost to others"
