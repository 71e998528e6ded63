"""One registration, and one entry of its history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Registration:
    """A hook that was bound at run time.

    Attributes:
        id: Its number, never used again.
        callback: The name of the function, as it was marked with `Hooks.callback`.
        phase: When it runs.
        event: What must have happened; a group such as ``save`` stays a group.
        target: The class, or the relation, with its module: ``shop.models:Company.boss``.
        key: The primary key of the only object that it is about, as JSON has its values; None for all objects.
        when: The condition, as JSON has it; None for none.
        enabled: Whether it runs at all.
        order: Low runs first, among hooks of code and registrations alike.
        category: For switching on and off.
        created_by: Who added it, as ``by=`` said.
        created_at: When, in UTC.
        changed_by: Who changed it last; None if nobody did.
        changed_at: When, in UTC.
        source: The name of the registrations that it belongs to; empty unless they were given one.

    Example:
        >>> one = Registration(12, "congratulate", "after", "update", "shop:Shipping", key=(7,))
        >>> one.name
        'congratulate #12'
    """

    id: int
    callback: str
    phase: str
    event: str
    target: str
    key: tuple[Any, ...] | None = None
    when: Mapping[str, Any] | None = None
    enabled: bool = True
    order: int = 0
    category: str | None = None
    created_by: str | None = None
    created_at: dt.datetime | None = None
    changed_by: str | None = None
    changed_at: dt.datetime | None = None
    source: str = ""

    @property
    def name(self) -> str:
        """The name of its hook: unique, and the same for as long as it is there."""
        return f"{self.callback} {self.source}#{self.id}"

    def __str__(self) -> str:
        about = self.target if self.key is None else f"{self.target} {', '.join(map(str, self.key))}"
        return f"registration {self.name!r} ({self.phase} {self.event} of {about})"


@dataclass(frozen=True)
class HistoryEntry:
    """What was done to a registration.

    Attributes:
        registration: The registration as it was afterwards; of a removal, as it was last.
        action: ``added``, ``enabled``, ``disabled``, ``changed``, ``moved`` (the key of its object changed) or
            ``removed``.
        by: Who did it, as ``by=`` said; None if nobody said.
        at: When, in UTC.
        why: What made it happen, if nobody asked for it: the object was deleted, say.
    """

    registration: Registration
    action: str
    by: str | None
    at: dt.datetime
    why: str | None = None


@dataclass(frozen=True)
class BrokenRegistration:
    """A registration that runs nothing, because what it names is not there any more.

    Attributes:
        registration: The registration.
        reason: What is wrong with it, as the error would say that refuses such a one.
    """

    registration: Registration
    reason: str

    def __str__(self) -> str:
        return f"{self.registration} runs nothing: {self.reason}"
