"""Write a rule about data once; it runs on every write that it concerns.

This is the front door: everything public in the core. Adapters have their own: `hookline.sqlalchemy`.
"""

from hookline.core.change import Change
from hookline.core.conditions import Condition, becomes, changed, from_user, object_is, subject_is, was
from hookline.core.delivery import Delivery, Sink
from hookline.core.explain import Explanation
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.operation import Operation
from hookline.core.registry import Hooks
from hookline.core.retry import Retry
from hookline.core.targets import RelationSet
from hookline.core.trace import Trace
from hookline.core.transaction import Outcome, Transaction
from hookline.errors import (
    AddressRefusedError,
    AsyncHookError,
    BrokenRegistrationWarning,
    BypassError,
    CaptureError,
    ConditionDataError,
    DeliveryError,
    DuplicateHookError,
    HooklineError,
    HooklineWarning,
    HookLoopError,
    HookOrderError,
    LeaseLostError,
    NotFollowedError,
    OutboxError,
    PhaseError,
    Problem,
    ReadOnlyError,
    RegistrationError,
    RegistrationStoreError,
    SinkError,
    TargetError,
    UndeliverableError,
    UnhookedWriteWarning,
    UnknownArgumentError,
    UnknownCallbackError,
    UnknownEventError,
    UnknownFieldError,
    UnknownOptionError,
    UnknownOutcomeError,
    UnknownPhaseError,
    UnknownPolicyError,
    UsageError,
    ValidationError,
)

__all__ = [
    "AddressRefusedError",
    "AsyncHookError",
    "BrokenRegistrationWarning",
    "BypassError",
    "CaptureError",
    "Change",
    "Condition",
    "ConditionDataError",
    "Delivery",
    "DeliveryError",
    "DuplicateHookError",
    "Explanation",
    "Hook",
    "HookLoopError",
    "HookOrderError",
    "HooklineError",
    "HooklineWarning",
    "Hooks",
    "LeaseLostError",
    "LinkChange",
    "NotFollowedError",
    "Operation",
    "OutboxError",
    "Outcome",
    "PhaseError",
    "Problem",
    "ReadOnlyError",
    "RegistrationError",
    "RegistrationStoreError",
    "RelationSet",
    "Retry",
    "Sink",
    "SinkError",
    "TargetError",
    "Trace",
    "Transaction",
    "UndeliverableError",
    "UnhookedWriteWarning",
    "UnknownArgumentError",
    "UnknownCallbackError",
    "UnknownEventError",
    "UnknownFieldError",
    "UnknownOptionError",
    "UnknownOutcomeError",
    "UnknownPhaseError",
    "UnknownPolicyError",
    "UsageError",
    "ValidationError",
    "becomes",
    "changed",
    "from_user",
    "object_is",
    "subject_is",
    "was",
]
