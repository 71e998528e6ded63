"""What a worker asks of a data layer's outbox: an adapter brings it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from hookline.core.delivery import Delivery
from hookline.core.hook import Hook
from hookline.core.status import Count, Status

R = TypeVar("R")
Wait = Callable[[Awaitable[Any]], Any]


class Claim(Protocol):
    """A delivery that one worker runs."""

    @property
    def id(self) -> int:
        """Its number; of one lane, deliveries run in the order of their numbers."""

    @property
    def hook(self) -> str:
        """The hook's name."""

    @property
    def lane(self) -> str:
        """What it is kept in order by."""

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""

    @property
    def suspect(self) -> bool:
        """Whether a worker died that had it: it is to be counted when it is begun."""


class Tending(Protocol):
    """What can be asked about deliveries, and done to them; each in a transaction that `Store.begin` began."""

    def list(
        self, connection: Any, *, state: str | None, hook: str | None, limit: int | None
    ) -> Sequence[Status]:  # fmt: skip
        """The latest first."""

    def show(self, connection: Any, id: int) -> Status:  # noqa: A002 - what everybody calls it
        """One, with the tries that failed."""

    def retry(self, connection: Any, ids: Sequence[int], *, state: str | None, hook: str | None) -> int:
        """Let dead, cancelled or waiting ones run now; returns how many there were."""

    def cancel(self, connection: Any, ids: Sequence[int], *, state: str | None, hook: str | None) -> int:
        """Let dead or waiting ones never run; returns how many there were."""

    def prune(self, connection: Any, age: dt.timedelta, states: Sequence[str]) -> int:
        """Delete what ended so long ago; returns how many there were."""

    def counts(self, connection: Any) -> Sequence[Count]:
        """How many are in which state, by hook."""


class Inbox(Protocol):
    """What was delivered to a database by others."""

    def run(self, delivery: Delivery, hook: Hook, wait: Wait) -> bool:
        """Run a hook, and keep that it ran along with what it wrote; returns false if it had run already."""

    def prune(self, age: dt.timedelta) -> int:
        """Forget what ran so long ago; returns how many there were."""


class Store(Protocol):
    """An outbox. All but `call` are sync; where ``asynchronous`` is true, only `call` may run them."""

    asynchronous: bool

    @property
    def tending(self) -> Tending:
        """What those ask who look after deliveries."""

    def begin(self) -> AbstractContextManager[Any]:
        """A transaction of its own."""

    @property
    def kind(self) -> str:
        """The kind of database."""

    @property
    def one_thread(self) -> bool:
        """Whether the database can be reached from the calling thread only."""

    @property
    def relays(self) -> bool:
        """Whether there is a log of what others write, which nobody calls for."""

    def call(self, function: Callable[..., R], *arguments: Any) -> Awaitable[R]:
        """Run a method in a coroutine."""

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Within `call`: what something gives that is to be awaited."""

    def check(self) -> None:
        """Make sure that it is there."""

    def close(self) -> None:
        """Close connections that nobody uses: the process, or the event loop, is going to end."""

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call a function, in any thread, whenever there may be something to run; returns what ends it."""

    def see_registrations(self) -> None:
        """Read the registrations of hooks, if they have changed."""

    def take(self, worker: str, hooks: Sequence[str], limit: int, lease: float) -> Sequence[Any]:
        """Claim deliveries that may run now, in the order in which they must."""

    def next_due(self, hooks: Sequence[str]) -> float | None:
        """Seconds until the next one is due; None if none is waiting."""

    def unknown(self, hooks: Sequence[str]) -> Mapping[str, int]:
        """How many wait for hooks that are not among these, by name."""

    def extend(self, claims: Sequence[Any], lease: float) -> int:
        """Say that their worker is alive; returns how many are still its own."""

    def give_back(self, claims: Sequence[Any]) -> int:
        """Let others run what was not begun."""

    def is_busy(self, error: Exception) -> bool:
        """Whether a hook failed because the database lets nobody write for the moment."""

    def begun(self, claim: Any) -> Any:
        """Count a try of a suspect."""

    def run(self, claim: Any, hook: Hook, wait: Wait) -> bool:
        """Run a hook; returns whether its delivery is done already, with what the hook wrote."""

    def done(self, claims: Sequence[Any]) -> int:
        """Mark those done that are not yet; returns how many were still the worker's own."""

    def failed(self, claim: Any, error: str, delay: float | None, behind: Sequence[Any]) -> bool:
        """One raised; those behind it in its lane are given back."""

    def relay(self, limit: int) -> int:
        """Make deliveries of what others have written; returns how many changes there were."""

    @property
    def inbox(self) -> Inbox:
        """What was delivered to this database by others."""

    def prune(self, age: dt.timedelta) -> int:
        """Delete what was done so long ago; returns how many there were."""
