"""Defaults that Python computes: filled in early, so that rules see the row as it will be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm.attributes import set_attribute

from hookline.sqlalchemy.facts import Facts, State


class _Context:
    """What SQLAlchemy gives to context-sensitive defaults, as far as it is known before the INSERT."""

    def __init__(self, facts: Facts, state: State, column: Column[Any]) -> None:
        self.current_column = column
        self.current_parameters = {
            facts.columns[name].key: value for name, value in state.dict.items() if name in facts.columns
        }

    def get_current_parameters(self, isolate_multiinsert_groups: bool = True) -> Mapping[str, Any]:
        """The values of the row so far, by column."""
        return self.current_parameters


def fill_defaults(facts: Facts, state: State) -> None:
    """Compute the defaults of a pending row that has no values for them.

    A default that needs more than the row is left to SQLAlchemy; `check` hooks that read it then wait for it.
    """
    for name, default in facts.defaults:
        if state.dict.get(name) is None:
            if default.is_scalar:
                value = default.arg
            else:
                try:
                    value = default.arg(_Context(facts, state, facts.columns[name]))
                except Exception:  # noqa: S112, BLE001 - it needs a real context: it gets one at the INSERT, where it may raise again
                    continue
            set_attribute(state.obj(), name, value)
