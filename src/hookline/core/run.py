"""Calling hooks: one body for sync and async.

Everything that may have to wait is a generator which yields what is to be awaited. `drive` runs it in sync
code, `drive_async` in a coroutine; an adapter whose library bridges the two in its own way passes its own
``wait``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence, Sized
from operator import attrgetter
from time import perf_counter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from hookline.core.change import Change
from hookline.core.family import by_row
from hookline.core.link import LinkChange
from hookline.core.step import StepChange
from hookline.errors import AsyncHookError, ValidationError

if TYPE_CHECKING:
    from hookline.core.arguments import Scope
    from hookline.core.hook import Hook
    from hookline.core.plan import Plan
    from hookline.core.transaction import Transaction

R = TypeVar("R")
Steps = Generator[Awaitable[Any], Any, R]
Subject = Change[Any] | list[Change[Any]]


class Unsettled(BaseException):
    """Raised by reading a value that is not known until the row is written.

    Not an `Exception`, so that no rule's own ``except Exception`` catches it: `run_hook` does, and puts the
    call off.
    """


def first_of(subject: Subject | None) -> Change[Any] | None:
    """The change, or the first of several."""
    return subject[0] if isinstance(subject, list) else subject


def refuse(awaitable: Awaitable[Any]) -> NoReturn:
    """The ``wait`` of sync code: there is none."""
    if isinstance(awaitable, CoroutineType):
        awaitable.close()
    raise AsyncHookError(
        "A hook returned something to await, but it runs in a sync session, where nothing can await it. "
        "Make it a plain function, or write through an async session."
    )


def drive(steps: Steps[R], wait: Callable[[Awaitable[Any]], Any] = refuse) -> R:
    """Run steps to their end in sync code.

    Args:
        steps: What to run.
        wait: Called with each awaitable; returns what it gives.
    """
    try:
        awaitable = next(steps)
        while True:
            try:
                value = wait(awaitable)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the steps, which may handle it
                awaitable = steps.throw(error)
            else:
                awaitable = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def drive_async(steps: Steps[R]) -> R:
    """Run steps to their end in a coroutine."""
    try:
        awaitable = next(steps)
        while True:
            try:
                value = await awaitable
            except BaseException as error:  # noqa: BLE001 - as in `drive`
                awaitable = steps.throw(error)
            else:
                awaitable = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def settle(value: Any) -> Steps[Any]:
    """A value, awaited if it is awaitable."""
    if hasattr(value, "__await__"):
        value = yield value
    return value


def work_for(plan: Plan, phase: str, changes: Sequence[Change[Any]]) -> list[tuple[Hook, list[Change[Any]]]]:
    """The hooks of a phase that concern some of these changes, in order, each with those changes."""
    groups: dict[tuple[str, Any], list[Change[Any]]] = {}
    for change in changes:
        at = change.event, change.group
        try:
            groups[at].append(change)
        except KeyError:
            groups[at] = [change]
    who = {at: _hooks_for(plan, phase, group[0]) for at, group in groups.items()}
    if len(groups) == 1:
        (group,) = groups.values()
        (hooks,) = who.values()
        return [(hook, group if side is None else [_seen(link, side) for link in group]) for hook, side in hooks]
    work: dict[Hook, list[Change[Any]]] = {}
    for change in changes:  # a hook of several events gets them in the order in which they happened
        for hook, side in who[change.event, change.group]:
            work.setdefault(hook, []).append(change if side is None else _seen(change, side))
    rank = plan.rank
    return sorted(work.items(), key=lambda item: rank[item[0]])


def work_by_row(plan: Plan, phase: str, changes: Sequence[Change[Any]]) -> Iterable[tuple[Hook, list[Change[Any]]]]:
    """The same, each family replaced by those of its hooks that are about the rows of these changes."""
    work = work_for(plan, phase, changes)
    return by_row(work) if plan.keyed else work


def concerned(work: Iterable[tuple[Hook, list[Change[Any]]]]) -> list[tuple[Hook, list[Change[Any]]]]:
    """Those of the hooks whose condition some of their changes meet, each with these."""
    return [(hook, chosen) for hook, changes in work if (chosen := hook.chosen(changes))]


def _hooks_for(plan: Plan, phase: str, change: Change[Any]) -> Iterable[tuple[Hook, str | None]]:
    if isinstance(change, LinkChange):
        return plan.for_link(phase, change.event, change.kind)
    if isinstance(change, StepChange):
        return [(hook, None) for hook in plan.for_step(phase, change.event, change.flow, change.model)]
    return [(hook, None) for hook in plan.for_row(phase, change.event, change.model)]


def _seen(change: Change[Any], side: str) -> Change[Any]:
    return change.seen_from(side) if isinstance(change, LinkChange) else change


class Observer(Protocol):
    """Finds out which call of a hook made what pending."""

    def pending(self) -> tuple[Sized, Sized, Sized]:
        """What is going to be inserted, deleted and updated: as long as their sizes stay, nothing happened."""

    def observe(self, hook: Hook, subject: Subject) -> None:
        """A call has changed one of these sizes."""

    def finish(self, hook: Hook | None, subject: Subject | None) -> None:
        """A hook, an operation or a callback has had its last call, on this subject."""


def run_phase(
    tx: Transaction,
    plan: Plan,
    phase: str,
    changes: Sequence[Change[Any]],
    scope: Scope,
    *,
    refusals: list[ValidationError] | None = None,
    put_off: list[tuple[Hook, Subject]] | None = None,
    observer: Observer | None = None,
) -> Steps[None]:
    """Run all hooks of a phase on those changes that they concern.

    Args:
        tx: The transaction.
        plan: The hooks.
        phase: Which of them.
        changes: What happened.
        scope: What the hooks can reach.
        refusals: Gathers ValidationErrors, so that all rules are heard; if None, the first one is raised.
        put_off: Gathers the calls that read a value which is not known yet.
        observer: Told of calls that write.
    """
    control = tx.book.surroundings.control
    for hook, some in work_by_row(plan, phase, changes):
        if control is None or control.permits(hook.category, hook.protected):
            yield from run_hook(tx, hook, some, scope, refusals=refusals, put_off=put_off, observer=observer)


def run_hook(
    tx: Transaction,
    hook: Hook,
    changes: list[Change[Any]],
    scope: Scope,
    *,
    refusals: list[ValidationError] | None = None,
    put_off: list[tuple[Hook, Subject]] | None = None,
    observer: Observer | None = None,
) -> Steps[None]:
    """Run one hook on those of the changes that meet its condition; arguments as of `run_phase`."""
    if hook.arguments.asynchronous:
        tx.host.complete(changes)
    before = tx.cause, tx.subject
    tx.cause = hook
    try:
        if hook.arguments.set_at_a_time:
            chosen = changes if hook.condition is None else _chosen(hook, changes, put_off)
            subjects: Iterable[Subject] = [chosen] if chosen else []
            condition = None
        else:
            subjects, condition = changes, hook.condition
        call = _quick_call(hook) if tx.book.tracing is None else None
        new, deleted, modified = observer.pending() if observer is not None else ((), (), ())
        pending = len(new) + len(deleted) + len(modified)
        subject: Subject | None = None
        for subject in subjects:
            tx.subject = subject
            try:
                if condition is not None and not condition(subject):  # type: ignore[arg-type]
                    continue
                if call is None:
                    yield from invoke(tx, hook, subject, scope)
                elif (result := call(subject)) is not None:
                    yield from settle(result)
            except (Exception, Unsettled) as error:  # noqa: BLE001 - sorted out, and raised again if it is not ours
                _handle(error, hook, subject, refusals, put_off)
            if len(new) + len(deleted) + len(modified) != pending:
                observer.observe(hook, subject)  # type: ignore[union-attr]
                pending = len(new) + len(deleted) + len(modified)
        if observer is not None:
            observer.finish(hook, subject)
    finally:
        tx.cause, tx.subject = before


def _quick_call(hook: Hook) -> Callable[[Any], Any] | None:
    """How to call a hook that needs nothing but its change; None if it needs more."""
    function, arguments = hook.function, hook.arguments
    if arguments.asynchronous:
        return None
    if arguments.direct:
        return function
    names = arguments.derived
    if names is None:
        return None
    if len(names) == 1:
        (name,) = names
        value = attrgetter(name)
        if arguments.by_name_only:
            return lambda change: function(**{name: value(change)})
        return lambda change: function(value(change))
    return lambda change: function(**{name: getattr(change, name) for name in names})


def _handle(
    error: BaseException,
    hook: Hook,
    subject: Subject,
    refusals: list[ValidationError] | None,
    put_off: list[tuple[Hook, Subject]] | None,
) -> None:
    """Gather a refusal, put off a call that came too early, or let anything else go on, with a note."""
    if isinstance(error, Unsettled) and put_off is not None:
        put_off.append((hook, subject))
    elif isinstance(error, ValidationError) and refusals is not None:
        refusals.append(error)
    else:
        if not isinstance(error, ValidationError):
            note(error, hook, first_of(subject))
        raise error


def _chosen(hook: Hook, changes: list[Change[Any]], put_off: list[tuple[Hook, Subject]] | None) -> list[Change[Any]]:
    chosen: list[Change[Any]] = []
    for change in changes:
        try:
            if hook.condition(change):  # type: ignore[misc]
                chosen.append(change)
        except (Exception, Unsettled) as error:  # noqa: BLE001 - as in `run_hook`
            _handle(error, hook, [change], None, put_off)
    return chosen


def invoke(tx: Transaction, hook: Hook, subject: Subject, scope: Scope) -> Steps[None]:
    """Call one hook once, with all that it asks for, traced if somebody traces."""
    trace = tx.book.tracing
    started = perf_counter()
    failure: BaseException | None = None
    try:
        arguments = hook.arguments.fill(str(hook), scope, subject)
        if "entity" in arguments and hook.arguments.asynchronous:
            arguments["entity"] = yield from settle(arguments["entity"])
        yield from settle(hook.function(**arguments))
    except Unsettled:
        trace = None
        raise
    except BaseException as error:  # taken down for the trace, and raised again
        failure = error
        raise
    finally:
        if trace is not None:
            trace.record(hook, subject, perf_counter() - started, failure)


def note(error: BaseException, hook: Hook, change: Change[Any] | None) -> None:
    """Say on an error which hook raised it, in which phase and on what."""
    if not getattr(error, "__hookline_noted__", False):
        error.add_note(f"raised in {hook}" + (f" on {change!r}" if change is not None else ""))
        try:
            error.__hookline_noted__ = True  # type: ignore[attr-defined]
        except AttributeError:  # an exception with __slots__: it is noted once more at most
            return
