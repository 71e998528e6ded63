"""What a flush is going to write, found out before it does.

Cascades, orphans and foreign keys that follow relationships are decided by SQLAlchemy in the middle of a flush, too
late for `before`. So its own deciding part is run on a scratch unit of work first, and the copying of
keys that would follow is read off, not done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import PassiveFlag, RelationshipDirection, RelationshipProperty, Session, attributes
from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.sqlalchemy.concern import Concern, Concerns
from hookline.sqlalchemy.facts import State

if TYPE_CHECKING:
    from hookline.sqlalchemy.relations import SQLRelation

_LOADING: Final = PassiveFlag.PASSIVE_OFF
_PENDING: Final = PassiveFlag.PASSIVE_NO_INITIALIZE | PassiveFlag.INCLUDE_PENDING_MUTATIONS

Source = tuple[State, str] | None
"""Where a foreign key's value will come from: an attribute of another row, or None for NULL."""


SecondaryLinks = dict[tuple[str, "SQLRelation", State, State], None]
"""Rows of secondary tables: event, relation, near row, far row."""


@dataclass(slots=True)
class Forecast:
    """What a flush is going to write.

    Attributes:
        inserts: Rows of classes that the rule book concerns.
        updates: Likewise; rows that may turn out to have no net change included.
        deletes: Likewise.
        synced: Foreign keys that will be copied from related rows.
        related: For a row and a relation, the row that it will refer to, or None.
        links: Rows of secondary tables: event, relation, near row, far row.
    """

    inserts: list[tuple[State, Concern]] = field(default_factory=list)
    updates: list[tuple[State, Concern]] = field(default_factory=list)
    deletes: list[tuple[State, Concern]] = field(default_factory=list)
    synced: dict[State, dict[str, Source]] = field(default_factory=dict)
    related: dict[tuple[State, Any], State | None] = field(default_factory=dict)
    links: SecondaryLinks = field(default_factory=dict)

    def by_event(self) -> tuple[tuple[str, list[tuple[State, Concern]]], ...]:
        """The rows, by what is going to happen to them."""
        return ("insert", self.inserts), ("update", self.updates), ("delete", self.deletes)


def forecast(session: Session, concerns: Concerns, objects: Any = None) -> Forecast:
    """Find out what `Session.flush` is going to write to tables that the rule book concerns."""
    only = {attributes.instance_state(one) for one in objects} if objects else None
    found = Forecast()
    deleted = session._deleted
    rippling: list[State] = []
    for states, into in (
        (session._new, found.inserts),
        (session._dirty_states, found.updates),
        (deleted, found.deletes),
    ):
        for state in list(states):
            concern = concerns.of(state.class_)
            if concern is None or (only is not None and state not in only):
                continue
            if state._deleted or (into is not found.deletes and state in deleted):
                continue  # deleted by an earlier flush, or to be deleted by this one
            into.append((state, concern))
            if concern.ripples or concern.orphan:
                rippling.append(state)
    if rippling:
        _Ripples(session, concerns, found, rippling, only).follow()
    if len(found.updates) > 1:
        _sort_by_key(found.updates)
    return found


def _sort_by_key(rows: list[tuple[State, Concern]]) -> None:
    """SQLAlchemy keeps modified rows in a set; hooks get them in an order that is the same each time."""
    try:
        rows.sort(key=lambda one: (one[0].class_.__name__, one[0].key[1] if one[0].key else ()))
    except TypeError:  # keys that cannot be compared
        rows.sort(key=lambda one: (one[0].class_.__name__, repr(one[0].key)))


