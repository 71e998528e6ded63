"""Every error that Hookline raises, as a tree.

HooklineError
├── ValidationError             the user's: what they wrote breaks a rule
├── UsageError                  the programmer's
│   ├── RegistrationError       (a ValueError too) a hook that cannot be registered
│   │   ├── UnknownEventError
│   │   ├── UnknownPhaseError
│   │   ├── UnknownOptionError
│   │   ├── UnknownPolicyError
│   │   ├── UnknownArgumentError
│   │   ├── TargetError
│   │   ├── UnknownFieldError
│   │   ├── UnknownCallbackError
│   │   ├── ConditionDataError
│   │   ├── DuplicateHookError
│   │   ├── HookOrderError
│   │   └── WorkflowDefinitionError
│   ├── AsyncHookError
│   ├── HookLoopError
│   ├── ReadOnlyError
│   ├── PhaseError
│   ├── NotFollowedError
│   ├── BypassError             a write that would go around hooks, and was not sent
│   ├── CaptureError            triggers that are missing or outdated
│   ├── RegistrationStoreError  registrations that cannot be kept or read
│   ├── WorkflowStoreError      a workflow without its tables or its rule book
│   ├── OutboxError             tables of deliveries that are missing or outdated
│   └── DeliveryError           what cannot be delivered
├── LeaseLostError              a delivery that another worker has taken meanwhile
├── SinkError                   a delivery that was not taken where it was to go
│   └── AddressRefusedError     a webhook that leads to an address which is not public
├── UndeliverableError          a delivery that no other attempt can save
├── WorkflowError               an object that cannot go on in its workflow so
│   ├── NotAvailableError       nothing that the user may approve, or no such way
│   ├── ChoiceError             several ways, and nobody has said which
│   └── ProgressConflictError   somebody else was faster
└── UnknownOutcomeError         a COMMIT whose outcome could not be found out
HooklineWarning
├── UnhookedWriteWarning        a write that hooks could not see, or not in time
└── BrokenRegistrationWarning   a registration that runs nothing, because what it names is gone
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple


class HooklineError(Exception):
    """The root of all errors of this library.

    Attributes:
        code: A short name that never changes; the heading of the error in ``docs/errors.md``.
    """

    code: ClassVar[str] = "hookline"

    def __str__(self) -> str:
        return f"{super().__str__()} [docs/errors.md#{self.code}]"


class Problem(NamedTuple):
    """One thing that is wrong with one field of one entity.

    Attributes:
        entity: The object, or its class where the row is not known.
        field: The attribute's name, or ``""`` if the problem is the entity's as a whole.
        code: A short name for programs, ``"invalid"`` unless said otherwise.
        message: A template in the style of `str.format`; translate it at the edge.
        parameters: What the template's names stand for.

    Example:
        >>> Problem(None, "age", "range", "at most {limit}", {"limit": 120}).text
        'at most 120'
    """

    entity: object
    field: str
    code: str
    message: str
    parameters: Mapping[str, Any] = MappingProxyType({})

    @property
    def path(self) -> tuple[object, str]:
        """Where the problem is: ``(entity, field)``."""
        return self.entity, self.field

    @property
    def text(self) -> str:
        """The message with its parameters filled in, untranslated."""
        return self.message.format(**self.parameters) if self.parameters else self.message


class ValidationError(HooklineError):
    """What somebody wrote breaks a rule; the write is refused.

    Those raised by the ``before`` and ``check`` hooks of one flush are gathered into one. The idea of an
    error by entity and field comes from CubicWeb's class of the same name.

    Args:
        entity: The object at fault.
        problems: By field name, a message, or a `Problem`, or several of either.
        code: The code of problems given as plain messages.
        parameters: What names in plain messages stand for.

    Example:
        >>> error = ValidationError("person 7", {"age": "must be at most {limit}"}, parameters={"limit": 120})
        >>> error.by_field()
        {'age': ['must be at most 120']}
    """

    code = "validation"

    def __init__(
        self,
        entity: object,
        problems: Mapping[str, str | Problem | Iterable[str | Problem]] | str,
        *,
        code: str = "invalid",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        by_field = {"": problems} if isinstance(problems, str) else problems
        found: list[Problem] = []
        for name, given in by_field.items():
            for one in [given] if isinstance(given, (str, Problem)) else given:
                found.append(one if isinstance(one, Problem) else Problem(entity, name, code, one, parameters or {}))
        if not found:
            raise ValueError("a ValidationError needs at least one problem: ValidationError(entity, {'field': 'why'})")
        self.problems: tuple[Problem, ...] = tuple(found)
        super().__init__(entity, problems)

    @classmethod
    def gather(cls, errors: Iterable[ValidationError]) -> ValidationError:
        """One error with the problems of several, each problem once, in order."""
        gathered = list(errors)
        if len(gathered) == 1:
            return gathered[0]
        problems: list[Problem] = []
        for error in gathered:
            problems.extend(problem for problem in error.problems if problem not in problems)
        whole = cls(gathered[0].entity, {"": problems})
        for error in gathered:
            for note in getattr(error, "__notes__", ()):
                whole.add_note(note)
        return whole

    @property
    def entity(self) -> object:
        """The entity of the first problem."""
        return self.problems[0].entity

    def by_field(self, entity: object = None) -> dict[str, list[str]]:
        """The texts by field name, of all problems or of one entity's.

        Args:
            entity: The object whose problems are wanted; None for all.
        """
        texts: dict[str, list[str]] = {}
        for problem in self.problems:
            if entity is None or problem.entity is entity:
                texts.setdefault(problem.field, []).append(problem.text)
        return texts

    def __str__(self) -> str:
        lines = [
            f"{type(p.entity).__name__ if not isinstance(p.entity, type) else p.entity.__name__}"
            f"{'.' + p.field if p.field else ''}: {p.text}"
            for p in self.problems
        ]
        return "; ".join(lines)


class UsageError(HooklineError):
    """The program uses Hookline in a way that cannot work."""

    code = "usage"


class RegistrationError(UsageError, ValueError):
    """A hook that cannot be registered as it is."""

    code = "registration"


class UnknownEventError(RegistrationError):
    """An event that does not exist, or not in this phase."""

    code = "unknown-event"


class UnknownPhaseError(RegistrationError):
    """A phase that does not exist."""

    code = "unknown-phase"


class UnknownOptionError(RegistrationError):
    """A keyword that registration does not know."""

    code = "unknown-option"


class UnknownPolicyError(RegistrationError):
    """A ``bypass=`` that does not exist."""

    code = "unknown-policy"


class UnknownArgumentError(RegistrationError):
    """A parameter of a hook function that nothing provides."""

    code = "unknown-argument"


class TargetError(RegistrationError):
    """A target that is neither a mapped class nor a relation."""

    code = "target"


class UnknownFieldError(RegistrationError):
    """A condition that names a field its model has not."""

    code = "unknown-field"


class UnknownCallbackError(RegistrationError):
    """A function that data may not name: it is not marked, or not there."""

    code = "unknown-callback"


class ConditionDataError(RegistrationError):
    """A condition that is data, and says nothing that can be understood."""

    code = "condition-data"


class DuplicateHookError(RegistrationError):
    """Two hooks of one name in one rule book."""

    code = "duplicate-hook"


class HookOrderError(RegistrationError):
    """An order of hooks that contradicts itself."""

    code = "hook-order"


class AsyncHookError(UsageError):
    """An async hook where nothing can await it."""

    code = "async-hook"


class HookLoopError(UsageError):
    """Hooks that go on causing each other's writes."""

    code = "hook-loop"


