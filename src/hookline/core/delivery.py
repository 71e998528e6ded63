"""One durable hook to run for one net change, as its hook and its sink see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hookline.core.retry import Retry
from hookline.errors import RegistrationError

if TYPE_CHECKING:
    from hookline.core.change import Change


@dataclass(frozen=True)
class Delivery:
    """What a durable hook knows of the delivery that it runs for; hooks ask for it by the name ``delivery``.

    Attributes:
        id: Unique among all databases, and the same each time it is tried: the key by which others tell repeats.
        hook: The hook's name.
        attempt: Which try this is, from 1.
        max_attempts: How many there are at most.
        created_at: When the change was committed, nearly; aware.
        body: The change, or the changes, as typed JSON.
    """

    id: str
    hook: str
    attempt: int
    max_attempts: int
    created_at: dt.datetime
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether there is no other try after this one."""
        return self.attempt >= self.max_attempts


class Sink(Protocol):
    """Where a delivery can go instead of to a function: see `Hooks.durable`.

    Its one method is registered as the hook's function: it takes arguments by name, as any hook does (``delivery``,
    ``change``, ...), may be async, and raises if the delivery has to be tried again.

    Attributes:
        name: Part of the names of its hooks.
    """

    name: str

    @property
    def deliver(self) -> Callable[..., Any]:
        """Hands a delivery over; a method."""


class Terms(NamedTuple):
    """On what terms a durable hook is delivered.

    Attributes:
        retry: How often it is tried, and when.
        key: Deliveries of one key run one after the other, in the order of commits: a function of the change, or None
            for the key of the row.
    """

    retry: Retry
    key: Callable[[Change[Any]], object] | None

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that it looks at, to be checked against the model."""
        return (self.key.name,) if isinstance(self.key, _Field) else ()


def terms(retry: object, key: object, whose: str) -> Terms:
    """The terms of a hook as they were given.

    Args:
        retry: A `Retry`; None for the usual one.
        key: A function of a change, the name of a field, or None.
        whose: For errors.

    Raises:
        RegistrationError: They are something else.
    """
    if retry is not None and not isinstance(retry, Retry):
        raise RegistrationError(f"retry= of {whose} takes a Retry, as in retry=Retry(max_attempts=8), not {retry!r}.")
    by: Callable[[Change[Any]], object] | None
    if isinstance(key, str):
        by = _Field(key)
    elif key is None or callable(key):
        by = key
    else:
        raise RegistrationError(f"key= of {whose} takes the name of a field or a function of a change, not {key!r}.")
    return Terms(retry or Retry(), by)


class _Field:
    """A key that is the value of a field."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, change: Change[Any]) -> object:
        row = change.old if change.event == "delete" else change.new
        return row[self.name]
