"""What a statement on a table is about: the classes and relations of the table that hooks concern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from hookline.core.events import COMMIT_PHASES, PHASES

if TYPE_CHECKING:
    from hookline.sqlalchemy.concern import Concerns
    from hookline.sqlalchemy.relations import SQLRelation


class Subject:
    """A table with the mapper of its rows, if hooks concern them, and the relations that it is the secondary table of.

    Attributes:
        table: The table.
        mapper: The highest mapper whose own table it is; None if none is concerned.
        relations: The relations with hooks.
    """

    def __init__(self, table: Table, mapper: Mapper[Any] | None, relations: tuple[SQLRelation, ...]) -> None:
        self.table, self.mapper, self.relations = table, mapper, relations


class Subjects:
    """The subjects of one plan, found when first asked for."""

    def __init__(self, concerns: Concerns) -> None:
        self._concerns = concerns
        self._of: dict[tuple[Any, str], Subject | None] = {}
        self._mapped: dict[Any, bool] = {}

    def of(self, table: Any, event: str) -> Subject | None:
        """What a statement on a table is about; None if it concerns no hook.

        Args:
            table: The table.
            event: What the statement does: ``insert``, ``update`` or ``delete``.
        """
        at = (table, event)
        try:
            return self._of[at]
        except KeyError:
            found = self._of[at] = self._find(table, event)
            return found

    def of_statement(self, statement: Any) -> Subject | None:
        """Likewise for an INSERT, UPDATE or DELETE; an upsert may update, too."""
        event = "update" if statement.is_update else "delete" if statement.is_delete else "insert"
        subject = self.of(statement.table, event)
        if subject is None and getattr(statement, "_post_values_clause", None) is not None:
            subject = self.of(statement.table, "update")
        return subject

    def is_mapped(self, target: Any) -> bool:
        """Whether a statement's target is a mapped table itself, no alias and no namesake of one."""
        known = self._mapped.get(target)
        if known is None:
            table = target._deannotate() if target._annotations else target
            known = isinstance(table, Table) and bool(self._concerns.schema.tables.mappers_of(table))
            self._mapped[target] = known
        return known

    def _find(self, table: Any, event: str) -> Subject | None:
        schema = self._concerns.schema
        table = table._deannotate() if table._annotations else table
        here = [mapper for mapper in schema.tables.mappers_of(table) if mapper.local_table is table]
        mapper = next((m for m in here if m.inherits is None or m.inherits.local_table is not table), None)
        if mapper is not None and not self.concerns(mapper, event):
            mapper = None
        relations: tuple[SQLRelation, ...] = ()
        if self._concerns.links:
            known = schema.relations
            if isinstance(table, Table):
                known.learn(schema.tables.mappers_beside(table))
            relations = tuple(
                one for one in known if one.kind == "secondary" and one.table is table and self._concerns.hooked(one)
            )
        if mapper is None and not relations:
            return None
        return Subject(table, mapper, relations)

    def concerns(self, mapper: Mapper[Any], event: str) -> bool:
        """Whether an event of a class, or of a subclass, concerns any hook, or a net change that hooks ask for."""
        plan = self._concerns.plan
        for one in mapper.self_and_descendants:
            concern = self._concerns.of(one.class_)
            if concern is None:
                continue
            if concern.keys:
                return True
            interest = concern.interest
            if interest is not None and (
                not interest.phases.isdisjoint(COMMIT_PHASES)
                or any(plan.for_row(phase, event, one.class_) for phase in PHASES)
                or any(issubclass(one.class_, followed) for followed in plan.followed)
            ):
                return True
        return False
