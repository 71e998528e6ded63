"""A change of one row, read from the session's own bookkeeping."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import LoaderCallableStatus
from sqlalchemy.sql import ClauseElement

from hookline.core.change import NOTHING
from hookline.core.run import Unsettled
from hookline.sqlalchemy.facts import Facts, State, unloaded
from hookline.sqlalchemy.mapped import CHECKING, LIVE, WRITTEN, MappedChange

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

NO_VALUE: Final = LoaderCallableStatus.NO_VALUE
_ABSENT: Any = object()


class RowChange(MappedChange):
    """One row of the unit of work, inserted, updated or deleted.

    Attributes:
        announced: Whether `before` hooks have been told of it.
        synced: Foreign keys that the flush will copy from related rows: by name, the related state and its
            attribute, or None for NULL.
        earlier: Of a second write of the same row in one flush: the values before that write.
        switched: Whether SQLAlchemy turned a delete and this insert of the same key into one UPDATE.
        expressions: The names that an SQL expression is written to.
        elsewhere: What hooks of other rows have edited since, which is a write of its own: the values before that.
    """

    entity: Any = None  # plain attributes, not properties: they are read more often than anything else
    group: Any = None
    state: State
    announced = False
    switched = False
    expressions: frozenset[str] = frozenset()
    synced: Mapping[str, tuple[State, str] | None] = NOTHING
    earlier: dict[str, Any] | None = None
    elsewhere: Mapping[str, Any] = NOTHING
    checked: dict[str, Any] | None = None
    _loaded: dict[str, Any] | None = None
    _old: dict[str, Any] | None = None
    _new: dict[str, Any] | None = None
    _identity: Hashable = None

    def __init__(self, event: str, state: State, facts: Facts, host: SessionHost) -> None:
        self.event = event
        self.model = self.group = facts.model
        self.state = state
        self.facts = facts
        self.host = host
        assert host.tx is not None
        self.tx = host.tx
        self.entity = state.obj()

    # -- what hooks see

    @property
    def key_tuple(self) -> tuple[Any, ...] | None:
        """The primary key as a tuple; None if not known yet."""
        if self._new is not None and self.event != "delete":
            row = self._new
            return tuple([row.get(name) for name in self.facts.key_names])
        return self.facts.key_of(self.state)

    @property
    def identity(self) -> Hashable:
        known = self._identity
        if known is None:
            known = self.facts.root, self.key_tuple
            if self.stage == WRITTEN:
                self._identity = known
        return known

    @property
    def stored_key(self) -> tuple[Any, ...]:
        """The primary key that the row has in the database before this change; empty if there is none."""
        return self.state.key[1] if self.state.key is not None else ()

    @property
    def identity_before(self) -> Hashable:
        if self.event != "update" or self._old is None or not any(name in self._old for name in self.facts.key_names):
            return self.identity
        return self.facts.root, tuple(self.read_old(name) for name in self.facts.key_names)

    def known_old(self) -> Mapping[str, Any]:
        if self.event == "insert":
            return NOTHING
        if self._old is not None:
            return {name: value for name, value in self._old.items() if name in self.facts.columns}
        known = {} if self.event == "update" else {n: v for n, v in self.state.dict.items() if n in self.facts.columns}
        known.update(
            (name, value)
            for name, value in self.state.committed_state.items()
            if name in self.facts.columns and value is not NO_VALUE
        )
        if self._loaded:
            known.update(self._loaded)
        if self.earlier:
            known.update(self.earlier)
        return known

    def known_new(self) -> Mapping[str, Any]:
        if self.event == "delete":
            return NOTHING
        row = self.state.dict if self._new is None else self._new
        return {name: row[name] for name in self.facts.names if name in row}

    def kept(self, side: str) -> Mapping[str, Any]:
        row = self._old if side == "old" else self._new
        return NOTHING if row is None else row

    # -- reading

    def read_old(self, name: str) -> Any:
        """One old value, loaded if need be."""
        facts = self.facts
        if name not in facts.columns:
            return self.derived(name, self.old)
        if self._old is not None:  # written
            if name in self._old:
                return self._old[name]
            if self.event == "update":
                return self.read_new(name)
            return self._fetch(name)
        if self.earlier is not None:
            return self.earlier[name] if name in self.earlier else self.read_new(name)
        committed = self.state.committed_state.get(name, _ABSENT)
        if committed is not _ABSENT and committed is not NO_VALUE:
            return committed
        if self._loaded is not None and name in self._loaded:
            return self._loaded[name]
        if committed is _ABSENT and name in self.state.dict:
            return self.state.dict[name]
        self.preload((name,))
        return self._loaded[name]  # type: ignore[index]

    def read_new(self, name: str) -> Any:
        """One new value, loaded if need be."""
        if name not in self.facts.columns:
            return self._read_other(name)
        written = self._new
        if written is not None:
            if name in written:
                return written[name]
            return None if self._is_null(name) else self._fetch(name)
        if name in self.synced:
            return self._synced(name)
        row = self.state.dict
        value = row.get(name, _ABSENT)
        if self.stage == CHECKING and self._is_unsettled(name, value):
            raise Unsettled
        if value is not _ABSENT:
            return value
        if self.event == "insert" or self.state.key is None:
            return None
        if name in self.state.committed_state:  # deleted with `del entity.name`
            return None
        return getattr(self.entity, name)

    def _read_other(self, name: str) -> Any:
        """A new value that is not a column's own."""
        if self._new is not None or name not in self.facts.readable:
            return self.derived(name, self.new)
        if self.stage == CHECKING:
            for one in self.facts.aliases.get(name, ()):
                self.read_new(one)  # raises Unsettled if it must
        return getattr(self.entity, name)

    def _is_unsettled(self, name: str, value: Any) -> bool:
        if isinstance(value, ClauseElement):
            return True
        if self.event == "insert":
            return (value is None or value is _ABSENT) and name in self.facts.filled
        return name in self.facts.silent and name not in self.state.committed_state

    def _synced(self, name: str) -> Any:
        source = self.synced[name]
        if source is None:
            return None
        state, attribute = source
        value = state.dict.get(attribute)
        if value is None and state.key is not None:
            value = getattr(state.obj(), attribute)
        if value is None and self.stage == CHECKING:
            raise Unsettled
        return value

    def _fetch(self, name: str) -> Any:
        row = self.host.fetch(self, (name,))
        kept = self._old if self.event == "delete" else self._new
        assert kept is not None
        kept.update(row)
        return row.get(name)

    def preload(self, names: tuple[str, ...]) -> None:
        """Load old values that the session does not have."""
        self.take_loaded(self.host.fetch(self, names))
        for name in names:
            self._loaded.setdefault(name, None)  # type: ignore[union-attr]

    def take_loaded(self, values: Mapping[str, Any]) -> None:
        """Keep old values that were read from the database."""
        if self._loaded is None:
            self._loaded = {}
        self._loaded.update(values)

    def commit_loaded(self, values: Mapping[str, Any]) -> None:
        """Tell SQLAlchemy too what an attribute was that it had not loaded: an equal value then writes nothing."""
        committed, row = self.state.committed_state, self.state.dict
        for name, value in values.items():
            if committed.get(name) is NO_VALUE:
                committed[name] = value
            elif name in self.synced and name not in row:
                set_committed_value(self.entity, name, value)

    def keep_expressions(self) -> None:
        """Of an update: keep the old values of what SQL expressions are written to, which SQLAlchemy forgets then."""
        row, columns = self.state.dict, self.facts.columns
        for name in self.state.committed_state:
            if isinstance(row.get(name), ClauseElement) and name in columns:
                self.expressions |= {name}
                self.take_loaded({name: self.read_old(name)})

    def distrust(self, names: Iterable[str]) -> None:
        """Read these values back: of many rows in one statement, SQLAlchemy takes those of the first for all."""
        self.expressions |= {name for name in names if name not in self.state.committed_state}

    def unknown_names(self) -> list[str]:
        """The names whose values after the write are not at hand."""
        row = self._new if self.event != "delete" else self._old
        if row is None or row.keys() >= self.facts.columns.keys():
            return []
        return [name for name in self.facts.names if name not in row and not self._is_null(name)]

    def load_all(self) -> None:
        """Load the whole row, old and new, before it is written."""
        stage, self.stage = self.stage, LIVE  # what is not settled yet is loaded as it is now
        for name in unloaded(self.state, self.facts.names):
            self.read_old(name)
            if self.event == "update":
                self.read_new(name)
        self.stage = stage

    def _is_null(self, name: str) -> bool:
        """Of a row that was inserted and a name that SQLAlchemy has no value for: whether nobody gave one."""
        return (
            self.event == "insert"
            and not self.switched
            and name not in self.facts.filled
            and name not in self.expressions
        )

    def _differing(self) -> Iterator[str]:
        columns, stage = self.facts.columns, self.stage
        if stage != CHECKING and not (self.synced or self.earlier or self.elsewhere):
            before, row = self.state.committed_state, self.state.dict
            if stage == WRITTEN:
                before, row = self._old or {}, self._new or {}
            equal = self.facts.equal
            for name, old in before.items():
                if name in columns:
                    new = row.get(name, NO_VALUE)
                    if new is NO_VALUE or old is NO_VALUE or isinstance(new, ClauseElement):
                        if not self._unchanged(name):
                            yield name
                    elif new is not old and not equal[name](old, new):
                        yield name
            return
        if self._old is not None:
            touched: Iterator[str] = iter(self._old)
        elif self.earlier is not None:
            touched = iter(self.earlier)
        else:
            touched = iter({**self.state.committed_state, **self.synced})
        for name in touched:
            if name in columns and not self._unchanged(name):
                yield name

    @property
    def is_change(self) -> bool:
        """Whether it writes anything: what `fields` tells, without finding all of them."""
        if self.event != "update":
            return True
        if self._fields is not None:
            return bool(self._fields)
        return next(self._differing(), None) is not None

    def _unchanged(self, name: str) -> bool:
        stage = self.stage
        if stage == CHECKING:  # an unsettled value differs for all that is known
            self.stage = LIVE
        try:
            if name in self.elsewhere:
                before = self.elsewhere[name]
                return before is NO_VALUE or self.same(name, self.read_old(name), before)
            if self.synced.get(name) is not None and self._old is None and self._synced(name) is None:
                return False
            return self.same(name, self.read_old(name), self.read_new(name))
        finally:
            self.stage = stage

    # -- editing

    def write(self, name: str, value: Any) -> None:
        """Assign one new value."""
        self.check_editable(name)
        if name in self.synced:
            self.host.relink(self, name, value)
        else:
            setattr(self.entity, name, value)

    def drop(self, name: str) -> None:
        """Drop the edit of one field: it keeps its old value, or none."""
        self.check_editable(name)
        if self.event == "update":
            setattr(self.entity, name, self.read_old(name))
        else:
            self.state.dict.pop(name, None)
            self.state.committed_state.pop(name, None)

    # -- stages

    def freeze(self) -> None:
        """It was written: keep its values."""
        state, columns = self.state, self.facts.columns
        if self.event != "insert":
            old = dict(state.dict) if self.event == "delete" else {}
            if self._loaded:
                old.update(self._loaded)
            for name, value in state.committed_state.items():
                if value is not NO_VALUE and name in columns:
                    old[name] = value
            self._old = old
        elif state.expired_attributes:  # computed by the database, and not returned
            self.expressions = frozenset(state.expired_attributes)
        if self.event != "delete":
            self._new = state.dict.copy()
            for name in self.expressions:
                self._new.pop(name, None)
        for name in self.facts.mutable:
            for row in (self._old, self._new):
                if row is not None and row.get(name) is not None:
                    row[name] = deepcopy(row[name])
        self.stage = WRITTEN

    def missing(self) -> list[str]:
        """Of an update that was written: the names that may differ, and whose new value the session does not have."""
        return [name for name in self._old or () if name in self.facts.columns and name not in self._new]  # type: ignore[operator]

    def take_new(self, values: Mapping[str, Any]) -> None:
        """Keep new values that were read from the database."""
        row = self._new if self.event != "delete" else self._old
        row.update(values)  # type: ignore[union-attr]
        self._fields = self._identity = None
        held = self.state.dict
        for name in self.expressions:
            if name in values and name in held:  # one that SQLAlchemy took from another row: see `distrust`
                held[name] = values[name]


class EndedRowChange(RowChange):
    """A change whose transaction is over: its entity is the one that the session in use knows."""

    @property
    def entity(self) -> Any:
        """The object, loaded by key; a deleted one as it was."""
        return self.host.entity_of(self, self.__dict__["entity"])