def secondary_links(session: Session, concerns: Concerns, uow: UOWTransaction, *, sent: bool = False) -> SecondaryLinks:
    """The rows that a unit of work inserts into and deletes from secondary tables that have hooks.

    Args:
        session: The session.
        concerns: What the rule book wants.
        uow: The unit of work.
        sent: Whether it has sent its statements: then only what it has really processed counts.
    """
    links: SecondaryLinks = {}
    processed = _processed(uow) if sent else set()
    for state, (is_delete, list_only) in list(uow.states.items()):
        if list_only:
            continue
        for prop in state.mapper.relationships:
            if prop.viewonly or prop.direction is not RelationshipDirection.MANYTOMANY:
                continue
            relation = concerns.schema.relations.of(prop)
            if relation is None or not concerns.hooked(relation):
                continue
            processor = prop._dependency_processor
            if sent and processed.isdisjoint(((processor, None), (processor, state))):
                continue
            for event, other in _secondary_rows(uow, state, prop, is_delete):
                if other is not None and session._contains_state(other):
                    near, far = (state, other) if relation.sides[prop] == "near" else (other, state)
                    links[event, relation, near, far] = None
    return links


def _processed(uow: UOWTransaction) -> set[tuple[Any, State | None]]:
    """What a unit of work has really processed: a relationship of one row, or (None) of all its rows.

    Where rows of one class depend on each other, SQLAlchemy takes them one by one, and leaves out what is pending on
    a collection that is not loaded: a gap of its own.
    """
    processed = set()
    for action in uow.postsort_actions.values():
        one: Any = action
        processor = getattr(one, "dependency_processor", None)
        if processor is not None and not one.disabled:
            processed.add((processor, getattr(one, "state", None)))
    return processed


def _secondary_rows(
    uow: UOWTransaction, state: State, prop: RelationshipProperty[Any], is_delete: bool
) -> Iterator[tuple[str, Any]]:
    """What one side of a many-to-many relationship says: event and other row."""
    ask: Any = uow.get_attribute_history
    if is_delete:
        history = ask(state, prop.key, PassiveFlag.PASSIVE_NO_INITIALIZE if prop.passive_deletes else _LOADING)
        for other in history.non_added() if history else ():
            yield "unlink", other
        return
    history = ask(state, prop.key, _PENDING)
    if history:
        for other in history.added:
            yield "link", other
        for other in history.deleted:
            yield "unlink", other


