"""A function bound to phase, event, target and condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hookline.core.arguments import Arguments
from hookline.core.change import Change
from hookline.core.conditions import Condition
from hookline.core.delivery import Terms


class Hook(NamedTuple):
    """One rule of a rule book.

    Attributes:
        name: Unique in its rule book; the function's name unless said otherwise.
        function: What is called.
        phase: When.
        events: What must have happened: one or several of ``insert``, ``update``, ``delete``, ``link``, ``unlink``.
        targets: Classes, relations and relation sets; empty for all.
        condition: What must hold besides; None for nothing.
        category: For switching on and off.
        order: Low runs first.
        runs_before: Names of hooks that must run later.
        runs_after: Names of hooks that must run earlier.
        exact: Whether subclasses of a target class do not count.
        protected: Whether it cannot be switched off.
        net: In the commit phases: whether it gets net changes (else every step).
        arguments: What the function asks for.
        terms: Of a durable hook: on what terms it is delivered.
        bypass: What happens to a write that would go around it: ``capture``, ``refuse``, ``warn`` or ``allow``; None
            for what the rule book says.
    """

    name: str
    function: Callable[..., Any]
    phase: str
    events: tuple[str, ...]
    targets: tuple[Any, ...]
    arguments: Arguments
    condition: Condition | None = None
    category: str | None = None
    order: int = 0
    runs_before: tuple[str, ...] = ()
    runs_after: tuple[str, ...] = ()
    exact: bool = False
    protected: bool = False
    net: bool = True
    bypass: str | None = None
    terms: Terms | None = None

    @property
    def awaited(self) -> bool:
        """Whether the session that writes must be able to await it; a durable one is the worker's affair."""
        return self.arguments.asynchronous and self.phase != "durable"

    def chosen(self, changes: Iterable[Change[Any]]) -> list[Change[Any]]:
        """Those of the changes that meet its condition."""
        return [change for change in changes if self.condition is None or self.condition(change)]

    def __eq__(self, other: object) -> bool:
        return self is other  # two hooks are never the same, whatever they have in common

    def __hash__(self) -> int:
        return id(self)

    def __str__(self) -> str:
        return f"hook {self.name!r} ({self.phase})"
