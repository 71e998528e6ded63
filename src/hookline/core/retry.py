"""How often a delivery that failed is tried again, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hookline.errors import RegistrationError, UndeliverableError

Backoff = Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a durable hook that raised runs again.

    Delays grow geometrically: after the first failure ``backoff`` seconds, then ``factor`` times as long each time,
    and never more than ``longest``. What waited for the same thing to come back does not come back at once, since each
    delay is moved by chance.

    Args:
        max_attempts: How often it runs at most, the first time included; after the last it is dead.
        backoff: Seconds after the first failure; or a function of the number of failures so far that gives seconds.
        factor: By how much each delay is longer than the one before.
        longest: Seconds; no delay is longer.
        jitter: By which part of itself a delay is moved at most, up or down: between 0 and 1.
        on: The exceptions that are tried again. Others are final: the delivery is dead at once. An
            `UndeliverableError` always is.

    Raises:
        RegistrationError: One of these cannot be.

    Example:
        >>> policy = Retry(max_attempts=8, backoff=0.5, jitter=0)
        >>> [policy.delay(failures) for failures in (1, 2, 3)]
        [0.5, 1.0, 2.0]
        >>> policy.tries_again(ValueError(), failures=8)
        False
    """

    max_attempts: int = 10
    backoff: float | Backoff = 1.0
    factor: float = 2.0
    longest: float = 3600.0
    jitter: float = 0.2
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise RegistrationError(f"max_attempts counts the first run: it is at least 1, not {self.max_attempts!r}.")
        if not callable(self.backoff) and self.backoff < 0:
            raise RegistrationError(f"backoff is a number of seconds, at least 0, not {self.backoff!r}.")
        if self.factor < 1 or self.longest < 0:
            raise RegistrationError(f"factor is at least 1 and longest at least 0: {self!r}.")
        if not 0 <= self.jitter <= 1:
            raise RegistrationError(f"jitter is a part of the delay, between 0 and 1, not {self.jitter!r}.")

    def delay(self, failures: int, chance: float = 0.5) -> float:
        """Seconds until the next attempt.

        Args:
            failures: How often it has failed, at least 1.
            chance: Where in the range of ``jitter`` it is, between 0 and 1.
        """
        if callable(self.backoff):
            seconds = self.backoff(failures)
        else:
            seconds = self.backoff * self.factor ** min(failures - 1, 1000 // max(self.factor, 1))
        return float(max(min(seconds, self.longest) * (1 + self.jitter * (2 * chance - 1)), 0.0))

    def tries_again(self, error: BaseException, failures: int) -> bool:
        """Whether there is another attempt after an error.

        Args:
            error: What the last one raised.
            failures: How often it has failed, this time included.
        """
        if isinstance(error, UndeliverableError):
            return False
        return failures < self.max_attempts and isinstance(error, self.on)
