"""What triggers took down of the session's own transaction, and hooks have not been told of: raw SQL, and cascades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from hookline.core.bypass import policy_of
from hookline.core.change import Change
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.run import Steps, run_hook, work_by_row
from hookline.errors import ValidationError
from hookline.sqlalchemy.capturing import Told, untold
from hookline.sqlalchemy.mapped import WRITTEN, MappedChange
from hookline.sqlalchemy.relations import RowEnd, SQLRelation
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.capturing import Capture, Captured
    from hookline.sqlalchemy.host import SessionHost

DOOR = "captured"


class ReadBack:
    """Reads back what one transaction has captured.

    Args:
        host: The session.
        capture: The triggers.
    """

    def __init__(self, host: SessionHost, capture: Capture) -> None:
        self.host, self.capture = host, capture
        self._places: dict[int, int] = {}
        self._order: dict[int, int] = {}
        self._sources: dict[int, list[Captured]] = {}

    def take(self) -> Steps[bool]:
        """Make changes of what hooks have not been told of, run the hooks that wait for it, and keep it.

        Returns:
            Whether there was anything.

        Raises:
            ValidationError: A `check` hook whose policy is ``capture`` refused it.
        """
        taken = (one for connection in self.host.connections for one in self.capture.take(connection))
        captured = [part for one in taken for part in self._parts(one)]
        if not captured:
            return False
        host = self.host
        tx = host.open_transaction()
        fresh = range(host.accounted, len(tx.steps))
        known = [(number, one) for number in fresh for one in self._told(tx.steps[number])]
        known += [(number, one) for number, step in host.unfollowed for one in self._told(step)]
        known.sort(key=lambda one: one[0])
        host.unfollowed.clear()
        left = untold(captured, [one for _, one in known])
        self._order = {id(one): number for number, one in enumerate(captured)}
        self._places = self._find_places(captured, left, known)
        write = StatementWrite(host, DOOR)
        write.rows = [change for change in self._rows(write, left) if write.concerns.of(change.model) is not None]
        write.links = list(self._links(write, left)) if write.concerns.links else []
        if not write.rows and not write.links:
            return False
        yield from self._late(write)
        self._keep(write)
        host.accounted = len(tx.steps)
        return True

    def of_others(self, captured: Iterable[Captured]) -> list[Change[Any]]:
        """The changes that somebody else's transaction made, in order.

        Args:
            captured: Of one transaction.
        """
        parts = [part for one in captured for part in self._parts(one)]
        self._order = {id(one): number for number, one in enumerate(parts)}
        write = StatementWrite(self.host, DOOR)
        write.rows = [change for change in self._rows(write, parts) if write.concerns.of(change.model) is not None]
        links = self._links(write, parts) if write.concerns.links else ()
        followed = (change for change in write.rows if change.followed)
        return sorted((*followed, *links), key=self._when)

    def _keep(self, write: StatementWrite) -> None:
        """Keep the changes for the commit phases: each before those that hooks were told of later of the same row."""
        tx = write.tx
        earlier: list[tuple[int, Change[Any]]] = []
        later: list[Change[Any]] = []
        for change in sorted((*write.rows, *write.links), key=self._when):
            if isinstance(change, MappedChange) and not change.followed:
                continue
            parts = self._sources[id(change)]
            place = min((self._places[id(one)] for one in parts if id(one) in self._places), default=None)
            if place is not None and place < len(tx.steps):
                earlier.append((place, change))
            else:
                later.append(change)
        earlier.sort(key=lambda one: one[0])
        while earlier:
            tx.insert(*earlier.pop())
        for change in later:
            tx.record([change])

    def _when(self, change: Change[Any]) -> int:
        """When it happened, among all that was captured: what became of a row in the end, when that began."""
        return min(self._order[id(one)] for one in self._sources[id(change)])

    def _parts(self, one: Captured) -> Iterator[Captured]:
        """A row of a secondary table that is updated is one link that is unset, and one that is set."""
        links = one.operation == "update" and not self.host.schema.tables.mappers_of(one.table)
        if links:
            yield replace(one, operation="delete", new=None)
            yield replace(one, operation="insert", old=None)
        else:
            yield one

    def _find_places(
        self, captured: Iterable[Captured], left: Iterable[Captured], known: Iterable[tuple[int, Told]]
    ) -> dict[int, int]:
        """For each captured row that nobody was told of, the first step of the same row that came after it."""
        new = {id(one) for one in left}
        steps: dict[Any, list[int]] = {}
        for number, told in known:
            steps.setdefault(self._row_of(told), []).append(number)
        seen: Counter[Any] = Counter()
        places: dict[int, int] = {}
        for one in captured:
            at = self._row_of(one)
            if id(one) in new:
                later = steps.get(at, [])[seen[at] :]
                if later:
                    places[id(one)] = later[0]
            else:
                seen[at] += 1
        return places

    def _row_of(self, part: Captured | Told) -> Any:
        """What a row is told by, whichever of its tables a part of it is in."""
        table: Any = part.table
        mapper = next(iter(self.host.schema.tables.mappers_of(table)), None)
        return (table if mapper is None else mapper.base_mapper.local_table), part.key

    # -- what hooks know already

    def _told(self, step: Change[Any]) -> Iterator[Told]:
        if isinstance(step, LinkChange):
            relation: Any = step.kind
            if relation.kind == "secondary" and relation.table in self.capture.tables:
                yield self._told_link(step, relation)
        elif isinstance(step, MappedChange):
            facts = step.facts
            old = step.known_old() if step.event != "insert" else {}
            new = step.known_new() if step.event != "delete" else {}
            touched = {facts.columns[name].table for name in step.fields} if step.event == "update" else None
            for table in facts.mapper.tables:
                if isinstance(table, Table) and (touched is None or table in touched):
                    before, after = _by_column(facts.columns, old, table), _by_column(facts.columns, new, table)
                    identity: Any = step.identity_before
                    yield Told(table, step.event, identity[1], before or None, after or None)

    def _told_link(self, link: LinkChange, relation: SQLRelation) -> Told:
        row: dict[Any, Any] = {}
        for columns, end in zip(relation.secondary, link.ends, strict=True):
            assert isinstance(end, RowEnd)
            row.update(zip(columns, end.values, strict=True))
        keys = tuple(relation.table.primary_key.columns) or tuple(relation.table.columns)
        event = "insert" if link.event == "link" else "delete"
        return Told(relation.table, event, tuple(row.get(column) for column in keys))

    # -- what they do not know

    def _rows(self, write: StatementWrite, left: Iterable[Captured]) -> Iterator[StatementChange]:
        tables = self.host.schema.tables
        parts: dict[Any, list[Captured]] = {}
        for one in left:
            mapper = next((m for m in tables.mappers_of(one.table) if m.local_table is one.table), None)
            if mapper is None:
                continue
            if len(_family_tables(mapper)) == 1:
                change = self._change(write, mapper, one.operation, one.old, one.new, one.table)
                self._sources[id(change)] = [one]
                yield change
            else:
                at = mapper.base_mapper, one.key, self._places.get(id(one))
                parts.setdefault(at, []).append(one)
        for (base, *_), some in parts.items():
            yield from self._joined(write, base, some)

    def _change(
        self, write: StatementWrite, mapper: Mapper[Any], event: str, old: Any, new: Any, *tables: Table
    ) -> StatementChange:
        facts = write.concerns.schema.facts(_class_of(mapper, new or old or {}))
        change = StatementChange.known(
            event, facts, write, _named(facts.columns, old, tables), _named(facts.columns, new, tables)
        )
        change.stage = WRITTEN
        change.followed = _is_followed(write, change)
        return change

    def _joined(self, write: StatementWrite, base: Mapper[Any], some: list[Captured]) -> Iterator[StatementChange]:
        """One change of a row that is in several tables: what became of it in the end."""
        first: dict[Any, Mapping[str, Any] | None] = {}
        last: dict[Any, Mapping[str, Any] | None] = {}
        for one in some:
            first.setdefault(one.table, one.old)
            last[one.table] = one.new
        old: dict[Any, Any] = {}
        new: dict[Any, Any] = {}
        for table, row in first.items():
            old.update({(table, key): value for key, value in (row or {}).items()})
        for table, row in last.items():
            new.update({(table, key): value for key, value in (row or {}).items()})
        own = base.local_table
        was = first[own] is not None if own in first else True
        is_ = last[own] is not None if own in last else True
        if not was and not is_:
            return
        event = "update" if was and is_ else "delete" if was else "insert"
        rows = {table: dict(last.get(table) or first.get(table) or {}) for table in first}
        model = next((m for m in base.self_and_descendants if m.local_table in first and m.inherits is not None), base)
        known = rows.get(own, {})
        discriminator = base.polymorphic_on
        if discriminator is not None and discriminator.key in known:
            model = base.polymorphic_map.get(known[discriminator.key], model)
        facts = write.concerns.schema.facts(model.class_)
        by_name = {name: (column.table, column.key) for name, column in facts.columns.items()}
        before = {name: old[at] for name, at in by_name.items() if at in old} if was else {}
        after = {name: new[at] for name, at in by_name.items() if at in new} if is_ else {}
        for row in (before, after):
            if row:
                row.update(
                    (name, value) for name, value in zip(facts.key_names, some[0].key, strict=True) if name not in row
                )
        change = StatementChange.known(event, facts, write, before, after)
        change.stage = WRITTEN
        change.followed = _is_followed(write, change)
        if change.is_change:
            self._sources[id(change)] = some
            yield change

    def _links(self, write: StatementWrite, left: Iterable[Captured]) -> Iterator[LinkChange]:
        for change in write.rows:
            for link in write.found.of_rows([change]):
                self._sources[id(link)] = self._sources[id(change)]
                yield link
        relations = [one for one in write.concerns.schema.relations if one.kind == "secondary"]
        for one in left:
            for relation in relations:
                if relation.table is one.table and write.concerns.hooked(relation):
                    for event, row in (("unlink", one.old), ("link", one.new)):
                        if row is not None:
                            near, far = (tuple(row[c.key] for c in columns) for columns in relation.secondary)
                            link = write.found.of_pair(event, relation, near, far, door=DOOR)
                            self._sources[id(link)] = [one]
                            yield link

    # -- the hooks that wait for it

    def _late(self, write: StatementWrite) -> Steps[None]:
        tx, plan = write.tx, write.plan
        control = tx.book.surroundings.control
        changes: list[Change[Any]] = [*write.rows, *write.links]
        refusals: list[ValidationError] = []
        for phase in ("check", "after"):
            for hook, some in work_by_row(plan, phase, changes):
                if self._waits(hook) and (control is None or control.permits(hook.category, hook.protected)):
                    heard = refusals if phase == "check" else None
                    yield from run_hook(tx, hook, some, self.host.scope(), refusals=heard, observer=self.host.stir)
            if refusals:
                raise ValidationError.gather(refusals)

    def _waits(self, hook: Hook) -> bool:
        return policy_of(hook, self.host.attachment.book.bypass) == "capture"


def _is_followed(write: StatementWrite, change: StatementChange) -> bool:
    concern = write.concerns.of(change.model)
    return concern is not None and concern.interest is not None


def _family_tables(mapper: Mapper[Any]) -> set[Any]:
    return {table for one in mapper.base_mapper.self_and_descendants for table in one.tables}


def _class_of(mapper: Mapper[Any], row: Mapping[str, Any]) -> type:
    discriminator = mapper.polymorphic_on
    if discriminator is not None and discriminator.key in row:
        one = mapper.polymorphic_map.get(row[discriminator.key])
        if one is not None:
            return one.class_
    return mapper.class_


def _by_column(columns: Mapping[str, Any], row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    return {columns[n].key: value for n, value in row.items() if n in columns and columns[n].table is table}


def _named(columns: Mapping[str, Any], row: Mapping[str, Any] | None, tables: tuple[Table, ...]) -> dict[str, Any]:
    if row is None:
        return {}
    return {name: row[c.key] for name, c in columns.items() if c.table in tables and c.key in row}
