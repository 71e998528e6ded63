"""What ran, caused by what, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hookline.core.change import Change
    from hookline.core.hook import Hook


class Call(NamedTuple):
    """One call of one hook.

    Attributes:
        hook: What was called.
        event: What had happened; of a set-at-a-time hook, to the first row.
        changes: How many changes it was given.
        about: The change, or the first of them, in words.
        cause: The hook whose write that was; None for the user's own.
        depth: How many causes are behind it.
        seconds: How long the call took, by the monotonic clock.
        error: What it raised; None if it returned.
    """

    hook: Hook
    event: str
    changes: int
    about: str
    cause: Hook | None
    depth: int
    seconds: float
    error: BaseException | None = None

    def __str__(self) -> str:
        caused = f" <- {self.cause.name}" if self.cause else ""
        failed = f" raised {type(self.error).__name__}" if self.error else ""
        many = f" and {self.changes - 1} more" if self.changes > 1 else ""
        return f"{'  ' * self.depth}{self.hook}: {self.about}{many}{caused} in {self.seconds * 1000:.2f} ms{failed}"


class Trace:
    """The calls that ran while it was open, in order: `Hooks.trace` gives one.

    Iterate it for `Call` objects; print it to read them.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def summary(self) -> list[tuple[Hook, int, int, float]]:
        """By hook, in the order of their first calls: how many calls, changes and seconds."""
        sums: dict[Hook, tuple[int, int, float]] = {}
        for call in self.calls:
            calls, changes, seconds = sums.get(call.hook, (0, 0, 0.0))
            sums[call.hook] = calls + 1, changes + call.changes, seconds + call.seconds
        return [(hook, *numbers) for hook, numbers in sums.items()]

    def record(
        self,
        hook: Hook,
        subject: Change[Any] | list[Change[Any]],
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Add one call."""
        first = subject[0] if isinstance(subject, list) else subject
        count = len(subject) if isinstance(subject, list) else 1
        self.calls.append(Call(hook, first.event, count, repr(first)[1:-1], first.cause, first.depth, seconds, error))

    def __str__(self) -> str:
        return "\n".join(map(str, self.calls)) or "(no hook ran)"
