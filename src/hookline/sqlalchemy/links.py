"""The links that a flush sets and unsets: from foreign keys, and from secondary tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.orm.attributes import instance_state

from hookline.core.link import LinkChange
from hookline.sqlalchemy.concern import Concerns
from hookline.sqlalchemy.defaults import fill_defaults
from hookline.sqlalchemy.facts import Facts, State
from hookline.sqlalchemy.forecast import Forecast, SecondaryLinks
from hookline.sqlalchemy.mapped import MappedChange
from hookline.sqlalchemy.relations import ChangeEnd, RowEnd, SQLRelation

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Links:
    """Finds the link changes of one flush, each of them once."""

    def __init__(self, host: SessionHost, concerns: Concerns) -> None:
        self.host, self.concerns = host, concerns
        self._known: dict[tuple[Any, ...], LinkChange] = {}
        self._sent = False

    def fresh(self, outlook: Forecast, changes: Mapping[Any, MappedChange]) -> list[LinkChange]:
        """Those that were not there at the last look."""
        before = set(self._known)
        return [link for key, link in self._find(outlook, changes) if key not in before]

    def settled(self, outlook: Forecast, changes: Mapping[Any, MappedChange]) -> list[LinkChange]:
        """All that are there now."""
        return list(dict(self._find(outlook, changes)).values())

    def _find(
        self, outlook: Forecast, changes: Mapping[Any, MappedChange]
    ) -> Iterator[tuple[tuple[Any, ...], LinkChange]]:
        for event, relation, near, far in outlook.links:
            key = (event, relation, near, far)
            if key not in self._known:
                self._known[key] = self._secondary(event, relation, near, far, changes)
            yield key, self._known[key]
        for _, rows in outlook.by_event():
            for state, concern in rows:
                for relation in concern.keys:
                    yield from self._of_key(changes[state], relation, outlook)

    def of_rows(self, changes: Sequence[MappedChange]) -> list[LinkChange]:
        """The links of foreign keys of rows that are as they are."""
        nothing = Forecast()
        self._known = {}
        found: list[LinkChange] = []
        for change in changes:
            concern = self.concerns.of(change.model)
            for relation in concern.keys if concern is not None else ():
                found.extend(link for _, link in self._of_key(change, relation, nothing))
        return found

    def of_pair(
        self, event: str, relation: SQLRelation, near: tuple[Any, ...], far: tuple[Any, ...], *, door: str
    ) -> LinkChange:
        """The link that one row of a secondary table is.

        Args:
            event: ``link`` or ``unlink``.
            relation: Whose secondary table.
            near: What the row copies of the near end.
            far: Likewise of the far end.
            door: For `Change.door`.
        """
        facts = self.concerns.schema.facts
        near_facts, far_facts = facts(relation.near_model), facts(relation.far_model)
        near_end = RowEnd(self.host, near_facts, _names(near_facts, relation.near_columns), None, near)
        far_end = RowEnd(self.host, far_facts, _names(far_facts, relation.far_columns), None, far)
        link = self._link(event, relation, near_end, far_end, None)
        link.door = door
        return link

    def written(
        self, rows: Sequence[MappedChange], links: list[LinkChange], secondary: SecondaryLinks
    ) -> list[LinkChange]:
        """The links as they were written, whatever was foreseen: those of foreign keys follow from the rows.

        SQLAlchemy decides in the middle of a flush between relationships that contradict each other.
        """
        self._sent = True
        found = {_written_key(link): link for link in links}
        by_state = {change.state: change for change in rows}
        true = [self._known.get(key) or self._secondary(*key, by_state) for key in secondary]
        nothing = Forecast()
        for change in rows:
            concern = self.concerns.of(change.model)
            for relation in concern.keys if concern is not None else ():
                for _, link in self._of_key(change, relation, nothing):
                    true.append(found.get(_written_key(link), link))
        return true

    def _secondary(
        self, event: str, relation: SQLRelation, near: State, far: State, changes: Mapping[Any, MappedChange]
    ) -> LinkChange:
        facts = self.concerns.schema.facts
        near_facts, far_facts = facts(near.class_), facts(far.class_)
        near_end = RowEnd(self.host, near_facts, _names(near_facts, relation.near_columns), near)
        far_end = RowEnd(self.host, far_facts, _names(far_facts, relation.far_columns), far)
        origin = changes.get(near) or changes.get(far)
        return self._link(event, relation, near_end, far_end, origin)

    def _of_key(
        self, change: MappedChange, relation: SQLRelation, outlook: Forecast
    ) -> Iterator[tuple[tuple[Any, ...], LinkChange]]:
        facts = change.facts
        names = tuple(facts.name_of(column) for column, _ in relation.pairs)
        if change.event == "update" and not any(name in change.fields for name in names):
            return
        old = None if change.event == "insert" else tuple(change.read_old(name) for name in names)
        if old is not None and None not in old:
            yield self._keyed("unlink", change, relation, old, None)
        if change.event == "delete":
            return
        related = outlook.related.get((change.state, relation)) if change.state is not None else None
        new = tuple(change.read_new(name) for name in names)
        if related is not None and related.key is None and None in new:
            yield self._keyed("link", change, relation, (), related)
        elif None not in new:
            yield self._keyed("link", change, relation, new, related)

    def _keyed(
        self,
        event: str,
        change: MappedChange,
        relation: SQLRelation,
        values: tuple[Any, ...],
        related: State | None,
    ) -> tuple[tuple[Any, ...], LinkChange]:
        if related is None:
            related = self._held(relation, values)
        key = (event, relation, change.state or change, values or related)
        link = self._known.get(key)
        if link is None:
            # A link that is unset was one of the row as it was, under the key that it had.
            was = change.stored_key if event == "unlink" and change.event == "update" else None
            names = change.facts.key_names
            near: RowEnd
            if change.state is None:
                near = ChangeEnd(self.host, change.facts, names, change, was or None)
            else:
                near = RowEnd(self.host, change.facts, names, change.state, was or None)
            far_facts = self.concerns.schema.facts(related.class_ if related is not None else relation.far_model)
            names = _names(far_facts, relation.far_columns)
            far = RowEnd(self.host, far_facts, names, related, values or None)
            link = self._known[key] = self._link(event, relation, near, far, change)
        return key, link

    def _held(self, relation: SQLRelation, values: tuple[Any, ...]) -> State | None:
        """The far row, if the session holds it: it may be about to be deleted, and not to be found any more."""
        if relation.far_columns != relation.far.primary_key:
            return None
        held = self.host.held(relation.far, values)
        return None if held is None else instance_state(held)

    def _link(
        self, event: str, relation: SQLRelation, near: RowEnd, far: RowEnd, origin: MappedChange | None
    ) -> LinkChange:
        for end in (near, far):
            if end.state is not None and end.state.key is None and not self._sent:
                fill_defaults(end.facts, end.state)  # rules read the entities at both ends
        link = LinkChange(event, relation, near, far, tx=self.host.tx)
        if origin is not None:
            link.cause, link.parent, link.depth = origin.cause, origin.parent, origin.depth
            link.door = origin.door
        return link


def _written_key(link: LinkChange) -> tuple[Any, ...]:
    near, far = cast("tuple[RowEnd, RowEnd]", link.ends)
    return link.event, link.kind, near.state, far.values


def _names(facts: Facts, columns: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(facts.name_of(column) for column in columns)
