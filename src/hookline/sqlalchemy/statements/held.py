"""The objects that the session holds of rows which a statement is going to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.attributes import instance_dict, instance_state
from sqlalchemy.orm.state import InstanceState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookline.core.run import Subject
    from hookline.core.transaction import Transaction
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.change import StatementChange


class Held:
    """Shows hooks the objects as they will be, and tells edits of the statement from writes of their own.

    What a hook assigns to the entity of the change that it was called for belongs to the statement. What it
    assigns to other objects stays pending in the session, even if the statement writes their rows too.

    Args:
        host: The session.
        tx: Says which change a hook is running on.
    """

    def __init__(self, host: SessionHost, tx: Transaction) -> None:
        self._host, self._tx = host, tx
        self._changes: dict[InstanceState[Any], StatementChange] = {}
        self._report = self._modified  # bound once
        self._own: tuple[int, set[StatementChange]] = (0, set())

    def find(self, changes: Iterable[StatementChange]) -> None:
        """Take hold of those rows' objects that the session has already."""
        if not self._host.session.identity_map:
            return
        for change in changes:
            if change.event == "update":
                held = self._host.held(change.facts.mapper, change.stored_key)
                if held is not None:
                    change.hold(held)

    def take(self, change: StatementChange, entity: Any) -> None:
        """Take hold of one object: it has the values that are going to be written."""
        state = instance_state(entity)
        self._changes[state] = change
        state.__dict__["_modified_event"] = self._report
        change.elsewhere |= frozenset(state.committed_state)  # what was pending before remains so
        row, new = instance_dict(entity), change.known_new()
        names = {*change.touched, *(change.foreseen or ())}.difference(state.committed_state, change.unsettled)
        row.update((name, new[name]) for name in names)
        state._commit(row, names)  # they are not expired any more
        for name in change.facts.composites:
            row.pop(name, None)  # made of columns when asked for

    def release(self) -> None:
        """Watch nothing any more."""
        for state in self._changes:
            state.__dict__.pop("_modified_event", None)

    def _modified(
        self, row: dict[str, Any], attribute: Any, previous: Any, collection: bool = False, is_userland: bool = False
    ) -> None:
        state: InstanceState[Any] = row["_sa_instance_state"]
        change = self._changes[state]
        if attribute is not None and not self._is_own(self._tx.subject, change):
            change.elsewhere = change.elsewhere | {attribute.key}
        InstanceState._modified_event(state, row, attribute, previous, collection, is_userland)

    def _is_own(self, subject: Subject | None, change: StatementChange) -> bool:
        if subject is None or subject is change:
            return True
        if not isinstance(subject, list):
            return any(change is getattr(end, "change", None) for end in getattr(subject, "ends", ()))
        if self._own[0] != id(subject):
            own: set[Any] = set(subject)
            own.update(getattr(end, "change", None) for one in subject for end in getattr(one, "ends", ()))
            self._own = id(subject), own
        return change in self._own[1]
