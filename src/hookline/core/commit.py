"""The end of a transaction: the phases around COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from hookline.core.arguments import Scope, read
from hookline.core.change import Change, chain
from hookline.core.family import by_row
from hookline.core.hook import Hook
from hookline.core.net import same_content
from hookline.core.operation import Operation
from hookline.core.run import Steps, Subject, concerned, invoke, note, run_hook, settle, work_for
from hookline.core.transaction import Callback, Outcome, Transaction
from hookline.errors import HookLoopError

if TYPE_CHECKING:
    from hookline.core.control import Control


class Preparation:
    """What happens to one transaction before COMMIT.

    Args:
        tx: The transaction.

    Attributes:
        rounds: How many rounds of ``before_commit`` had something to do.
    """

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.rounds = 0
        self._seen: dict[Hook, dict[Hashable, Change[Any]]] = {}

    def settle(self) -> Steps[None]:
        """Run ``before_commit`` until no new net change appears; again, if others have written since.

        A failure propagates; the adapter rolls the transaction back and calls `rolled_back`.

        Raises:
            HookLoopError: It never ends.
        """
        while True:
            yield from settle(self.tx.host.flush())
            if not (yield from _round(self.tx, self._seen)):
                return
            self.rounds += 1
            if self.rounds > self.tx.book.max_depth:
                raise _endless(self.tx)

    def deliver(self) -> Steps[None]:
        """Write the deliveries: the last that is done before COMMIT."""
        yield from _deliver(self.tx)


def _deliver(tx: Transaction) -> Steps[None]:
    work = concerned(_work(tx, "durable"))
    if work:
        yield from settle(tx.host.deliver(work))


def _round(tx: Transaction, seen: dict[Hook, dict[Hashable, Change[Any]]]) -> Steps[bool]:
    ran = False
    scope, observer = tx.host.scope(), tx.host.observer
    for hook, changes in _work(tx, "before_commit"):
        known = seen.setdefault(hook, {})
        fresh = [c for c in changes if not hook.net or (at := known.get(c.identity)) is None or not same_content(at, c)]
        if not hook.net:
            fresh = fresh[len(known) :]
            known.update((id(c), c) for c in fresh)
        else:
            known.update((c.identity, c) for c in fresh)
        if fresh:
            ran = True
            yield from run_hook(tx, hook, fresh, scope, observer=observer)
    while tx.operations:
        ran = True
        operation = min(tx.operations, key=lambda one: one.order)
        tx.operations.remove(operation)  # what is added from now on goes to a fresh instance
        tx.prepared.append(operation)
        yield from _call(operation.before_commit, scope)
        observer.finish(None, None)
    while tx.callbacks["before_commit"]:
        ran = True
        callback = tx.callbacks["before_commit"].pop(0)
        yield from settle(callback.function(**callback.arguments.fill("a before_commit callback", scope)))
        observer.finish(None, None)
    return ran


def _endless(tx: Transaction) -> HookLoopError:
    steps = tx.steps[-1:]
    story = "\n".join(f"  {c.describe()}" + (f"   <- {c.cause}" if c.cause else "") for s in steps for c in chain(s))
    return HookLoopError(
        f"before_commit goes on and on: after {tx.book.max_depth} rounds there are still new changes. "
        f"The last:\n{story}"
    )


def committed(tx: Transaction) -> Steps[None]:
    """COMMIT happened: run everything that waited for it; nothing stops anything."""
    tx.outcome = Outcome.COMMITTED
    yield from _after_the_end(tx, "after_commit", [operation.after_commit for operation in tx.prepared])


def rolled_back(tx: Transaction, outcome: Outcome = Outcome.ROLLED_BACK) -> Steps[None]:
    """COMMIT did not happen: undo by hand what operations did, then tell everybody."""
    tx.outcome = outcome
    for operation in reversed(tx.prepared):
        yield from _guarded(tx, operation.revert, None, None)
    every = sorted([*tx.prepared, *tx.operations], key=lambda one: one.order)
    yield from _after_the_end(tx, "after_rollback", [operation.after_rollback for operation in every])


def unknown(tx: Transaction, error: BaseException) -> None:
    """Nobody can tell what happened: say so as loudly as possible."""
    tx.outcome = Outcome.UNKNOWN
    _failed(tx, error, None, None)


def _after_the_end(tx: Transaction, phase: str, operations: list[Callable[[], Any]]) -> Steps[None]:
    for hook, changes in _work(tx, phase):
        if hook.arguments.set_at_a_time:
            yield from _isolated(tx, hook, changes)
        else:
            for change in changes:
                yield from _isolated(tx, hook, [change])
    for step in operations:
        yield from _guarded(tx, step, None, None)
    for callback in tx.callbacks[phase]:
        yield from _guarded(tx, callback, None, None)


def _work(tx: Transaction, phase: str) -> list[tuple[Hook, list[Change[Any]]]]:
    """The hooks of a commit phase with their changes: net ones, or every step for those that asked."""
    if not tx.steps:
        return []
    plan, now = tx.plan, tx.book.surroundings.control
    hooks = plan.phase(phase)
    if not hooks:
        return []
    work = dict(work_for(plan, phase, tx.changes())) if any(hook.net for hook in hooks) else {}
    steps = dict(work_for(plan, phase, tx.steps)) if not all(hook.net for hook in hooks) else {}
    found = []
    for hook, some in by_row((hook, (work if hook.net else steps).get(hook, [])) for hook in hooks):
        changes = [c for c in some if _permitted(hook, now, c)]
        if changes:
            found.append((hook, changes))
    return found


def _permitted(hook: Hook, now: Control | None, change: Change[Any]) -> bool:
    """Whether categories permit it now, and did when at least one of the steps was written."""
    if now is not None and not now.permits(hook.category, hook.protected):
        return False
    for step in getattr(change, "steps", (change,)):
        if step.control is None or step.control.permits(hook.category, hook.protected):
            return True
    return False


def _isolated(tx: Transaction, hook: Hook, changes: list[Change[Any]]) -> Steps[None]:
    """One call of a hook with a session of its own, whose failure stops nothing else."""
    scope = tx.host.fresh_scope(hook, changes[0])
    before = tx.cause, tx.subject
    tx.cause, tx.subject = hook, changes[0]
    try:
        try:
            if hook.arguments.asynchronous:
                tx.host.complete(changes)
            chosen = hook.chosen(changes)
            if chosen:
                subject: Subject = chosen if hook.arguments.set_at_a_time else chosen[0]
                yield from invoke(tx, hook, subject, scope)
        except Exception as error:  # noqa: BLE001 - after the end nothing may stop the others: it is logged, kept and handed on
            yield from settle(scope.close(False))
            note(error, hook, changes[0])
            _failed(tx, error, changes[0], hook)
        else:
            yield from _closing(tx, scope, hook, changes[0])
    finally:
        tx.cause, tx.subject = before


def _guarded(
    tx: Transaction, step: Callable[[], Any] | Callback, hook: Hook | None, change: Change[Any] | None
) -> Steps[None]:
    """One step of an operation, or one callback, likewise."""
    scope = tx.host.fresh_scope(hook, change)
    try:
        if isinstance(step, Callback):
            yield from settle(step.function(**step.arguments.fill("a callback", scope)))
        else:
            yield from _call(step, scope)
    except Exception as error:  # noqa: BLE001 - as above
        yield from settle(scope.close(False))
        _failed(tx, error, change, hook)
    else:
        yield from _closing(tx, scope, hook, change)


def _closing(tx: Transaction, scope: Any, hook: Hook | None, change: Change[Any] | None) -> Steps[None]:
    try:
        yield from settle(scope.close(True))
    except Exception as error:  # noqa: BLE001 - its own commit failed: that is its failure, and stops nothing else
        _failed(tx, error, change, hook)


def _call(step: Callable[..., Any], scope: Scope) -> Steps[Any]:
    owner = getattr(step, "__self__", None)
    if isinstance(owner, Operation) and getattr(type(owner), step.__name__) is getattr(Operation, step.__name__):
        return None
    whose = f"{type(owner).__name__}.{step.__name__}()"
    return (yield from settle(step(**read(step, whose, ("tx", "session")).fill(whose, scope))))


def _failed(tx: Transaction, error: BaseException, change: Change[Any] | None, hook: Hook | None) -> None:
    import logging

    log = logging.getLogger("hookline")
    log.error(
        "%s failed%s: %s",
        hook or "an operation or callback",
        f" on {change!r}" if change is not None else "",
        error,
        exc_info=error,
    )
    tx.errors.append(error)
    if tx.book.on_error is not None:
        try:
            tx.book.on_error(error, change, hook)
        except Exception:
            log.exception("on_error failed while handling %r", error)
