"""Seeing who edits a row while its hooks run.

SQLAlchemy reports every edit of a mapped object to its state, as `InstanceState._modified_event`. For the time of
a flush's hooks, and on the rows of that flush only, the report goes through here. So nothing is paid where nothing
is edited, and an edit is known exactly: which row, which attribute, during which call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm.state import InstanceState

from hookline.core.change import NOTHING, Change
from hookline.core.hook import Hook
from hookline.core.run import Subject, first_of
from hookline.core.transaction import Transaction
from hookline.errors import ReadOnlyError
from hookline.sqlalchemy.change import NO_VALUE, RowChange
from hookline.sqlalchemy.facts import State

Origin = tuple[Hook | None, Change[Any] | None]
"""The hook that made a write, and the change that it was running on."""


class Edits:
    """The edits that hooks make to the rows of one flush.

    Args:
        tx: Says which hook is running, and on what.
        changes: The rows' changes.

    Attributes:
        restless: Whether a relationship was edited, so that other rows may have to be written.
        locked: Whether `check` has begun, and no row may be edited any more.
    """

    def __init__(self, tx: Transaction, changes: Mapping[State, RowChange]) -> None:
        self.restless = False
        self.locked = False
        self._tx, self._changes = tx, changes
        self._states: list[State] = []
        self._report = self._modified  # bound once
        self._elsewhere: dict[State, tuple[dict[str, Any], Origin]] = {}
        self._own: tuple[int, set[State]] = (0, set())

    def __bool__(self) -> bool:
        """Whether a hook has edited rows other than those it was called for."""
        return bool(self._elsewhere)

    def watch(self, state: State) -> None:
        """Watch one row."""
        self._states.append(state)
        state.__dict__["_modified_event"] = self._report

    def watches(self, state: State) -> bool:
        """Whether a row is watched."""
        return state.__dict__.get("_modified_event") is self._report

    def release(self) -> None:
        """Watch nothing any more."""
        for state in self._states:
            state.__dict__.pop("_modified_event", None)
        self._states.clear()

    def take_elsewhere(self) -> Iterator[tuple[RowChange, dict[str, Any], Origin]]:
        """What hooks of other rows have edited since the last time: the row's change, values before, and who."""
        for state, (earlier, origin) in self._elsewhere.items():
            change = self._changes[state]
            change.elsewhere = NOTHING
            yield change, earlier, origin
        self._elsewhere.clear()

    def _modified(
        self, row: dict[str, Any], attribute: Any, previous: Any, collection: bool = False, is_userland: bool = False
    ) -> None:
        state: State = row["_sa_instance_state"]
        if attribute is not None:
            self._note(state, attribute, previous)
        InstanceState._modified_event(state, row, attribute, previous, collection, is_userland)

    def _note(self, state: State, attribute: Any, previous: Any) -> None:
        hook, subject = self._tx.cause, self._tx.subject
        if self.locked:
            raise ReadOnlyError(
                f"{hook or 'A check hook'} assigns {attribute.key!r} of {state.class_.__name__}, but `check` sees "
                f"values as they will be written and cannot change them. Register it with @hooks.before(...) to edit."
            )
        if attribute.uses_objects:
            self.restless = True
        if hook is None or subject is None or attribute.collection or self._is_own(subject, state):
            return
        change = self._changes.get(state)
        if change is None:
            return
        earlier, _ = self._elsewhere.setdefault(state, ({}, (hook, first_of(subject))))
        for name in change.facts.aliases.get(attribute.key, (attribute.key,)):
            if name in change.facts.columns:
                value = previous if name == attribute.key else state.dict.get(name, NO_VALUE)
                earlier.setdefault(name, value)
        change.elsewhere = earlier

    def _is_own(self, subject: Subject, state: State) -> bool:
        if not isinstance(subject, list):
            return isinstance(subject, RowChange) and subject.state is state
        if self._own[0] != id(subject):
            self._own = id(subject), {one.state for one in subject if isinstance(one, RowChange)}
        return state in self._own[1]