class ReadOnlyError(UsageError):
    """A value was assigned where it can no longer be changed."""

    code = "read-only"


class PhaseError(UsageError):
    """Something was done in a phase that does not allow it."""

    code = "phase"


class NotFollowedError(UsageError):
    """A question about a model whose writes are not followed."""

    code = "not-followed"


class BypassError(UsageError):
    """A write that would have gone around hooks; their policy refused it before it was sent."""

    code = "bypass"


class CaptureError(UsageError):
    """Triggers that are not there, or not as the models want them."""

    code = "capture"


class RegistrationStoreError(UsageError):
    """Registrations that cannot be kept or read: tables that are missing or outdated, a session that cannot be used."""

    code = "registration-store"


class OutboxError(UsageError):
    """The tables in which deliveries wait are missing or outdated."""

    code = "outbox"


class DeliveryError(UsageError):
    """A change that cannot be kept for a durable hook, or a delivery that cannot be made a change again."""

    code = "delivery"


class LeaseLostError(HooklineError):
    """A worker was not heard of for longer than its lease: another one has taken its delivery."""

    code = "lease-lost"


class SinkError(HooklineError):
    """A delivery was not taken where it was to go; it is tried again, on the hook's terms."""

    code = "sink"


class AddressRefusedError(SinkError):
    """A webhook leads to an address that is not public; nothing was sent."""

    code = "address-refused"


class UndeliverableError(HooklineError):
    """No other attempt can save this delivery: it is dead at once, whatever the hook's `Retry` says.

    Durable hooks and sinks raise it.

    Example:
        >>> from hookline import Retry
        >>> Retry(max_attempts=8).tries_again(UndeliverableError("the account is closed"), failures=1)
        False
    """

    code = "undeliverable"


class UnknownOutcomeError(HooklineError):
    """The connection broke during COMMIT, and nothing shows whether the transaction was committed."""

    code = "unknown-outcome"


class WorkflowDefinitionError(RegistrationError):
    """A workflow that cannot be: a state that nothing leads to, a transition that dangles."""

    code = "workflow-definition"


class WorkflowStoreError(UsageError):
    """The tables of a workflow are missing, or an object or a session cannot be used with it."""

    code = "workflow-store"


class WorkflowError(HooklineError):
    """An object cannot go on in its workflow as somebody wants it to."""

    code = "workflow"


class NotAvailableError(WorkflowError):
    """Nothing that this user may approve, or no way to that state."""

    code = "not-available"


class ChoiceError(WorkflowError):
    """The user may approve several transitions, and has not said which."""

    code = "choice"


class ProgressConflictError(WorkflowError):
    """Somebody else has moved the object on meanwhile; nothing was written."""

    code = "progress-conflict"


class HooklineWarning(UserWarning):
    """The root of all warnings of this library."""


class UnhookedWriteWarning(HooklineWarning):
    """A write that hooks concern, but could not see, or not in time."""


class BrokenRegistrationWarning(HooklineWarning):
    """A registration that runs nothing, because what it names is not there any more."""


def near(given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a message: what was probably meant, else what there is.

    Example:
        >>> near("insrt", ["insert", "update"])
        " Did you mean 'insert'?"
    """
    from difflib import get_close_matches  # here and in other places: `import hookline` has a budget

    names = sorted(known)
    close = get_close_matches(given, names, n=1, cutoff=cutoff)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" There are: {', '.join(names)}." if names else ""
