"""Relations between mapped classes, whichever attribute or column names them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Column, ForeignKeyConstraint, Table
from sqlalchemy.orm import (
    ColumnProperty,
    Mapper,
    RelationshipDirection,
    RelationshipProperty,
)

from hookline.core.run import Unsettled
from hookline.sqlalchemy.facts import Facts, State, maps
from hookline.sqlalchemy.mapped import WRITTEN

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.mapped import MappedChange

Pair = tuple[Column[Any], Column[Any]]


class SQLRelation:
    """A foreign key, or a secondary table.

    Attributes:
        kind: ``"key"`` or ``"secondary"``.
        near_model: The class whose table has the foreign key; of a secondary table, the side that was seen first.
        far_model: The class that is referred to.
        near_columns: What identifies the near row: its primary key, or what the secondary table copies.
        far_columns: What identifies the far row: what the foreign key or the secondary table copies.
        pairs: Of a foreign key: its columns, each with the column that it refers to.
        secondary: Of a secondary table: its columns that copy the near row, and those that copy the far one.
        near_names: The attributes that name it from the near side; far_names likewise.
    """

    def __init__(
        self, identity: Hashable, kind: str, near: Mapper[Any], far: Mapper[Any],
        near_columns: tuple[Any, ...], far_columns: tuple[Any, ...], pairs: tuple[Pair, ...],
    ) -> None:  # fmt: skip
        self.identity, self.kind, self.pairs = identity, kind, pairs
        self.near, self.far = near, far
        self.near_model: type = near.class_
        self.far_model: type = far.class_
        self.near_columns, self.far_columns = near_columns, far_columns
        self.near_names: list[str] = []
        self.far_names: list[str] = []
        self.sides: dict[object, str] = {}
        self.secondary: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())

    @property
    def table(self) -> Any:
        """The secondary table."""
        return self.secondary[0][0].table

    def side_of(self, target: object) -> str | None:
        """From which side an attribute names this relation; None if it does not."""
        prop = getattr(target, "property", None)
        if prop is None:
            return None
        side = self.sides.get(prop)
        if side is None and isinstance(prop, ColumnProperty) and self.kind == "key":
            columns = {column for column, _ in self.pairs}
            return "near" if any(column in columns for column in prop.columns) else None
        return side

    def name_from(self, side: str) -> str:
        """The attribute that names it on a side; the foreign key's columns if there is none."""
        names = self.near_names if side == "near" else self.far_names
        if names:
            return names[0]
        if self.kind == "key":
            return ", ".join(column.key for column, _ in self.pairs)
        return str(self.identity)

    def __repr__(self) -> str:
        return f"<relation {self.near_model.__name__}.{self.name_from('near')} -> {self.far_model.__name__}>"


class Relations:
    """All relations of the mapped classes of some registries."""

    def __init__(self) -> None:
        self._known: dict[Hashable, SQLRelation] = {}
        self._of_prop: dict[object, SQLRelation] = {}
        self._learned: set[Mapper[Any]] = set()
        self._lock = RLock()

    def learn(self, mappers: Iterable[Mapper[Any]]) -> None:
        """Read the relations of mappers not seen yet, and of all others of their registries."""
        if not self._learned.issuperset(mappers):
            with self._lock:
                self._learn({other for mapper in mappers for other in mapper.registry.mappers} - self._learned)

    def _learn(self, fresh: set[Mapper[Any]]) -> None:
        everything = sorted(fresh, key=lambda mapper: (len(list(mapper.iterate_to_root())), str(mapper.class_)))
        for mapper in everything:
            for prop in mapper.relationships:
                if prop.parent is mapper:
                    self._learn_relationship(prop)
        for mapper in everything:
            for table in {mapper.local_table} & set(mapper.tables):
                if isinstance(table, Table):
                    for constraint in table.foreign_key_constraints:
                        self._learn_constraint(mapper, constraint, everything)
        self._learned |= fresh

    def of(self, prop: RelationshipProperty[Any]) -> SQLRelation | None:
        """The relation that a relationship is about."""
        return self._of_prop.get(prop)

    def keys_of(self, mapper: Mapper[Any]) -> list[SQLRelation]:
        """The relations whose foreign key is in a mapper's tables."""
        return [relation for relation in self._known.values() if relation.kind == "key" and mapper.isa(relation.near)]

    def named_by(self, target: object) -> SQLRelation | None:
        """The relation that an attribute names."""
        for relation in self._known.values():
            if relation.side_of(target) is not None:
                return relation
        return None

    def __iter__(self) -> Any:
        return iter(self._known.values())

    def _learn_relationship(self, prop: RelationshipProperty[Any]) -> None:
        if not prop.synchronize_pairs:
            return
        if prop.direction is RelationshipDirection.MANYTOMANY:
            self._learn_secondary(prop)
            return
        pairs: Any = tuple(
            sorted(((right, left) for left, right in prop.synchronize_pairs), key=lambda pair: str(pair[0]))
        )
        owns = prop.direction is RelationshipDirection.MANYTOONE
        near, far = (prop.parent, prop.mapper) if owns else (prop.mapper, prop.parent)
        relation = self._key_relation(pairs, near, far)
        side = "near" if owns else "far"
        self._name(relation, prop, side)

    def _key_relation(self, pairs: tuple[Pair, ...], near: Mapper[Any], far: Mapper[Any]) -> SQLRelation:
        identity = frozenset(pairs)
        relation = self._known.get(identity)
        if relation is None:
            near = _highest(near, [column for column, _ in pairs])
            far = _highest(far, [column for _, column in pairs])
            relation = self._known[identity] = SQLRelation(
                identity, "key", near, far, near.primary_key, tuple(column for _, column in pairs), pairs
            )
        return relation

    def _learn_secondary(self, prop: RelationshipProperty[Any]) -> None:
        here = tuple(prop.synchronize_pairs)
        there = tuple(prop.secondary_synchronize_pairs or ())
        columns_here = frozenset(right for _, right in here)
        columns_there = frozenset(right for _, right in there)
        identity = (prop.secondary, frozenset((columns_here, columns_there)))
        relation = self._known.get(identity)
        if relation is None:
            relation = self._known[identity] = SQLRelation(
                identity,
                "secondary",
                prop.parent,
                prop.mapper,
                tuple(left for left, _ in here),
                tuple(left for left, _ in there),
                (),
            )
            relation.secondary = tuple(right for _, right in here), tuple(right for _, right in there)
        self._name(relation, prop, "near" if frozenset(relation.secondary[0]) == columns_here else "far")

    def _name(self, relation: SQLRelation, prop: RelationshipProperty[Any], side: str) -> None:
        relation.sides[prop] = side
        self._of_prop[prop] = relation
        names = relation.near_names if side == "near" else relation.far_names
        if not prop.viewonly:
            names.append(prop.key)

    def _learn_constraint(
        self, mapper: Mapper[Any], constraint: ForeignKeyConstraint, mappers: list[Mapper[Any]]
    ) -> None:
        pairs = tuple(sorted(((key.parent, key.column) for key in constraint.elements), key=lambda pair: str(pair[0])))
        if frozenset(pairs) in self._known or _is_inheritance(mapper, pairs):
            return
        covered = {column for relation in self._known.values() for column, _ in relation.pairs}
        if all(column in covered for column, _ in pairs):
            return
        known = (*mappers, *self._learned)
        far = next((one for one in known if one.local_table is constraint.referred_table), None)
        if far is not None and all(maps(mapper, column) for column, _ in pairs):
            self._key_relation(pairs, mapper, far)


