"""Defaults that Python computes: filled in early, so that rules see the row as it will be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnDefault
from sqlalchemy.orm.attributes import set_attribute

from hookline.sqlalchemy.facts import Facts, State


class _Context:
    """What SQLAlchemy gives to context-sensitive defaults, as far as it is known before the INSERT."""

    def __init__(self, facts: Facts, row: Mapping[str, Any], column: Column[Any]) -> None:
        self.current_column = column
        self.current_parameters = {
            facts.columns[name].key: value for name, value in row.items() if name in facts.columns
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
            found, value = default_value(facts, default, state.dict, facts.columns[name])
            if found:
                set_attribute(state.obj(), name, value)


def default_value(
    facts: Facts, default: ColumnDefault, row: Mapping[str, Any], column: Column[Any]
) -> tuple[bool, Any]:
    """A default that Python computes, and whether it could be computed from the row alone."""
    if default.is_scalar:
        return True, default.arg
    try:
        return True, default.arg(_Context(facts, row, column))
    except Exception:  # noqa: BLE001 - it needs a real context: it gets one at the INSERT, where it may raise again
        return False, None
