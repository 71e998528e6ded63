"""The stage on which one conformance test plays: a rule book, sessions attached to it, and what was seen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import Any, TypeVar

from hookline import Hook, Hooks
from hookline.testing.harness import Harness, Models, Session
from hookline.testing.recorder import Call, record

T = TypeVar("T")
AsyncFunction = Callable[..., Awaitable[Any]]


class SuspendedError(RuntimeError):
    """A coroutine that was driven without an event loop waited for something."""


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never really waits, without an event loop.

    A test that is written once for sync and async is a coroutine. Over a synchronous library
    nothing in it suspends, so one step runs it to its end.

    Args:
        coroutine: The coroutine to run to its end.

    Returns:
        What it returns.

    Raises:
        SuspendedError: It waited for something after all.

    Example:
        >>> async def answer() -> int:
        ...     return 42
        >>> drive(answer())
        42
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise SuspendedError(
        f"{coroutine!r} waited for something, and there is no event loop to wait in. "
        "The verbs of a synchronous harness return ready values."
    )


def scenario(function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine function: `stage` runs it in the harness's colour."""

    @functools.wraps(function)
    def test(self: object, stage: Stage, **fixtures: Any) -> None:
        stage.harness.run(function(self, stage, **fixtures))

    return test


class Stage:
    """A fresh rule book, attached to a harness's sessions, for one test.

    Args:
        harness: The adapter under test.

    Attributes:
        harness: The adapter under test.
        models: Its model classes.
        hooks: The rule book that sessions are attached to.
    """

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.models: Models = harness.models
        self.hooks = Hooks()
        self._attachments = ExitStack()

    def attach(self, hooks: Hooks | None = None, **options: Any) -> Hooks:
        """Attach the rule book (or another one, in its place) to the sessions that follow."""
        self._attachments.close()
        self.hooks = self.hooks if hooks is None else hooks
        self._attachments.enter_context(self.harness.attach(self.hooks, **options))
        return self.hooks

    def close(self) -> None:
        """Detach the rule book."""
        self._attachments.close()

    def session(self) -> AbstractAsyncContextManager[Session]:
        """A new session with the hooks attached."""
        return self.harness.open()

    def outside(self) -> AbstractAsyncContextManager[Session]:
        """A new session without hooks, for what must be there before the test begins."""
        return self.harness.open(attached=False)

    async def given(self, *entities: Any) -> Any:
        """Commit entities without hooks. Returns the key of the first."""
        async with self.outside() as session:
            await session.add(*entities)
            await session.commit()
            return self.harness.key(entities[0])

    def hook(self, phase: str, event: str, target: Any = None, **options: Any) -> Callable[[AsyncFunction], Hook]:
        """Register an async function as a hook, in the harness's colour."""

        def register(function: AsyncFunction) -> Hook:
            return self.hooks.add(self.function(function), phase, event, target, **options)

        return register

    def function(self, function: AsyncFunction) -> Callable[..., Any]:
        """The function in the harness's colour, with the same name and parameters."""
        if self.harness.has_async_hooks:
            return function

        @functools.wraps(function)
        def synchronous(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            assert inspect.iscoroutine(result)
            return drive(result)

        # Arguments are asked for by name, so the copy shows the parameters of the original.
        synchronous.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return synchronous

    def record(self, phase: str, event: str, target: Any = None, **options: Any) -> list[Call]:
        """Register a hook that writes down what it is called with."""
        return record(self.hooks, phase, event, target, **options)

    def record_all(self, event: str, target: Any = None, **options: Any) -> list[Call]:
        """One list for every phase in which a transaction that commits calls hooks."""
        calls: list[Call] = []
        for phase in ("before", "check", "after", "before_commit", "after_commit"):
            record(self.hooks, phase, event, target, into=calls, **options)
        return calls

    def statements(self) -> AbstractContextManager[list[str]]:
        """What sessions send to the database inside the block."""
        return self.harness.statements()


def staged(harness: Harness) -> Iterator[Stage]:
    """Empty tables, an attached stage, and everything taken down at the end: the body of a fixture."""
    harness.run(harness.clear())
    stage = Stage(harness)
    stage.attach()
    try:
        yield stage
    finally:
        stage.close()
