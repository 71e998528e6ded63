"""What an INSERT does where it meets rows that are there already: ON CONFLICT, read off SQLAlchemy's clause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Insert, Table, UniqueConstraint
from sqlalchemy.sql import ClauseElement, visitors

from hookline.sqlalchemy.statements.rows import clause_of, named_column
from hookline.sqlalchemy.statements.unfollowed import Unfollowable

Key = tuple[Column[Any], ...]


class Conflict:
    """The ON CONFLICT clause of an INSERT.

    Args:
        statement: The INSERT.
        table: The table that it writes.

    Attributes:
        keys: The unique keys on which rows may meet.
        where: Which of the rows that are there take part in these keys; None for all.
        sets: What an existing row is set to, by column; None if nothing happens to it.
        only: Which existing rows are set; None for all.

    Raises:
        Unfollowable: It is another clause than ON CONFLICT, or has targets that are not plain columns.
    """

    def __init__(self, statement: Insert, table: Table) -> None:
        clause = conflict_clause(statement)
        self._clause: Any = clause
        self.keys = _keys(clause, table)
        self.where = clause.inferred_target_whereclause
        self.only = getattr(clause, "update_whereclause", None)
        self.sets: dict[Any, Any] | None = None
        if clause.__visit_name__ == "on_conflict_do_update":
            given = clause.update_values_to_set
            pairs = given.items() if isinstance(given, Mapping) else given
            named = ((named_column(table, key), value) for key, value in pairs)
            self.sets = {column: clause_of(value, column) for column, value in named}

    def with_sets(self, statement: Any, sets: Mapping[Any, Any]) -> Insert:
        """The INSERT with another list of what existing rows are set to."""
        changed, clause = statement._clone(), self._clause._clone()
        given = self._clause.update_values_to_set
        clause.update_values_to_set = dict(sets) if isinstance(given, Mapping) else list(sets.items())
        changed._post_values_clause = clause
        return changed  # type: ignore[no-any-return]


def conflict_clause(statement: Any) -> Any:
    """The clause itself.

    Raises:
        Unfollowable: There is another one, or several.
    """
    clause = statement._post_values_clause
    several = list(getattr(clause, "clauses", ())) or [clause]
    (first, *others) = several
    if others:
        raise Unfollowable("it has several ON CONFLICT clauses")
    if first.__visit_name__ not in ("on_conflict_do_update", "on_conflict_do_nothing"):
        raise Unfollowable(f"it has the clause {first.__visit_name__.replace('_', ' ').upper()}")
    return first


def incoming(expression: Any, rows: Any) -> Any:
    """An expression that reads the row to be inserted, as ``excluded``, from where these rows are to be read."""

    def replace(element: Any, **_: Any) -> Any:
        table = getattr(element, "table", None)
        if isinstance(element, ClauseElement) and getattr(table, "name", None) == "excluded":
            return rows.c[element.key]  # type: ignore[attr-defined]
        return None

    return visitors.replacement_traverse(expression, {}, replace)


def _keys(clause: Any, table: Table) -> list[Key]:
    name = getattr(clause, "constraint_target", None)
    if name is not None:
        unique: list[Any] = [*table.constraints, *table.indexes]
        for one in unique:
            if one.name == name:
                return [_plain(one.columns)]
        raise Unfollowable(f"nothing is known of its constraint {name!r}")
    if clause.inferred_target_elements is not None:
        return [_plain([table.c.get(e) if isinstance(e, str) else e for e in clause.inferred_target_elements])]
    keys = [tuple(table.primary_key.columns)] if table.primary_key.columns else []
    keys += [_plain(one.columns) for one in table.constraints if isinstance(one, UniqueConstraint)]
    for index in table.indexes:
        if index.unique:
            if any(options for options in index.dialect_kwargs.values()):
                raise Unfollowable(f"the unique index {index.name} is a partial one; name the target of the conflict")
            keys.append(_plain(index.expressions))
    return keys


def _plain(columns: Any) -> Key:
    found = tuple(columns)
    if not all(isinstance(column, Column) for column in found):
        raise Unfollowable("rows meet on an expression, not on columns")
    return found


def key_values(key: Key, row: Mapping[Any, Any]) -> tuple[Any, ...] | None:
    """The values of a unique key; None if one of them is NULL, which meets nothing."""
    values = tuple(row.get(column) for column in key)
    return None if any(value is None or isinstance(value, ClauseElement) for value in values) else values


def repeated(keys: Sequence[Key], rows: Sequence[Mapping[Any, Any]]) -> set[int]:
    """The rows, by number, that meet one before them in the same statement."""
    seen: set[tuple[Any, ...]] = set()
    found = set()
    for number, row in enumerate(rows):
        own = [(key, values) for key in keys if (values := key_values(key, row)) is not None]
        if any(one in seen for one in own):
            found.add(number)
        else:
            seen.update(own)
    return found
