"""Which columns are read of the rows of a table, and whose rows they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, FromClause, Table, inspect
from sqlalchemy.orm import Mapper, with_polymorphic

if TYPE_CHECKING:
    from hookline.sqlalchemy.concern import Concerns
    from hookline.sqlalchemy.facts import Facts

Take = Callable[[Sequence[Any]], dict[str, Any]]
"""Makes the values by attribute name from a row of the query."""


class Layout:
    """The columns of a mapper's rows, its subclasses' included.

    Args:
        mapper: Of the class that the statement is about.
        concerns: What the rule book wants.
        needed: Columns that must be read even if they are deferred.

    Attributes:
        columns: What to select.
        source: What to select it from.
        joined: Whether that is more than the mapper's own table.
    """

    def __init__(self, mapper: Mapper[Any], concerns: Concerns, needed: Iterable[Any] = ()) -> None:
        self.mapper, self.concerns = mapper, concerns
        facts = concerns.schema.facts
        needed = set(needed)
        self.columns: list[Any] = []
        self._places: dict[Any, int] = {}
        family = list(mapper.self_and_descendants)
        for one in family:
            its = facts(one.class_)
            concern = concerns.of(one.class_)
            linking = {column for relation in (concern.keys if concern else ()) for column, _ in relation.pairs}
            for name, column in its.columns.items():
                if not _deferred(one, name) or column in needed or column in linking or column.primary_key:
                    self._place(column)
        self._discriminator: int | None = None
        if mapper.polymorphic_on is not None and len(family) > 1:
            self._discriminator = self._place(mapper.polymorphic_on)
        tables = {table for one in family for table in one.tables}
        self.joined = len(tables) > 1
        self.source: FromClause = mapper.local_table
        if self.joined:
            self.source = inspect(with_polymorphic(mapper, "*")).selectable
        self._takes: dict[type, tuple[Facts, Take]] = {}

    def _place(self, column: Any) -> int:
        if column not in self._places:
            self._places[column] = len(self.columns)
            self.columns.append(column)
        return self._places[column]

    def reads(self, column: Any) -> bool:
        """Whether a column is among those that are read."""
        return column in self._places

    def model_of(self, row: Sequence[Any]) -> type:
        """The class of a row."""
        if self._discriminator is None:
            return self.mapper.class_
        one = self.mapper.polymorphic_map.get(row[self._discriminator])
        return self.mapper.class_ if one is None or not one.isa(self.mapper) else one.class_

    @property
    def uniform(self) -> bool:
        """Whether all rows are of one class."""
        return self._discriminator is None

    def of(self, model: type) -> tuple[Facts, Take]:
        """What is known of a class of this family, and how its values are taken from a row."""
        found = self._takes.get(model)
        if found is None:
            facts = self.concerns.schema.facts(model)
            names = [name for name, column in facts.columns.items() if column in self._places]
            places = [self._places[facts.columns[name]] for name in names]
            found = self._takes[model] = facts, _take(names, places)
        return found


def _take(names: list[str], places: list[int]) -> Take:
    if places == list(range(len(places))):
        return lambda row: dict(zip(names, row))  # noqa: B905 - the row may have more
    if len(places) == 1:
        (name,), (place,) = names, places
        return lambda row: {name: row[place]}
    values = itemgetter(*places)
    return lambda row: dict(zip(names, values(row), strict=True))


def _deferred(mapper: Mapper[Any], name: str) -> bool:
    return bool(getattr(mapper.attrs[name], "deferred", False))


def column_of(table: Table, key: Any) -> Column[Any] | None:
    """The column of a table that a key of a statement's values names."""
    if isinstance(key, str):
        return table.c.get(key)
    return table.c.get(getattr(key, "key", "")) if getattr(key, "table", None) is not None else None
