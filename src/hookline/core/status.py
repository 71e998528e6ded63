"""Deliveries from outside: what those who look after them see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

STATES: Final = ("pending", "running", "done", "dead", "cancelled")
"""What a delivery can be, in the order of its life; stores keep the number."""


@dataclass(frozen=True)
class Attempt:
    """A try that failed.

    Attributes:
        number: Which.
        worker: Who tried.
        ended_at: When; aware.
        error: The traceback.
    """

    number: int
    worker: str | None
    ended_at: dt.datetime
    error: str

    @property
    def reason(self) -> str:
        """The line of the traceback that says what went wrong."""
        return _reason(self.error)


@dataclass(frozen=True)
class Status:
    """A delivery, from outside.

    Attributes:
        id: Its number in this database.
        hook: The hook's name.
        lane: What it is kept in order by.
        state: ``pending``, ``running``, ``done``, ``dead`` or ``cancelled``.
        attempts: How often it was begun.
        created_at: When it was written; aware.
        due_at: Pending: when it may run. Running: when its lease ends.
        ended_at: When it was done, died or was cancelled.
        worker: Who has it, or had it last.
        error: The last traceback.
        body: The changes, as JSON.
        age: Seconds since it was written, by the database's clock.
        due_in: Seconds until ``due_at``, by the same clock; negative if it has passed.
        history: The tries that failed, if they were asked for.
    """

    id: int
    hook: str
    lane: str
    state: str
    attempts: int
    created_at: dt.datetime
    due_at: dt.datetime
    ended_at: dt.datetime | None
    worker: str | None
    error: str | None
    body: str
    age: float
    due_in: float
    history: tuple[Attempt, ...] = field(default=())

    @property
    def reason(self) -> str:
        """The line of the last traceback that says what went wrong; empty if nothing did."""
        return _reason(self.error or "")


@dataclass(frozen=True)
class Count:
    """How many deliveries of a hook are in a state.

    Attributes:
        hook: The hook's name.
        state: The state.
        number: How many.
        oldest: The age of the oldest one, in seconds.
        overdue: Seconds since the first of them might have run, or its worker's lease ended; 0 if none is late, and of
            those that are done, dead or cancelled.
    """

    hook: str
    state: str
    number: int
    oldest: float
    overdue: float


def _reason(traceback: str) -> str:
    """The exception itself: the first line that stands out after the last frame; notes follow it."""
    reason = ""
    for line in traceback.splitlines():
        if line.startswith('  File "'):
            reason = ""
        elif not reason and line and not line.startswith((" ", "Traceback ")):
            reason = line
    return reason
