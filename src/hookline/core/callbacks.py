"""The functions that data may name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hookline.errors import DuplicateHookError, UnknownCallbackError, near


class Callbacks:
    """The functions of one rule book that are marked with `Hooks.callback`, by name.

    Data names one of them or nothing: no source text, no path to import.
    """

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}

    def mark(self, function: Callable[..., Any], name: str | None) -> None:
        """Let data name a function.

        Args:
            function: The function.
            name: Its name for data; its own if None.

        Raises:
            DuplicateHookError: Another one has this name.
        """
        if not callable(function):
            raise UnknownCallbackError(
                f"@hooks.callback marks a function, not {function!r}. "
                f"Write @hooks.callback, or @hooks.callback(name='another name')."
            )
        chosen = name or getattr(function, "__name__", None) or type(function).__name__
        known = self._functions.setdefault(chosen, function)
        if known is not function:
            raise DuplicateHookError(
                f"There is a callback {chosen!r} already, {known!r}; the other is {function!r}. "
                f"Give one of them another name: @hooks.callback(name='{chosen}_2')."
            )

    def name_of(self, given: object) -> str:
        """The name of a callback that was given as a name, or as the function itself.

        Raises:
            UnknownCallbackError: It is not marked.
        """
        if isinstance(given, str):
            self.named(given)
            return given
        for name, function in self._functions.items():
            if function is given:
                return name
        called = getattr(given, "__name__", repr(given))
        raise UnknownCallbackError(
            f"{called} is not marked, and data may name marked functions only. "
            f"Write @hooks.callback above `def {called}`."
        )

    def named(self, name: str) -> Callable[..., Any]:
        """The function of this name.

        Raises:
            UnknownCallbackError: None is marked with it.
        """
        try:
            return self._functions[name]
        except KeyError:
            hint = near(name, self._functions) or " No function is marked so far."
            raise UnknownCallbackError(
                f"There is no callback {name!r}.{hint} "
                f"A function that data may name is marked with @hooks.callback, or @hooks.callback(name=...)."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)
