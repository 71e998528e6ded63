"""Seeing who edits a row while its hooks run.

SQLAlchemy reports every edit of a mapped object to its state, as `InstanceState._modified_event`. For the time
of a flush's hooks, and on the rows of that flush only, the report goes through here. So nothing is paid where
nothing is edited, and an edit is known exactly: which row, which attribute, during which call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm.state import InstanceState

from hookline.sqlalchemy.facts import State

Report = Callable[[State, Any, Any], None]
"""Called before an edit with the row, SQLAlchemy's attribute and its value so far."""


class Watcher:
    """Passes on the edits of some rows until it is released.

    Args:
        report: What to call; if it raises, the edit does not happen.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._states: dict[int, State] = {}

    def watch(self, state: State) -> None:
        """Watch one more row."""
        self._states[id(state.dict)] = state
        state.__dict__["_modified_event"] = self._modified

    def __contains__(self, state: State) -> bool:
        return id(state.dict) in self._states

    def release(self) -> None:
        """Watch nothing any more."""
        for state in self._states.values():
            state.__dict__.pop("_modified_event", None)
        self._states.clear()

    def _modified(
        self, row: dict[str, Any], attribute: Any, previous: Any, collection: bool = False, is_userland: bool = False
    ) -> None:
        state = self._states[id(row)]
        self._report(state, attribute, previous)
        InstanceState._modified_event(state, row, attribute, previous, collection, is_userland)
