"""What Hookline must know of a mapped class: read from its mapper once."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from operator import eq
from typing import Any, Final

from sqlalchemy import Column, ColumnDefault, Enum
from sqlalchemy.ext.hybrid import HybridExtensionType
from sqlalchemy.orm import ColumnProperty, CompositeProperty, Mapper, RelationshipDirection
from sqlalchemy.orm.base import LoaderCallableStatus
from sqlalchemy.orm.exc import UnmappedColumnError
from sqlalchemy.orm.state import InstanceState
from sqlalchemy.types import TypeEngine

State = InstanceState[Any]


_IMMUTABLE: Final = {
    *(bool, bytes, complex, decimal.Decimal, float, int, str, uuid.UUID),
    *(dt.date, dt.datetime, dt.time, dt.timedelta),
}


def _python_type(column: Column[Any]) -> type | None:
    if isinstance(column.type, Enum):
        return str  # its members are as immutable
    try:
        return column.type.python_type
    except NotImplementedError:
        return None


class Facts:
    """The columns, keys, defaults and names of one mapper.

    Attributes:
        mapper: The mapper.
        model: Its class.
        root: The class at the base of its inheritance; rows are told apart by it and the key.
        columns: The real columns by attribute name.
        names: Their names, in order.
        key_names: Those of the primary key.
        equal: By name, whether two values are equal for the column's type.
    """

    def __init__(self, mapper: Mapper[Any]) -> None:
        self.mapper = mapper
        self.model: type = mapper.class_
        self.root: type = mapper.base_mapper.class_
        self.columns: dict[str, Column[Any]] = {
            attribute.key: attribute.columns[0]
            for attribute in mapper.column_attrs
            if isinstance(attribute.columns[0], Column) and attribute.columns[0].table in mapper.tables
        }
        self.names: tuple[str, ...] = tuple(self.columns)
        self.key_names: tuple[str, ...] = tuple(self.name_of(column) for column in mapper.primary_key)
        self.equal = {name: _equality(mapper.class_manager[name].impl.is_equal) for name in self.names}

    def name_of(self, column: Any) -> str:
        """The attribute that a column is mapped to."""
        return self.mapper.get_property_by_column(column).key

    @cached_property
    def defaults(self) -> tuple[tuple[str, ColumnDefault], ...]:
        """The columns whose default Python computes before an INSERT."""
        return tuple(
            (name, column.default)
            for name, column in self.columns.items()
            if isinstance(column.default, ColumnDefault)
            and (column.default.is_scalar or column.default.is_callable)
            and not getattr(column.type, "should_evaluate_none", False)
        )

    @cached_property
    def filled(self) -> frozenset[str]:
        """The names that somebody fills in during an INSERT if they are None: defaults, keys, versions."""
        filled = set()
        for attribute in self.mapper.column_attrs:
            if attribute.key in self.columns and any(map(self._filled_on_insert, attribute.columns)):
                filled.add(attribute.key)
        return frozenset(filled)

    def _filled_on_insert(self, column: Any) -> bool:
        table = column.table
        return (
            column.default is not None
            or column.server_default is not None
            or column.identity is not None
            or column is getattr(table, "autoincrement_column", None)
            or column is self.mapper.version_id_col
        )

    @cached_property
    def mutable(self) -> tuple[str, ...]:
        """The names whose values may be changed in place, so that keeping them means copying them."""
        return tuple(name for name, column in self.columns.items() if _python_type(column) not in _IMMUTABLE)

    @cached_property
    def silent(self) -> frozenset[str]:
        """The names whose values an UPDATE may change without being told to."""
        version = self.mapper.version_id_col
        return frozenset(
            name
            for name, column in self.columns.items()
            if column.onupdate is not None or column.server_onupdate is not None or column is version
        )

    @cached_property
    def called(self) -> frozenset[str]:
        """The names that Python computes for each UPDATE anew."""
        return frozenset(
            name for name, column in self.columns.items() if getattr(column.onupdate, "is_callable", False)
        )

    @cached_property
    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Names that stand for columns: composites, synonyms, many-to-one relationships."""
        aliases: dict[str, tuple[str, ...]] = {}
        for composite in self.mapper.composites:
            aliases[composite.key] = tuple(attribute.key for attribute in composite.props)
        for synonym in self.mapper.synonyms:
            if synonym.name in self.columns:
                aliases[synonym.key] = (synonym.name,)
        for relation in self.mapper.relationships:
            if relation.direction is RelationshipDirection.MANYTOONE:
                try:
                    aliases[relation.key] = tuple(self.name_of(column) for column in relation.local_columns)
                except Exception:  # noqa: S112, BLE001 - columns that are not mapped: then the name stands for nothing here
                    continue
        return aliases

    @cached_property
    def composites(self) -> Mapping[str, CompositeProperty[Any]]:
        """The composite attributes by name."""
        return {composite.key: composite for composite in self.mapper.composites}

    @cached_property
    def hybrids(self) -> Mapping[str, Any]:
        """The hybrid properties by name."""
        return {
            name: descriptor
            for name, descriptor in self.mapper.all_orm_descriptors.items()
            if descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY
        }

    @cached_property
    def readable(self) -> frozenset[str]:
        """All names that old and new values can be asked for by."""
        expressions = (p.key for p in self.mapper.attrs if isinstance(p, ColumnProperty))
        return frozenset((*self.names, *expressions, *self.aliases, *self.hybrids))

    def unknown(self, name: object) -> str:
        """The message about a field that is not there."""
        close = get_close_matches(str(name), self.readable, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" It has {', '.join(sorted(self.readable))}."
        return f"{self.model.__name__} has no field {name!r}.{hint}"

    def key_of(self, state: State) -> tuple[Any, ...] | None:
        """The primary key of a row, as far as it is known."""
        if state.key is not None:
            return state.key[1]
        values = tuple(state.dict.get(name) for name in self.key_names)
        return None if all(value is None for value in values) else values


def _equality(compare: Any) -> Any:
    """``==`` itself where that is all that the column's type does: it costs a fifth."""
    return eq if getattr(compare, "__func__", None) is TypeEngine.compare_values else compare


def maps(mapper: Mapper[Any], column: Any) -> bool:
    """Whether a mapper maps a column."""
    try:
        mapper.get_property_by_column(column)
    except UnmappedColumnError:
        return False
    return True


def unloaded(state: State, names: Iterable[str]) -> list[str]:
    """Those of the names whose old value the session does not have."""
    committed, row = state.committed_state, state.dict
    return [
        name
        for name in names
        if (committed[name] is LoaderCallableStatus.NO_VALUE if name in committed else name not in row)
    ]
