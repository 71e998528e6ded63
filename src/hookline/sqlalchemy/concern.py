"""Which mapped classes the rule book concerns, and in what ways."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapper, RelationshipDirection, RelationshipProperty, class_mapper

from hookline.core.hook import Hook
from hookline.core.plan import Interest, Plan
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.relations import Relations, SQLRelation
from hookline.sqlalchemy.statements.subject import Subjects
from hookline.sqlalchemy.tables import Tables


class Concern:
    """What the rule book wants of one class.

    Attributes:
        facts: What is known of the class.
        interest: What row hooks want of it; None if nothing.
        phases: The phases in which rows of it have hooks.
        keys: The relations with hooks whose foreign key it has.
        ruled: Whether rows of it have hooks before they are written.
        ripples: The relationships along which writing it may write rows that hooks concern.
        orphan: Whether it can be deleted by losing its parent.
        asynchronous: The async hooks that its writes concern.
    """

    __slots__ = ("asynchronous", "facts", "interest", "keys", "orphan", "phases", "ripples", "ruled")

    def __init__(
        self, facts: Facts, interest: Interest | None, keys: tuple[SQLRelation, ...],
        ripples: tuple[RelationshipProperty[Any], ...], asynchronous: tuple[Hook, ...],
    ) -> None:  # fmt: skip
        self.facts, self.interest, self.keys, self.ripples = facts, interest, keys, ripples
        self.phases = interest.phases if interest is not None else frozenset()
        self.ruled = not self.phases.isdisjoint(("before", "check"))
        self.orphan = bool(facts.mapper._delete_orphans)
        self.asynchronous = asynchronous


class Concerns:
    """The concerns of one plan, found when first asked for."""

    def __init__(self, plan: Plan, schema: Schema) -> None:
        self.plan, self.schema = plan, schema
        self._of: dict[type, Concern | None] = {}
        self.links = plan.concerns_links
        self.subjects = Subjects(self)

    def of(self, model: type) -> Concern | None:
        """What the rule book wants of a class; None if nothing at all."""
        try:
            return self._of[model]
        except KeyError:
            found = self._of[model] = self._find(model)
            return found

    def hooked(self, relation: SQLRelation) -> bool:
        """Whether a relation has hooks."""
        return self.links and bool(self.plan.link_hooks(relation))

    def _find(self, model: type) -> Concern | None:
        facts = self.schema.facts(model)
        mapper = facts.mapper
        interest = self.plan.interest(model)
        keys: tuple[SQLRelation, ...] = ()
        hooks: list[Hook] = list(interest.asynchronous) if interest else []
        if self.links:
            relations = self.schema.relations
            relations.learn((mapper,))
            keys = tuple(one for one in relations.keys_of(mapper) if self.hooked(one))
            about = [*keys, *(r for p in mapper.relationships if (r := relations.of(p)) and self.hooked(r))]
            hooks += [h for one in about for h in self.plan.link_hooks(one) if h.awaited]
        ripples: tuple[RelationshipProperty[Any], ...] = ()
        if self._reaches(mapper):
            ripples = tuple(prop for prop in mapper.relationships if not prop.viewonly)
        if interest is None and not keys and not ripples:
            return None
        return Concern(facts, interest, keys, ripples, tuple(dict.fromkeys(hooks)))

    def _reaches(self, mapper: Mapper[Any]) -> bool:
        """Whether writing rows of a mapper may write rows, or links, that hooks concern, along relationships."""
        seen: set[Mapper[Any]] = set()
        waiting = [mapper]
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            for prop in one.relationships:
                if prop.viewonly:
                    continue
                relation = self.schema.relations.of(prop) if self.links else None
                if relation is not None and self.hooked(relation):
                    return True
                many_to_one = prop.direction is RelationshipDirection.MANYTOONE
                if many_to_one and self.plan.interest(one.class_) is not None:
                    return True
                for target in prop.mapper.self_and_descendants:
                    if not many_to_one and self.plan.interest(target.class_) is not None:
                        return True
                    if not many_to_one or prop.cascade.delete or prop.cascade.delete_orphan:
                        if self.plan.interest(target.class_) is not None:
                            return True
                        waiting.append(target)
        return False


class Schema:
    """The mapped classes as one attachment knows them.

    Attributes:
        relations: Their relations.
        tables: Their tables.
        named: By the name that deliveries have for them and the hook, as far as they were asked for.
    """

    def __init__(self) -> None:
        self._facts: dict[type, Facts] = {}
        self.named: dict[tuple[str, object], type] = {}
        self.relations = Relations()
        self.tables = Tables()
        self._concerns: Concerns | None = None

    def facts(self, model: type) -> Facts:
        """What is known of a mapped class."""
        found = self._facts.get(model)
        if found is None:
            found = self._facts[model] = Facts(class_mapper(model))
        return found

    def concerns(self, plan: Plan) -> Concerns:
        """The concerns of a plan; kept until there is another plan."""
        concerns = self._concerns
        if concerns is None or concerns.plan is not plan:
            concerns = self._concerns = Concerns(plan, self)
        return concerns
