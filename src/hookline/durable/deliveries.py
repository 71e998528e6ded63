"""Looking after deliveries from a program: what the command line does, as functions."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

from hookline.core.registry import Hooks
from hookline.core.status import Count, Status
from hookline.durable.store import Store

P = ParamSpec("P")
R = TypeVar("R")


class Deliveries:
    """The deliveries of a rule book: finds, shows, retries, cancels, prunes and counts them.

    Each method is a transaction of its own. Where the sessions are async, `call` awaits it: ``await
    deliveries.call(deliveries.list, state="dead")``; in a program that is async throughout, where the sessions are not,
    the same runs it in a thread.

    Args:
        hooks: The rule book; it must be attached.
        of: Which attachment, if there are several.

    Raises:
        RegistrationError: The rule book is not attached, or to several things and none was named.

    Example:
        >>> from hookline.sqlalchemy import Outbox
        >>> Outbox().create_tables(SessionLocal.kw["bind"])
        >>> @hooks.durable("insert", Person)
        ... def welcome(change): ...
        >>> session.add(Person(name="Ann"))
        >>> session.commit()
        >>> deliveries = Deliveries(hooks)
        >>> [(one.hook, one.state) for one in deliveries.list()]
        [('welcome', 'pending')]
        >>> deliveries.cancel(hook="welcome")
        1
    """

    def __init__(self, hooks: Hooks, of: Any = None) -> None:
        self._hooks = hooks
        self._store: Store = hooks.store(of)

    def __repr__(self) -> str:
        return f"<Deliveries of {self._hooks!r}>"

    @property
    def asynchronous(self) -> bool:
        """Whether the sessions are async, so that `call` is needed."""
        return self._store.asynchronous

    async def call(self, method: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Await one of the other methods, or a function of your own that uses several of them.

        Args:
            method: What to call.
            *arguments: What to call it with.
            **options: The same.

        Returns:
            What it returns.
        """
        bound = partial(method, *arguments, **options)
        if self.asynchronous:
            return await self._store.call(bound)
        return bound() if self._store.one_thread else await asyncio.to_thread(bound)

    def check(self) -> None:
        """Make sure that there is an outbox.

        Raises:
            OutboxError: There is none, or it is outdated.
        """
        self._store.check()

    def close(self) -> None:
        """Close connections that nobody uses; before the process, or the event loop that opened them, ends."""
        self._store.close()

    def list(
        self, *, state: str | None = None, hook: str | None = None, limit: int | None = 100
    ) -> Sequence[Status]:  # fmt: skip
        """The latest deliveries first.

        Args:
            state: Only those that are ``pending``, ``running``, ``done``, ``dead`` or ``cancelled``.
            hook: Only those of the hook of this name.
            limit: How many at most; None for all.

        Raises:
            DeliveryError: There is no such state.
        """
        with self._store.begin() as connection:
            return self._store.tending.list(connection, state=state, hook=hook, limit=limit)

    def show(self, id: int) -> Status:  # noqa: A002 - what everybody calls it
        """One, with the tries that failed.

        Args:
            id: Its number in this database.

        Raises:
            DeliveryError: There is none of this number.
        """
        with self._store.begin() as connection:
            return self._store.tending.show(connection, id)

    def retry(self, ids: Sequence[int] = (), *, state: str | None = None, hook: str | None = None) -> int:
        """Let dead, cancelled or waiting deliveries run now, with as many tries as a new one.

        Args:
            ids: Which; all that the rest says if left out.
            state: Only those in this state.
            hook: Only those of the hook of this name.

        Returns:
            How many there were; those that run or are done are left alone.

        Raises:
            DeliveryError: It was not said which are meant, or there is no such state.
        """
        with self._store.begin() as connection:
            return self._store.tending.retry(connection, ids, state=state, hook=hook)

    def cancel(self, ids: Sequence[int] = (), *, state: str | None = None, hook: str | None = None) -> int:
        """Let deliveries never run; those behind them go on.

        Args:
            ids: Which; all that the rest says if left out.
            state: Only those in this state.
            hook: Only those of the hook of this name.

        Returns:
            How many there were; those that run or are done are left alone.

        Raises:
            DeliveryError: It was not said which are meant, or there is no such state.
        """
        with self._store.begin() as connection:
            return self._store.tending.cancel(connection, ids, state=state, hook=hook)

    def prune(self, age: dt.timedelta, states: Sequence[str] = ("done", "cancelled")) -> int:
        """Delete what ended so long ago.

        Args:
            age: How long ago, at least.
            states: Which; those that are pending or run cannot be among them.

        Returns:
            How many there were.

        Raises:
            DeliveryError: One of the states is none, or no end.
        """
        with self._store.begin() as connection:
            return self._store.tending.prune(connection, age, states)

    def counts(self) -> Sequence[Count]:
        """How many are in which state, by hook, with ages: for monitoring."""
        with self._store.begin() as connection:
            return self._store.tending.counts(connection)

    def problems(self, max_age: float) -> Sequence[str]:
        """What somebody should look at.

        Args:
            max_age: Seconds that a delivery may be late.

        Returns:
            A sentence for each hook whose deliveries could have run for longer than that, and for each that the rule
            book does not have although deliveries wait for it. Nothing, if all is well.
        """
        known = set(self._hooks.durable_hooks())
        found: dict[str, str] = {}
        for count in self.counts():
            if count.state not in ("pending", "running"):
                continue
            if count.hook not in known:
                found[count.hook] = f"deliveries wait for hook {count.hook!r}, which this rule book does not have"
            elif count.overdue > max_age:
                found[count.hook] = (
                    f"deliveries of hook {count.hook!r} could have run {count.overdue:.0f} s ago: "
                    f"no worker runs, or there is too much for those that do"
                )
        return tuple(found.values())
