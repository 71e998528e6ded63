"""Rows that are going to be inserted: their classes, their defaults, and what only the database will tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ClauseElement

from hookline.sqlalchemy.defaults import default_value
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.statements.change import StatementChange

if TYPE_CHECKING:
    from hookline.sqlalchemy.statements.write import StatementWrite


def model_of(mapper: Mapper[Any], values: Mapping[Any, Any]) -> type:
    """The class of a row that is going to be inserted, by its discriminator.

    Args:
        mapper: What the statement is about.
        values: By column.
    """
    if mapper.polymorphic_on is not None:
        given = values.get(mapper.polymorphic_on)
        if given is not None and not isinstance(given, ClauseElement):
            value = getattr(given, "effective_value", given)
            one = mapper.polymorphic_map.get(value)
            if one is not None and one.isa(mapper):
                return one.class_
    return mapper.class_


class Incoming:
    """Makes changes of rows that are going to be inserted."""

    def __init__(self) -> None:
        self._filled: dict[Facts, tuple[frozenset[str], tuple[str, ...]]] = {}

    def change(self, write: StatementWrite, facts: Facts, row: dict[str, Any]) -> StatementChange:
        """The change that inserts a row.

        Args:
            write: The statement.
            facts: The row's class.
            row: Its values by name, as far as they are given; taken over.
        """
        known = self._filled.get(facts)
        if known is None:
            primary = frozenset(facts.key_names)
            names = tuple(name for name in facts.names if name not in facts.filled)
            known = self._filled[facts] = primary & facts.filled, names
        generated, plain = known
        for name in generated:  # None means that the database makes one
            if name in row and row[name] is None:
                del row[name]
        for name, default in facts.defaults:
            if name not in row:
                found, value = default_value(facts, default, row, facts.columns[name])
                if found:
                    row[name] = value
        unsettled = [name for name, value in row.items() if isinstance(value, ClauseElement)]
        unsettled += [name for name in facts.filled if name not in row]
        left_out = frozenset(name for name in plain if name not in row)
        for name in left_out:
            row[name] = None
        change = StatementChange("insert", facts, write, new=row)
        change.unsettled, change.left_out = frozenset(unsettled), left_out
        return change
