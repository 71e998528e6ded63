"""What one database transaction has done so far, and what waits for its end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from hookline.core.arguments import Arguments, Scope, read
from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.net import Fold
from hookline.core.operation import Operation
from hookline.core.step import StepChange
from hookline.core.targets import side_of_relation
from hookline.errors import NotFollowedError, PhaseError

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.core.plan import Plan
    from hookline.core.registered import Registered
    from hookline.core.registry import Hooks
    from hookline.core.run import Observer

O = TypeVar("O", bound=Operation)  # noqa: E741 - the type of an operation


class Outcome(Enum):
    """How a transaction ended."""

    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    COMMIT_FAILED = "commit failed"
    UNKNOWN = "unknown"


class Host(Protocol):
    """What the engine needs of the library that holds the transaction: an adapter brings it."""

    asynchronous: bool

    @property
    def observer(self) -> Observer:
        """What finds out who made what pending."""

    def flush(self) -> Any:
        """Write what is pending, with hooks, until nothing is; may be awaitable."""

    def scope(self) -> Scope:
        """What hooks can reach while the transaction is open."""

    def fresh_scope(self, cause: Hook | None, parent: Change[Any] | None) -> FreshScope:
        """What one hook can reach after its end: a session of its own."""

    def complete(self, changes: list[Change[Any]]) -> None:
        """Load what of these changes is not at hand: a coroutine cannot load by reading."""

    def deliver(self, work: list[tuple[Hook, list[Change[Any]]]]) -> Any:
        """Write what durable hooks are to be told of, in the transaction; may be awaitable."""

    def identity(self, given: object, key: Any) -> Hashable:
        """The identity of an entity, or of a model's row by key, as `Change.identity` has it."""


class FreshScope(Scope, Protocol):
    """A scope whose session must be ended."""

    def close(self, good: bool) -> Any:
        """Commit if the hook returned, else roll back; may be awaitable."""


class Callback(NamedTuple):
    """A function that waits for the transaction's end."""

    function: Callable[..., Any]
    arguments: Arguments


class Savepoint(NamedTuple):
    """Where everything stood when a savepoint was set."""

    steps: int
    flushes: int
    callbacks: dict[str, int]
    operations: tuple[tuple[Operation, int], ...]