class _Ripples:
    """Follows what writes along relationships."""

    def __init__(
        self, session: Session, concerns: Concerns, found: Forecast, rippling: list[State], only: set[State] | None
    ) -> None:
        self.session, self.concerns, self.found = session, concerns, found
        self.rippling, self.only = rippling, only
        self.uow = UOWTransaction(session)

    def follow(self) -> None:
        """Decide about cascades and orphans as the flush will, then read off keys and links."""
        uow = self.uow
        self._register()
        found_more = True
        while found_more:
            found_more = False
            for action in list(uow.presort_actions.values()):
                found_more = action.execute(uow) or found_more
        self._replace_fates()
        for state, (is_delete, list_only) in list(uow.states.items()):
            if not list_only:
                for prop in state.mapper.relationships:
                    if not prop.viewonly and prop.direction is not RelationshipDirection.MANYTOMANY:
                        self._read_off(state, prop, is_delete)
        if self.concerns.links:
            self.found.links = secondary_links(self.session, self.concerns, uow)

    def _register(self) -> None:
        deleted = self.session._deleted
        for state in self.rippling:
            if state in deleted:
                continue
            orphan = state.mapper._is_orphan(state)
            if orphan and not state.has_identity and state._orphaned_outside_of_session:
                continue  # the flush will expunge it
            self.uow.register_object(state, isdelete=orphan and state.has_identity)
        for state in deleted:  # all of them, so that no relationship takes one for a row that stays
            if not state._deleted and (self.only is None or state in self.only):
                self.uow.register_object(state, isdelete=True)

    def _replace_fates(self) -> None:
        """Put every row that the scratch unit of work knows where it now belongs."""
        found, fates = self.found, self.uow.states
        rippled = set(self.rippling)
        for rows in (found.inserts, found.updates, found.deletes):
            rows[:] = [one for one in rows if one[0] not in rippled and one[0] not in fates]
        in_order = [*(s for s in self.rippling if s in fates), *(s for s in fates if s not in rippled)]
        for state in in_order:
            is_delete, list_only = fates[state]
            concern = self.concerns.of(state.class_)
            if concern is None or list_only:
                continue
            if is_delete:
                if state.key is not None and not state._deleted:
                    found.deletes.append((state, concern))
            else:
                (found.inserts if state.key is None else found.updates).append((state, concern))

    def _read_off(self, state: State, prop: RelationshipProperty[Any], is_delete: bool) -> None:
        if prop.direction is RelationshipDirection.MANYTOONE:
            if not is_delete:
                self._many_to_one(state, prop)
        elif is_delete:
            self._parent_deleted(state, prop)
        else:
            self._one_to_many(state, prop)

    def _many_to_one(self, state: State, prop: RelationshipProperty[Any]) -> None:
        history = self._history(state, prop.key, PassiveFlag.PASSIVE_NO_INITIALIZE)
        if not history:
            return
        if history.added:
            for other in history.added:
                if other is None:
                    self._sync(state, prop, None)
                elif self.session._contains_state(other):
                    self._sync(state, prop, other)
        elif history.deleted:
            self._sync(state, prop, None)

    def _one_to_many(self, state: State, prop: RelationshipProperty[Any]) -> None:
        keeps_keys = prop.cascade.delete_orphan or prop.passive_deletes == "all"
        changed_key = not prop.passive_updates and self._key_changed(state, prop)
        passive = PassiveFlag.PASSIVE_OFF | PassiveFlag.INCLUDE_PENDING_MUTATIONS if changed_key else _PENDING
        history = self._history(state, prop.key, passive)
        if not history:
            return
        for child in history.added:
            if child is not None:
                self._sync(child, prop, state)
        for child in history.deleted:
            if child is not None and not keeps_keys and not self._has_parent(prop, child):
                self._sync(child, prop, None)
        if changed_key:
            for child in history.unchanged:
                if child is not None:
                    self._sync(child, prop, state)

    def _parent_deleted(self, state: State, prop: RelationshipProperty[Any]) -> None:
        if prop.passive_deletes == "all" and not prop.post_update:
            return
        flag = PassiveFlag.PASSIVE_OFF if not prop.passive_deletes else PassiveFlag.PASSIVE_NO_INITIALIZE
        history = self._history(state, prop.key, flag)
        if not history:
            return
        for child in history.deleted:
            if child is not None and not self._has_parent(prop, child):
                self._sync(child, prop, None)
        if prop.post_update or not prop.cascade.delete:
            attributes: dict[Any, Any] = self.uow.attributes
            moved = attributes.get(("children_added", prop._dependency_processor), ())
            for child in history.unchanged:
                if child is not None and child not in moved:
                    self._sync(child, prop, None)

    def _sync(self, child: State, prop: RelationshipProperty[Any], parent: State | None) -> None:
        """The flush will copy the parent's key into the child, or NULL."""
        if self._is_deleted(child) and not prop.post_update:
            return
        concern = self.concerns.of(child.class_)
        if concern is None:
            return
        synced = self.found.synced.setdefault(child, {})
        for left, right in prop.synchronize_pairs:
            name = child.mapper.get_property_by_column(right).key
            synced[name] = None if parent is None else (parent, parent.mapper.get_property_by_column(left).key)
        relation = self.concerns.schema.relations.of(prop) if self.concerns.links else None
        if relation is not None:
            self.found.related[child, relation] = parent

    def _history(self, state: State, key: str, passive: PassiveFlag) -> Any:
        return self.uow.get_attribute_history(state, key, passive)  # type: ignore[no-untyped-call]

    def _is_deleted(self, state: State) -> bool:
        return bool(self.uow.is_deleted(state))  # type: ignore[no-untyped-call]

    def _has_parent(self, prop: RelationshipProperty[Any], child: State) -> bool:
        processor: Any = prop._dependency_processor
        return bool(processor.hasparent(child))

    def _key_changed(self, state: State, prop: RelationshipProperty[Any]) -> bool:
        return any(
            state.mapper.get_property_by_column(left).key in state.committed_state for left, _ in prop.synchronize_pairs
        )
