"""All rows and links, read through a connection of its own, and what differs between two readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, inspect, select
from sqlalchemy.orm import Mapper, RelationshipDirection, RelationshipProperty

from .schema import MODELS, Base

Row = Mapping[str, Any]
RowKey = tuple[type, Any]
RelationName = tuple[type, str]
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Shape:
    """How a model's rows are read."""

    model: type
    columns: dict[str, Column[Any]]
    key: tuple[str, ...]
    identity: Any

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.columns)


def _shape(mapper: Mapper[Any]) -> Shape:
    columns = {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
    key = tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)
    return Shape(mapper.class_, columns, key, mapper.polymorphic_identity)


SHAPES: dict[type, Shape] = {model: _shape(inspect(model)) for model in MODELS}


@dataclass(frozen=True)
class Relation:
    """A relation attribute and where the database keeps its links.

    The `family` is the same for the attributes of both sides, and tells which column or table holds the
    link; `turned` says whether (subject, object) is the reverse of the family's own order.
    """

    model: type
    name: str
    target: type
    family: str
    turned: bool

    @property
    def id(self) -> RelationName:
        return self.model, self.name


def _relation(mapper: Mapper[Any], attribute: RelationshipProperty[Any]) -> Relation:
    if attribute.secondary is not None:
        column = attribute.synchronize_pairs[0][1]
        first = next(iter(attribute.secondary.columns))
        return Relation(
            mapper.class_, attribute.key, attribute.mapper.class_, str(attribute.secondary), column is not first
        )
    ((local, remote),) = attribute.local_remote_pairs
    if attribute.direction is RelationshipDirection.MANYTOONE:
        return Relation(mapper.class_, attribute.key, attribute.mapper.class_, str(local), False)
    return Relation(mapper.class_, attribute.key, attribute.mapper.class_, str(remote), True)


RELATIONS: dict[RelationName, Relation] = {
    relation.id: relation
    for model in MODELS
    for attribute in inspect(model).relationships
    if attribute.parent is inspect(model)
    for relation in [_relation(inspect(model), attribute)]
}
FAMILIES = sorted({relation.family for relation in RELATIONS.values()})


@dataclass
class Snapshot:
    """What the database holds: rows by model and key, links by family in the family's own order."""

    rows: dict[RowKey, Row] = field(default_factory=dict)
    links: dict[str, frozenset[Pair]] = field(default_factory=dict)

    def pairs(self, relation: Relation) -> frozenset[Pair]:
        """The links as that attribute names them: (subject key, object key)."""
        pairs = self.links.get(relation.family, frozenset())
        return frozenset((b, a) for a, b in pairs) if relation.turned else pairs


def _base_models() -> list[type]:
    return [model for model in MODELS if inspect(model).inherits is None]


def _statements() -> list[tuple[type, Any]]:
    statements: list[tuple[type, Any]] = []
    for model in _base_models():
        source: Any = inspect(model).local_table
        columns: list[Any] = list(source.columns)
        for mapper in inspect(model).self_and_descendants:
            if mapper.local_table is not inspect(model).local_table:
                columns.extend(mapper.local_table.columns)
                source = source.outerjoin(mapper.local_table)
        labelled = [column.label(f"{column.table.name}_{column.key}") for column in columns]
        statements.append((model, select(*labelled).select_from(source)))
    return statements


STATEMENTS = _statements()
SECONDARIES = {
    str(table): select(*list(table.columns)[:2])
    for table in Base.metadata.sorted_tables
    if not any(inspect(model).local_table is table for model in MODELS)
}


def take(connection: Connection) -> Snapshot:
    """Read everything."""
    snapshot = Snapshot()
    for base, statement in STATEMENTS:
        by_identity = {
            mapper.polymorphic_identity: SHAPES[mapper.class_] for mapper in inspect(base).self_and_descendants
        }
        on = inspect(base).polymorphic_on
        for row in connection.execute(statement):
            values = row._mapping
            identity = None if on is None else values[f"{on.table.name}_{on.key}"]
            shape = by_identity[identity]
            whole = {name: values[f"{column.table.name}_{column.key}"] for name, column in shape.columns.items()}
            snapshot.rows[row_key(shape, whole)] = whole
    secondary_links = {
        name: frozenset((pair[0], pair[1]) for pair in connection.execute(statement))
        for name, statement in SECONDARIES.items()
    }
    snapshot.links = {**links_in(snapshot.rows), **secondary_links}
    return snapshot


def row_key(shape: Shape, row: Row) -> RowKey:
    """Model and primary key, a scalar if it is one column."""
    key = tuple(row[name] for name in shape.key)
    return shape.model, key[0] if len(key) == 1 else key


def _foreign_keys() -> list[tuple[str, type, str]]:
    """Family, model that declares it, attribute of the column: for every link that a column holds."""
    found: dict[str, tuple[str, type, str]] = {}
    for (model, name), relation in RELATIONS.items():
        attribute = inspect(model).relationships[name]
        if attribute.secondary is not None:
            continue
        ((local, remote),) = attribute.local_remote_pairs
        many, column = (model, local) if not relation.turned else (attribute.mapper.class_, remote)
        found[relation.family] = (relation.family, many, inspect(many).get_property_by_column(column).key)
    return list(found.values())


FOREIGN_KEYS = _foreign_keys()


def links_in(rows: Mapping[RowKey, Row]) -> dict[str, frozenset[Pair]]:
    """The links that foreign key columns hold, by family, as (many side's key, one side's key)."""
    links: dict[str, set[Pair]] = {family: set() for family, _, _ in FOREIGN_KEYS}
    by_model: dict[type, list[tuple[str, str]]] = {
        model: [(family, column) for family, many, column in FOREIGN_KEYS if issubclass(model, many)]
        for model in MODELS
    }
    for (model, key), row in rows.items():
        for family, column in by_model[model]:
            if row[column] is not None:
                links[family].add((key, row[column]))
    return {family: frozenset(pairs) for family, pairs in links.items()}


@dataclass(frozen=True, order=True)
class Difference:
    """One net change of a row, in a form that sorts and compares."""

    event: str
    model: str
    key: str
    old: str
    new: str

    @classmethod
    def of(cls, event: str, model: type, key: Any, old: Row, new: Row) -> Difference:
        return cls(event, model.__name__, repr(key), _text(old), _text(new))


def _text(row: Row) -> str:
    return ", ".join(f"{name}={row[name]!r}" for name in sorted(row))


def differences(old: Mapping[RowKey, Row], new: Mapping[RowKey, Row]) -> list[Difference]:
    """What inserts, updates and deletes lead from one to the other."""
    found = [Difference.of("insert", *key, {}, row) for key, row in new.items() if key not in old]
    found += [Difference.of("delete", *key, row, {}) for key, row in old.items() if key not in new]
    found += [
        Difference.of("update", *key, old[key], row) for key, row in new.items() if key in old and old[key] != row
    ]
    return sorted(found)


def link_differences(old: Iterable[Pair], new: Iterable[Pair]) -> list[tuple[str, Any, Any]]:
    """What links and unlinks lead from one to the other."""
    before, after = set(old), set(new)
    return sorted([("link", *pair) for pair in after - before] + [("unlink", *pair) for pair in before - after])
