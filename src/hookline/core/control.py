"""What holds in one thread or task only: values for hooks to ask for, and categories switched off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Control(NamedTuple):
    """One scope of `Hooks.deny_all_but` or `Hooks.allow_all_but`, inside those around it.

    Nested scopes only narrow: a hook runs if every one of them permits it.
    """

    only: bool
    categories: frozenset[str]
    outer: Control | None

    def permits(self, category: str | None, protected: bool) -> bool:
        """Whether a hook of this category may run."""
        if protected:
            return True
        if (category in self.categories) is not self.only:
            return False
        return self.outer is None or self.outer.permits(category, protected)

    def __str__(self) -> str:
        names = ", ".join(map(repr, sorted(self.categories)))
        return f"deny_all_but({names})" if self.only else f"allow_all_but({names})"


class Surroundings:
    """The context variables of one rule book."""

    __slots__ = ("_control", "_values")

    def __init__(self, name: str) -> None:
        self._values: ContextVar[Mapping[str, Any]] = ContextVar(f"{name}.values", default={})  # noqa: B039
        self._control: ContextVar[Control | None] = ContextVar(f"{name}.control", default=None)

    @property
    def values(self) -> Mapping[str, Any]:
        """What hooks may ask for by name, besides what the engine provides."""
        return self._values.get()

    @property
    def control(self) -> Control | None:
        """The innermost category scope."""
        return self._control.get()

    @contextmanager
    def holding(self, values: Mapping[str, Any]) -> Iterator[None]:
        """Add values for the time of a block."""
        token = self._values.set({**self._values.get(), **values})
        try:
            yield
        finally:
            self._values.reset(token)

    @contextmanager
    def narrowed(self, only: bool, categories: tuple[str, ...]) -> Iterator[None]:
        """Narrow the categories for the time of a block."""
        token = self._control.set(Control(only, frozenset(categories), self._control.get()))
        try:
            yield
        finally:
            self._control.reset(token)
