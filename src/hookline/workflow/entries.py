"""What is kept of an object's way: approvals that wait, were given or cancelled, and jumps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from hookline.workflow.definition import Approval

PENDING: Final = "pending"
APPROVED: Final = "approved"
CANCELLED: Final = "cancelled"
JUMPED: Final = "jumped"
MOVED: Final = "moved"
"""It waited under a definition that the object has left."""

RESTS: Final = "rests"
"""No approval at all: it says by which definition an object goes that began in a final state, or was moved into one."""


@dataclass(frozen=True)
class Entry:
    """One line of an object's way through its workflow.

    Attributes:
        id: Its number; None if it is not waiting yet, because others come first.
        source: The state before, as the field has it.
        destination: The state that its transition leads to.
        status: ``"pending"``, ``"approved"``, ``"cancelled"``, ``"jumped"`` or ``"moved"``.
        approval: What is asked; None of a jump, or if the definition is not at hand.
        position: Which it is of its transition's approvals, from 0.
        iteration: How often the object had been in the source state before.
        completes: Whether the transition happened with it.
        by: The id of the user who gave it, as text.
        at: When, by the database's clock; of one that waits, since when; None while it is being given.
        version: The number of the definition.
    """

    id: int | None
    source: Any
    destination: Any
    status: str
    approval: Approval | None = None
    position: int = 0
    iteration: int = 0
    completes: bool = False
    by: str | None = None
    at: dt.datetime | None = None
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The same as JSON has it, but for the two states, which only the workflow can name."""
        data = asdict(self)
        data["approval"] = None if self.approval is None else list(self.approval.criteria)
        data["at"] = None if self.at is None else self.at.isoformat()
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Entry:
        """An entry from what `to_data` gave."""
        given = dict(data)
        if (criteria := given["approval"]) is not None:
            kinds = ("permission", "group", "user")
            given["approval"] = Approval(**{f"{kind}s": [n for k, n in criteria if k == kind] for kind in kinds})
        if given["at"] is not None:
            given["at"] = dt.datetime.fromisoformat(given["at"])
        return cls(**given)
