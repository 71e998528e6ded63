"""Which columns are read of the rows of a table, and whose rows they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Column, FromClause, Table, inspect
from sqlalchemy.orm import Mapper, with_polymorphic

if TYPE_CHECKING:
    from hookline.sqlalchemy.concern import Concerns
    from hookline.sqlalchemy.facts import Facts

EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})

Take = Callable[[Sequence[Any]], dict[str, Any]]
"""Makes the values by attribute name from a row of the query."""


class RowKind:
    """How the rows of one class are made of what was read for a statement.

    Args:
        facts: What is known of the class.
        places: Where each name is in a row that was read.
        known: What the statement sets to values that Python knows.
        computed: What it sets to what the database computes: the places of the results.

    Attributes:
        touched: The names that it sets.
        new_places: Where the values after it are, but for those that Python knows.
    """

    __slots__ = ("_compared", "_take", "computed", "facts", "known", "new_places", "places", "touched")

    def __init__(
        self, facts: Facts, places: Mapping[str, int], known: Mapping[str, Any], computed: Mapping[str, int]
    ) -> None:
        self.facts, self.places, self.known, self.computed = facts, places, known, computed
        self.touched = (*known, *computed)
        self._take = _take(list(places), list(places.values()))
        untouched = {name: place for name, place in places.items() if name not in known}
        self.new_places: Mapping[str, int] = {**untouched, **computed}
        self._compared = [
            (places[name], computed.get(name), known.get(name), facts.equal[name]) for name in self.touched
        ]

    def take(self, row: Sequence[Any]) -> dict[str, Any]:
        """The values before, by name."""
        return self._take(row)

    def written(self, row: Sequence[Any]) -> dict[str, Any]:
        """The values that the statement will write, by name."""
        values = self._take(row)
        values.update(self.known)
        for name, place in self.computed.items():
            values[name] = row[place]
        return values

    def changes(self, row: Sequence[Any]) -> bool:
        """Whether the statement changes a value of a row, as far as is known."""
        for place, result, value, equal in self._compared:
            if not equal(row[place], value if result is None else row[result]):
                return True
        return False


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

    def _place(self, column: Any) -> int:
        if column not in self._places:
            self._places[column] = len(self.columns)
            self.columns.append(column)
        return self._places[column]

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

    def kind(self, model: type, values: Mapping[Any, Any] = EMPTY, computed: Sequence[Any] = ()) -> RowKind:
        """How the rows of one class of this family are made.

        Args:
            model: The class.
            values: What the statement sets, by column, to values that Python knows.
            computed: The columns that it sets to what the database computes; the results follow the columns.
        """
        facts = self.concerns.schema.facts(model)
        columns = facts.columns
        places = {name: self._places[column] for name, column in columns.items() if column in self._places}
        known = {name: values[column] for name, column in columns.items() if column in values}
        first = len(self.columns)
        results = {column: first + number for number, column in enumerate(computed)}
        return RowKind(facts, places, known, {n: results[c] for n, c in columns.items() if c in results})


def _take(names: list[str], places: list[int]) -> Take:
    if places == list(range(len(places))):
        return lambda row: dict(zip(names, row))  # noqa: B905 - the row may have more
    if len(places) == 1:
        (name,), (place,) = names, places
        return lambda row: {name: row[place]}
    values = itemgetter(*places)
    return lambda row: dict(zip(names, values(row), strict=True))


UNREAD: Final = RowKind(cast("Facts", None), EMPTY, EMPTY, EMPTY)
"""Of a row of which nothing was read: its values were given."""


def _deferred(mapper: Mapper[Any], name: str) -> bool:
    return bool(getattr(mapper.attrs[name], "deferred", False))


def column_of(table: Table, key: Any) -> Column[Any] | None:
    """The column of a table that a key of a statement's values names."""
    if isinstance(key, str):
        return table.c.get(key)
    return table.c.get(getattr(key, "key", "")) if getattr(key, "table", None) is not None else None
