"""A function of one change, as a hook of each colour and shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OnChange = Callable[[Any], None]


@dataclass(frozen=True)
class Shape:
    """How all hooks of one sequence are written.

    Attributes:
        set_at_a_time: They take `changes`.
        is_async: They are async functions.
    """

    set_at_a_time: bool
    is_async: bool

    def loading(self, function: OnChange) -> Callable[..., Any]:
        """A hook whose function loads and writes, which an async one must wait for."""
        for_all = _for_all(function) if self.set_at_a_time else function

        async def one(change: Any, session: Any) -> None:
            await session.run_sync(lambda _: for_all(change))

        async def many(changes: Any, session: Any) -> None:
            await session.run_sync(lambda _: for_all(changes))

        if not self.is_async:
            return self.quiet(function)
        return many if self.set_at_a_time else one

    def quiet(self, function: OnChange) -> Callable[..., Any]:
        """A hook whose function only looks at the change."""

        def one(change: Any) -> None:
            function(change)

        async def one_async(change: Any) -> None:
            function(change)

        def many(changes: Any) -> None:
            for change in changes:
                function(change)

        async def many_async(changes: Any) -> None:
            for change in changes:
                function(change)

        if self.set_at_a_time:
            return many_async if self.is_async else many
        return one_async if self.is_async else one


def _for_all(function: OnChange) -> OnChange:
    def for_all(changes: Any) -> None:
        for change in changes:
            function(change)

    return for_all
