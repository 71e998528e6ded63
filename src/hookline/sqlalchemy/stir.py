"""Which hook it was that made an object pending: found without looking at every object after every call."""

from __future__ import annotations

from collections.abc import Sized
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from hookline.core.run import Subject, first_of
from hookline.sqlalchemy.facts import State

if TYPE_CHECKING:
    from hookline.core.change import Change
    from hookline.core.hook import Hook

Origin = tuple["Hook | None", "Change[Any] | None"]


class Stir:
    """Watches a session's sets of new, deleted and modified objects grow between calls of hooks.

    New and deleted ones are found after each call, by the end of their dicts. Modified ones are kept by
    SQLAlchemy in a set without order, so they are found once for all calls of a hook.

    Attributes:
        origins: By object, the hook that made it pending, and the change that it was running on.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.origins: dict[State, Origin] = {}
        self._first: Change[Any] | None = None
        self.reset()

    def reset(self) -> None:
        """Take things as they are now."""
        session = self.session
        self._new, self._deleted = len(session._new), len(session._deleted)
        self._modified = len(session.identity_map._modified)
        self._known = set(session.identity_map._modified)
        self._first = None

    def pending(self) -> tuple[Sized, Sized, Sized]:
        """The session's sets of new, deleted and modified objects."""
        session = self.session
        return session._new, session._deleted, session.identity_map._modified

    def observe(self, hook: Hook | None, subject: Subject | None) -> None:
        """A hook was called, and there is more or less pending than before: that is its doing."""
        session = self.session
        new, deleted = session._new, session._deleted
        if len(new) != self._new:
            self._latest(new, self._new, hook, first_of(subject))
            self._new = len(new)
        if len(deleted) != self._deleted:
            self._latest(deleted, self._deleted, hook, first_of(subject))
            self._deleted = len(deleted)
        if self._first is None and len(session.identity_map._modified) != self._modified:
            self._first = first_of(subject)

    def finish(self, hook: Hook | None = None, subject: Subject | None = None) -> None:
        """No more calls of this hook: look who was modified."""
        self.observe(hook, subject)
        modified = self.session.identity_map._modified
        if len(modified) != self._modified:
            for state in modified - self._known:
                self.origins.setdefault(state, (hook, self._first))
            self._known = set(modified)
            self._modified = len(modified)
        self._first = None

    def _latest(self, states: dict[Any, Any], before: int, hook: Hook | None, change: Change[Any] | None) -> None:
        for state in islice(reversed(states), max(len(states) - before, 0)):
            self.origins.setdefault(state, (hook, change))
