"""Hooks that come from registrations, as they are at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from hookline.core.family import Family
from hookline.core.hook import Hook
from hookline.core.plan import Plan

if TYPE_CHECKING:
    from hookline.core.registry import Hooks

Connect = Callable[[Any], Any]
"""Given a table, the connection by which the writing session reaches it."""


class Part:
    """What one source has at one moment; the same object for as long as nothing changes.

    Args:
        hooks: Its hooks, in order; those that are about single rows in families.
        problems: Of each registration that runs nothing, and that nobody was told of yet, why.
    """

    def __init__(self, hooks: tuple[Hook, ...], problems: Iterable[str] = ()) -> None:
        self.hooks = hooks
        self._problems = list(problems)

    def unheard(self) -> Iterator[str]:
        """The problems, each only once."""
        while self._problems:
            yield self._problems.pop(0)


class Source(Protocol):
    """Where hooks come from that no code has registered: `Hooks.use` takes one."""

    name: str

    def join(self, book: Hooks) -> None:
        """Belong to a rule book from now on.

        Raises:
            RegistrationStoreError: It cannot.
        """

    def current(self, connect: Connect) -> Part:
        """What holds for a transaction that begins now."""

    def known(self) -> Part:
        """What it had when somebody asked last; asks nobody."""


class Registered:
    """The hooks of all sources at one moment; never changed, replaced as a whole.

    A transaction that has begun with one goes on with it, whatever is registered meanwhile.
    """

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        self.hooks: tuple[Hook, ...] = tuple(hook for part in parts for hook in part.hooks)
        self._plan: tuple[Plan, Plan] | None = None

    def plan(self, base: Plan) -> Plan:
        """The plan of these hooks and those of another one, compiled once."""
        known = self._plan
        if known is None or known[0] is not base:
            known = self._plan = base, Plan((*base.hooks, *self.hooks), base.followed)
        return known[1]

    @cached_property
    def by_name(self) -> Mapping[str, Hook]:
        """Each hook by its name, those in families too."""
        return {hook.name: hook for hook in self}

    def __iter__(self) -> Iterator[Hook]:
        for hook in self.hooks:
            if isinstance(hook, Family):
                for members in hook.members.values():
                    yield from members
            else:
                yield hook


class Sources:
    """The sources of one rule book."""

    def __init__(self) -> None:
        self.all: tuple[Source, ...] = ()
        self._registered = Registered(())

    def add(self, source: Source) -> None:
        """Use one more."""
        self.all = (*self.all, source)

    def current(self, connect: Connect) -> Registered:
        """What holds for a transaction that begins now."""
        return self._of(tuple([source.current(connect) for source in self.all]))

    def known(self) -> Registered:
        """What held for the last one, as far as this process knows."""
        return self._of(tuple([source.known() for source in self.all]))

    def _of(self, parts: tuple[Part, ...]) -> Registered:
        registered = self._registered
        if len(parts) != len(registered.parts) or any(a is not b for a, b in zip(parts, registered.parts, strict=True)):
            registered = self._registered = Registered(parts)
        return registered