class Transaction:
    """What one database transaction has done so far, and what waits for its end.

    Hooks ask for it by the name ``tx``; outside a hook an adapter gives it.

    Attributes:
        book: The rule book.
        data: Anything; dies with the transaction.
        outcome: How it ended; `Outcome.OPEN` before.
        errors: What ``after_commit`` and ``after_rollback`` hooks raised.
        cause: The hook that is running; None between hooks.
        subject: The change, or the list of changes, that it is running on.
        pending: The changes of the flush that is being prepared.
        registered: The hooks of registrations that it began with; None while nothing was written, or if there are none.
    """

    registered: Registered | None = None

    def __init__(self, book: Hooks, host: Host) -> None:
        self.book, self.host = book, host
        self.data: dict[Any, Any] = {}
        self.outcome = Outcome.OPEN
        self.errors: list[BaseException] = []
        self.cause: Hook | None = None
        self.subject: Change[Any] | list[Change[Any]] | None = None
        self.pending: list[Change[Any]] = []
        self.steps: list[Change[Any]] = []
        self.operations: list[Operation] = []
        self.prepared: list[Operation] = []
        self.callbacks: dict[str, list[Callback]] = {
            "before_commit": [],
            "after_commit": [],
            "after_rollback": [],
        }
        self._savepoints: list[Savepoint] = []
        self._flushes: list[tuple[int, Mapping[Hashable, Hashable]]] = []
        self._fold = Fold()
        self._folded = 0

    @property
    def plan(self) -> Plan:
        """Its hooks: those of code as they are now, those of registrations as they were when it began."""
        book = self.book
        if not book.sources.all:
            return book.plan
        return book.known_plan if self.registered is None else self.registered.plan(book.plan)

    # -- what it did

    def record(self, changes: list[Change[Any]], moves: Mapping[Hashable, Hashable] | None = None) -> None:
        """Keep the changes of one flush.

        Args:
            changes: What hooks may ask for.
            moves: By identity, the new identity of rows that hooks do not follow, for the sake of their links.
        """
        if changes or moves:
            self._flushes.append((len(self.steps), moves or {}))
            self.steps.extend(changes)

    def insert(self, place: int, change: Change[Any]) -> None:
        """Keep a change that was found out late, before the step that it came before.

        Args:
            place: The number of that step.
            change: The change.
        """
        before = [one for one in self._flushes if one[0] <= place]
        after = [(start + 1, moves) for start, moves in self._flushes if start > place]
        split = [(place, before.pop()[1] if before and before[-1][0] == place else {}), (place + 1, {})]
        self._flushes = [*before, *split, *after]
        self.steps.insert(place, change)
        self._fold, self._folded = Fold(), 0

    def changes(self, target: object = None) -> list[Change[Any]]:
        """The net changes so far.

        Args:
            target: A class (subclasses included), a relation, the field of a workflow, or None for all, links and steps
                included.

        Raises:
            NotFollowedError: No hook concerns the class, so its writes are not followed.
        """
        self._check_followed(target)
        net = self._up_to_date().all()
        if target is None:
            return net
        if isinstance(target, type):
            return [c for c in net if not isinstance(c, (LinkChange, StepChange)) and issubclass(c.model, target)]
        steps: list[Change[Any]] = [c for c in net if isinstance(c, StepChange) and c.flow.named_by(target)]
        return steps + [
            c.seen_from(side)
            for c in net
            if isinstance(c, LinkChange) and (side := side_of_relation((target,), False, c.kind)) is not None
        ]

    def added(self, given: object, key: Any = None) -> bool:
        """Whether an entity, or a model's row by key, was inserted in this transaction."""
        return self._net_event(given, key) == "insert"

    def updated(self, given: object, key: Any = None) -> bool:
        """Whether an entity, or a model's row by key, was updated in this transaction and existed before."""
        return self._net_event(given, key) == "update"

    def deleted(self, given: object, key: Any = None) -> bool:
        """Whether an entity, or a model's row by key, was deleted in this transaction and existed before."""
        return self._net_event(given, key) == "delete"

    def _net_event(self, given: object, key: Any) -> str | None:
        self._check_followed(given if isinstance(given, type) else type(given))
        for change in self.pending:
            if isinstance(change, LinkChange):
                continue
            if isinstance(given, type):
                hit = issubclass(change.model, given) and change.key == key
            else:
                hit = change.entity is given
            if hit:
                return change.event if change.event != "update" else self._net_event_written(given, key) or "update"
        return self._net_event_written(given, key)

    def _net_event_written(self, given: object, key: Any) -> str | None:
        net = self._up_to_date().one(self.host.identity(given, key))
        return net.event if net is not None else None

    def _check_followed(self, target: object) -> None:
        if isinstance(target, type) and not self.plan.follows(target):
            raise NotFollowedError(
                f"No hook concerns {target.__name__}, so its writes cost nothing and are not followed. "
                f"To ask for them, say so once: hooks.follow({target.__name__})."
            )

    def _up_to_date(self) -> Fold:
        while self._folded < len(self._flushes):
            start, moves = self._flushes[self._folded]
            later = self._flushes[self._folded + 1 : self._folded + 2]
            self._fold.add(self.steps[start : later[0][0] if later else len(self.steps)], moves)
            self._folded += 1
        return self._fold

    # -- what waits for its end

    def before_commit(self, function: Callable[..., Any]) -> None:
        """Call a function before COMMIT; it takes nothing, or ``tx``, ``session`` and context values by name."""
        self._wait("before_commit", function)

    def after_commit(self, function: Callable[..., Any]) -> None:
        """Call a function after COMMIT; arguments as of `before_commit`."""
        self._wait("after_commit", function)

    def after_rollback(self, function: Callable[..., Any]) -> None:
        """Call a function if the transaction does not commit; arguments as of `before_commit`."""
        self._wait("after_rollback", function)

    def _wait(self, phase: str, function: Callable[..., Any]) -> None:
        self.check_open(f"tx.{phase}()")
        arguments = read(function, f"callback {getattr(function, '__name__', function)!r} ({phase})", ("tx", "session"))
        self.callbacks[phase].append(Callback(function, arguments))

    def operation(self, kind: type[O]) -> O:
        """The waiting operation of a class; see `Operation.of`."""
        self.check_open(f"{kind.__name__}.of(tx)")
        for operation in self.operations:
            if type(operation) is kind:
                return operation
        fresh = kind(self)
        self.operations.append(fresh)
        return fresh

    def check_open(self, what: str) -> None:
        """Refuse what makes no sense once the transaction is over.

        Raises:
            PhaseError: It is.
        """
        if self.outcome is not Outcome.OPEN:
            raise PhaseError(f"{what} comes too late: this transaction is over ({self.outcome.value}).")

    # -- savepoints

    def set_savepoint(self) -> None:
        """A savepoint was set."""
        self._savepoints.append(
            Savepoint(
                len(self.steps),
                len(self._flushes),
                {phase: len(waiting) for phase, waiting in self.callbacks.items()},
                tuple((operation, len(operation.items)) for operation in self.operations),
            )
        )

    def release_savepoint(self) -> None:
        """The innermost savepoint was released: what it did is the transaction's now."""
        self._savepoints.pop()

    def rollback_savepoint(self) -> None:
        """The innermost savepoint was rolled back: it takes with it what came since, and only that."""
        savepoint = self._savepoints.pop()
        del self.steps[savepoint.steps :]
        del self._flushes[savepoint.flushes :]
        if self._folded > len(self._flushes):
            self._fold, self._folded = Fold(), 0
        for phase, count in savepoint.callbacks.items():
            del self.callbacks[phase][count:]
        older = dict(savepoint.operations)
        self.operations = [operation for operation in self.operations if operation in older]
        for operation, count in older.items():
            del operation.items[count:]
