"""A change of one row by a statement: it holds its values itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.attributes import instance_dict, instance_state
from sqlalchemy.sql import ClauseElement

from hookline.core.change import NOTHING
from hookline.core.run import Unsettled
from hookline.core.transaction import Outcome
from hookline.errors import PhaseError
from hookline.sqlalchemy.asynchronous import in_coroutine, not_awaited
from hookline.sqlalchemy.mapped import CHECKING, LIVE, WRITTEN, MappedChange, NewRow, OldRow
from hookline.sqlalchemy.statements.layout import UNREAD, RowKind

if TYPE_CHECKING:
    from hookline.sqlalchemy.facts import Facts
    from hookline.sqlalchemy.statements.write import StatementWrite

_ABSENT: Any = object()


class StatementChange(MappedChange):
    """One row that a statement inserts, updates or deletes.

    What hooks assign to columns of its entity before the write becomes part of the statement.

    Attributes:
        touched: The names that the statement may change; None if it is any.
        unsettled: The names whose values only the write will tell.
        changed: Whether it writes anything, as far as that is known.
        left_out: Of an insert: the names that the statement does not name, and that become NULL.
        elsewhere: What hooks of other rows have assigned to its entity, which is a write of its own.
        of: The statement.
        foreseen: What the statement would have written to the fields that hooks edited; None if they edited none.
        held: Its object or stand-in, if hooks may have seen it.
    """

    state = None
    unsettled: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    foreseen: dict[str, Any] | None = None
    changed: bool | None = None
    group: Any = None
    touched: tuple[str, ...] = ()
    _kind: RowKind = UNREAD
    _read: Sequence[Any] = ()
    _old_values: dict[str, Any] | None = None
    _new_values: dict[str, Any] | None = None
    held: Any = None

    def __init__(
        self, event: str, facts: Facts, write: StatementWrite, row: RowKind | None = None, read: Sequence[Any] = (),
        new: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.event = event
        self.facts = facts
        self.model = self.group = facts.model
        self.of = write
        self.host, self.tx, self.door = write.host, write.tx, write.door
        self._new_values = new
        if row is not None:
            self._kind, self._read, self.touched = row, read, row.touched

    @classmethod
    def known(
        cls, event: str, facts: Facts, write: StatementWrite, old: dict[str, Any], new: dict[str, Any]
    ) -> StatementChange:
        """A change of which all values are known."""
        change = cls(event, facts, write, new=new or None)
        change._old_values = old or None
        change.touched = tuple(name for name in new if name in old)
        return change

    @property
    def _old(self) -> dict[str, Any] | None:
        values = self._old_values
        if values is None and self.event != "insert":
            values = self._old_values = self._kind.take(self._read)
        return values

    @property
    def _new(self) -> dict[str, Any] | None:
        values = self._new_values
        if values is None and self.event != "delete":
            values = self._new_values = self._kind.written(self._read)
        return values

    # -- identity

    @property
    def key_tuple(self) -> tuple[Any, ...] | None:
        row = self._old if self.event == "delete" else self._new
        values = tuple([row.get(name) for name in self.facts.key_names])  # type: ignore[union-attr]
        if any(isinstance(value, ClauseElement) for value in values):
            return None
        return None if all(value is None for value in values) else values

    @property
    def stored_key(self) -> tuple[Any, ...]:
        row = self._old
        return () if row is None else tuple([row[name] for name in self.facts.key_names])

    @property
    def identity_before(self) -> Hashable:
        return self.facts.root, self.stored_key or self.key_tuple

    # -- what hooks see

    @property
    def old(self) -> Mapping[str, Any]:
        return NOTHING if self.event == "insert" else _Old(self)  # not kept: there are many, most are asked for once

    @property
    def new(self) -> Any:
        return NOTHING if self.event == "delete" else _New(self)

    @property
    def is_change(self) -> bool:
        known = self.changed
        if known is None:
            known = self.changed = self.event != "update" or next(self._differing(), None) is not None
        return known

    def _differing(self) -> Iterator[str]:
        old, new, equal = self._old, self._new, self.facts.equal
        assert old is not None
        assert new is not None
        names = self.touched
        if self.foreseen:
            names = tuple(name for name in self.facts.names if name in old)
        for name in names:
            if name in self.unsettled and self.stage != WRITTEN:
                continue
            before = old[name]
            after = new.get(name, before)  # a column that was read because somebody asked for it
            if before is not after and (isinstance(after, ClauseElement) or not equal[name](before, after)):
                yield name
        if self.stage != WRITTEN:
            yield from self.unsettled

    def known_old(self) -> Mapping[str, Any]:
        return NOTHING if self._old is None else self._old

    def known_new(self) -> Mapping[str, Any]:
        return NOTHING if self._new is None else self._new

    def read_old(self, name: str) -> Any:
        row = self._old
        if name not in self.facts.columns:
            return self.derived(name, self.old)
        assert row is not None
        if name not in row:
            if self.stage == WRITTEN and self.event == "update":
                return self.read_new(name)  # a column that was not read, because the statement does not touch it
            row.update(self.host.fetch(self, (name,)))
        return row.get(name)

    def read_new(self, name: str) -> Any:
        row = self._new
        if name not in self.facts.columns:
            if self.stage != WRITTEN and name in self.facts.readable and name not in self.facts.composites:
                for one in self.facts.aliases.get(name, ()):
                    self.read_new(one)  # raises Unsettled if it must
                return getattr(self.entity, name)
            return self.derived(name, self.new)
        assert row is not None
        if self.stage == CHECKING and name in self.unsettled:
            raise Unsettled
        if self.stage == LIVE and self.held is not None and name not in self.elsewhere:
            row = instance_dict(self.held) if name in instance_dict(self.held) else row
        value = row.get(name, _ABSENT)
        if value is not _ABSENT:
            return value
        if self.stage != WRITTEN and self.event == "insert":
            return None
        row.update(self.host.fetch(self, (name,)))
        return row.get(name)

    @property
    def entity(self) -> Any:
        """The session's object; of a row that is not inserted yet, a stand-in that the session does not hold."""
        if self.stage == WRITTEN and self.event != "delete":
            if self.tx.outcome is not Outcome.OPEN:
                return self.host.entity_of(self, self.held)
            return self._get(self.key_tuple)
        if self.held is None:
            if self.event == "insert":
                self.held = self._stand_in()
            else:
                self.hold(self._get(self.stored_key) or self._stand_in())
        return self.held

    def hold(self, entity: Any) -> None:
        """Let hooks have an object of the session."""
        self.held = entity
        if self.event == "update" and self.stage != WRITTEN:
            self.of.held.take(self, entity)

    def _get(self, key: tuple[Any, ...] | None) -> Any:
        session = self.host.session
        if key is not None and in_coroutine(session):
            held = self.host.held(self.facts.mapper, key)
            if held is None and self.stage == WRITTEN:
                raise not_awaited(self.tx.cause)
            return held
        with session.no_autoflush:
            return None if key is None else session.get(self.model, key)

    def _stand_in(self) -> Any:
        one = self.facts.mapper.class_manager.new_instance()
        row = self._new if self._new is not None else self._old
        assert row is not None
        instance_dict(one).update(
            (name, value)
            for name, value in row.items()
            if name not in self.unsettled or isinstance(value, ClauseElement)
        )
        if self.tx.outcome is Outcome.OPEN:
            self.host.session.enable_relationship_loading(one)
        return one

    @property
    def at_hand(self) -> Any:
        if self.held is not None:
            return self.held
        held = self.host.held(self.facts.mapper, self.stored_key) if self.stored_key else None
        return self._stand_in() if held is None else held

    # -- editing

    def write(self, name: str, value: Any) -> None:
        self.check_editable(name)
        if self.held is not None or name not in self.facts.columns:
            setattr(self.entity, name, value)
            return
        self._edit(name, value)

    def _edit(self, name: str, value: Any) -> None:
        row = self._new
        assert row is not None
        if self.event == "update":
            self.read_old(name)  # while it can be read
        if self.foreseen is None:
            self.foreseen = {}
        self.foreseen.setdefault(name, row.get(name, _ABSENT))
        row[name] = value
        self.changed = None
        self.left_out -= {name}
        if isinstance(value, ClauseElement):
            self.unsettled |= {name}
        else:
            self.unsettled -= {name}

    def drop(self, name: str) -> None:
        self.check_editable(name)
        self.write(name, self.read_old(name) if self.event == "update" else None)

    def take_edits(self) -> None:
        """Make edits of what hooks have assigned to the entity: they belong to the statement, not to a flush.

        Raises:
            PhaseError: The session holds the stand-in of a row that is not inserted yet, or it was given links.
        """
        if self.held is None or self.event == "delete":
            return
        state: Any = instance_state(self.held)
        columns, row = self.facts.columns, instance_dict(self.held)
        for name in [name for name in state.committed_state if name in columns and name not in self.elsewhere]:
            self._edit(name, row.get(name))
            state.committed_state.pop(name)
        if state.key is None:
            if self.host.session._contains_state(state) or state.committed_state:
                raise PhaseError(
                    f"{self!r}: a hook has linked other objects to this row, or added it to the session, but a "
                    f"statement inserts it, and the session does not hold it yet. Use the foreign key "
                    f"(change.new[...] = ...), or do it in an `after` hook."
                )
        elif state.modified and not state.committed_state:
            state._commit_all(row, self.host.session.identity_map)

    def edits(self) -> dict[str, Any]:
        """What hooks have assigned, by name, where it is not what the statement would have written anyway."""
        row = self._new
        return {
            name: row[name]  # type: ignore[index]
            for name, before in (self.foreseen or {}).items()
            if not isinstance(before, (int, str, float, type(None))) or row[name] is not before  # type: ignore[index]
        }

    # -- stages

    def settle(self) -> None:
        """It is going to be checked: nothing can be edited any more."""
        self.stage = CHECKING

    def freeze(self, values: Mapping[str, Any] | None = None) -> None:
        """It was written: keep its values, and those that the database told.

        Args:
            values: By name.
        """
        row = self._new if self.unsettled or values else None
        if row is not None:
            for name in self.unsettled:
                row.pop(name, None)
            if self.unsettled and self.event == "update":
                self.changed = None
                self.touched = tuple(dict.fromkeys((*self.touched, *self.unsettled)))
            if values:
                row.update(values)
        self.stage = WRITTEN

    def unknown_names(self) -> list[str]:
        row = self._old if self.event == "delete" else self._new
        return [name for name in self.facts.names if name not in row]  # type: ignore[operator]

    def take_new(self, values: Mapping[str, Any]) -> None:
        row = self._old if self.event == "delete" else self._new
        row.update(values)  # type: ignore[union-attr]
        self._fields = self.changed = None

    def load_all(self) -> None:
        stage, self.stage = self.stage, LIVE
        for name in self.facts.names:
            if self._old is not None:
                self.read_old(name)
            if self._new is not None:
                self.read_new(name)
        self.stage = stage


class _Old(OldRow):
    """A row as it was: what was read is found without asking the change."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        change: Any = self._change
        try:
            return change._read[change._kind.places[name]]
        except KeyError:
            return change.read_old(name)


class _New(NewRow):
    """A row as it will be: likewise, as long as nobody has edited it."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        change: Any = self._change
        if change._new_values is None and not change.unsettled:
            try:
                return change._read[change._kind.new_places[name]]
            except KeyError:
                pass
        return change.read_new(name)