def _highest(mapper: Mapper[Any], columns: list[Any]) -> Mapper[Any]:
    """The mapper nearest to the root that maps these columns."""
    found = mapper
    for one in mapper.iterate_to_root():
        if all(maps(one, column) for column in columns):
            found = one
    return found


def _is_inheritance(mapper: Mapper[Any], pairs: tuple[Pair, ...]) -> bool:
    return mapper.inherits is not None and all(
        column.primary_key and reference.table in mapper.inherits.tables for column, reference in pairs
    )


class RowEnd:
    """One end of a link: a row that the session holds, or one that is known by its values only."""

    __slots__ = ("_found", "_unsettled", "_values", "facts", "host", "names", "state")

    def __init__(
        self,
        host: SessionHost,
        facts: Facts,
        names: tuple[str, ...],
        state: State | None,
        values: tuple[Any, ...] | None = None,
    ) -> None:
        self.host, self.facts, self.names, self.state, self._values = host, facts, names, state, values
        self._unsettled = False
        self._found: tuple[Any, Any] | None = None

    @property
    def model(self) -> type:
        """The class of the row."""
        return self.state.class_ if self.state is not None else self.facts.model

    @property
    def values(self) -> tuple[Any, ...]:
        """What the link copies of the row."""
        if self._values is not None:
            return self._values
        row, entity = self.state.dict, self.state.obj()  # type: ignore[union-attr]
        return tuple(
            row[name] if name in row else (getattr(entity, name) if self.state.key is not None else None)  # type: ignore[union-attr]
            for name in self.names
        )

    def freeze(self) -> None:
        """Keep the values as they are now."""
        self._values = self.values

    @property
    def entity(self) -> Any:
        """The object; looked up if the session does not hold it."""
        if self._found is not None and self._found[0] is self.host.after:
            return self._found[1]
        return self.host.object_at(self)

    def moved(self, identity: Hashable) -> RowEnd:
        """The same row under another key."""
        _, values = cast("tuple[Any, tuple[Any, ...]]", identity)
        return RowEnd(self.host, self.facts, self.names, self.state, values)

    def find(self) -> None:
        """Look the object up now, for hooks that cannot wait for it."""
        self._found = (self.host.after, self.host.object_at(self))

    def unsettle(self, yes: bool) -> None:
        """Whether a key that is not known yet must not be read as None."""
        self._unsettled = yes

    @property
    def key(self) -> Any:
        """The primary key; None if not known yet."""
        key = self._key()
        if key is None and self._unsettled:
            raise Unsettled
        return key

    def __str__(self) -> str:
        return f"{self.model.__name__} {self._key()!r}"

    def _key(self) -> Any:
        if self.names == self.facts.key_names:
            values: tuple[Any, ...] | None = self.values
        elif self.state is not None:
            values = self.facts.key_of(self.state)
        else:
            entity = self.entity
            values = None if entity is None else tuple(getattr(entity, name) for name in self.facts.key_names)
        if values is None or all(value is None for value in values):
            return None
        return values[0] if len(values) == 1 else values

    @property
    def identity(self) -> Hashable:
        """What tells this end from others of the same relation."""
        return self.facts.root, self.values


class ChangeEnd(RowEnd):
    """The end of a link that is a row which a statement writes."""

    __slots__ = ("change",)

    def __init__(
        self, host: SessionHost, facts: Facts, names: tuple[str, ...], change: MappedChange,
        values: tuple[Any, ...] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(host, facts, names, None, values)
        self.change = change

    @property
    def values(self) -> tuple[Any, ...]:
        return self._values or self.change.key_tuple or (None,) * len(self.names)

    @property
    def entity(self) -> Any:
        if self.change.stage != WRITTEN or self.change.event == "delete":
            return self.change.entity
        return super().entity
