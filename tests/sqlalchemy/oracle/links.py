"""Rules that set links, from every side."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sqlalchemy import inspect

from .play import Play, step
from .schema import Enrollment, Line
from .snapshot import FOREIGN_KEYS, RELATIONS

some = st.integers(0, 31)


class Links(Play):
    """By attribute, by collection, by foreign key column."""

    @step(number=some, column=some, other=some)
    def set_foreign_key(self, number: int, column: int, other: int) -> None:
        """By column; the relation attributes on both sides do not know of it."""
        holders = [
            (many, name, family) for family, many, name in FOREIGN_KEYS if many is not Enrollment and self.alive(many)
        ]
        if not holders:
            return
        many, name, family = holders[column % len(holders)]
        entity = self.pick(number, many)
        one = next(
            inspect(relation.model).relationships[relation.name].mapper.class_
            if not relation.turned
            else relation.model
            for relation in RELATIONS.values()
            if relation.family == family
        )
        value = self.pick(other, one, or_none=many is not Line)
        key = self.key_of(value)
        if key is None and many is Line:
            return
        self.perform(f"{self.name(entity)}.{name} = {self.name(value)}.id", lambda: setattr(entity, name, key))

    def related(self, number: int, relation: int, *, many: bool) -> tuple[Any, Any] | None:
        """An entity and one of its relations that is (not) a collection."""
        entity = self.pick(number)
        if entity is None:
            return None
        attributes = [attribute for attribute in inspect(type(entity)).relationships if bool(attribute.uselist) is many]
        attributes.sort(key=lambda attribute: attribute.key)
        return (entity, attributes[relation % len(attributes)]) if attributes else None

    @step(number=some, relation=some, other=some)
    def set_one(self, number: int, relation: int, other: int) -> None:
        found = self.related(number, relation, many=False)
        if found is None:
            return
        entity, attribute = found
        value = self.pick(other, attribute.mapper.class_, or_none=True)
        if isinstance(entity, Enrollment) and not self.may_move(entity, attribute.key, value):
            return
        self.perform(
            f"{self.name(entity)}.{attribute.key} = {self.name(value)}",
            lambda: setattr(entity, attribute.key, value),
        )

    def may_move(self, entry: Enrollment, side: str, value: Any) -> bool:
        """The key of an enrollment is its two links: a move must not leave it incomplete or meet another one."""
        if value is None or self.key_of(value) is None or not inspect(entry).persistent:
            return False
        person, course = inspect(entry).identity
        moved = (self.key_of(value), course) if side == "person" else (person, self.key_of(value))
        return all(inspect(other).persistent and inspect(other).identity != moved for other in self.alive(Enrollment))

    @step(number=some, relation=some, other=some)
    def put_in(self, number: int, relation: int, other: int) -> None:
        found = self.related(number, relation, many=True)
        if found is None or found[1].mapper.class_ is Enrollment:
            return
        entity, attribute = found
        value = self.pick(other, attribute.mapper.class_)
        if value is None:
            return

        def put() -> None:
            collection = getattr(entity, attribute.key)
            if isinstance(collection, set):
                collection.add(value)
            elif value not in collection:
                collection.append(value)

        self.perform(f"{self.name(entity)}.{attribute.key}.append({self.name(value)})", put)

    @step(number=some, relation=some, other=some)
    def take_out(self, number: int, relation: int, other: int) -> None:
        found = self.related(number, relation, many=True)
        if found is None:
            return
        entity, attribute = found

        def take_out() -> None:
            collection = getattr(entity, attribute.key)
            members = sorted(collection, key=self.name)
            if members:
                collection.remove(members[other % len(members)])

        self.perform(f"{self.name(entity)}.{attribute.key}.remove(...[{other}])", take_out)

    @step(number=some, relation=some, others=st.lists(some, max_size=2, unique=True))
    def replace(self, number: int, relation: int, others: list[int]) -> None:
        found = self.related(number, relation, many=True)
        if found is None:
            return
        entity, attribute = found
        model = attribute.mapper.class_
        values = [] if model is Enrollment else [self.pick(other, model) for other in others]
        values = list(dict.fromkeys(value for value in values if value is not None))
        collection = set(values) if attribute.collection_class is set or attribute.key == "befriended_by" else values
        self.perform(
            f"{self.name(entity)}.{attribute.key} = {self.names_of(values)}",
            lambda: setattr(entity, attribute.key, collection),
        )
