"""A change of one row of a mapped class, whichever door it came through."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql import ClauseElement

from hookline.core.change import NOTHING, Change
from hookline.errors import ReadOnlyError, UnknownFieldError

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.sqlalchemy.facts import Facts, State
    from hookline.sqlalchemy.host import SessionHost

LIVE, CHECKING, WRITTEN = 0, 1, 2


class MappedChange(Change[Any]):
    """What changes of mapped rows have in common; a door brings the subclass that knows where its values are.

    It goes through three stages. While it is LIVE, ``before`` hooks read and edit it. While it is CHECKING, it
    cannot be edited, and reading what only the write will tell raises `Unsettled`. Once it is WRITTEN, it
    keeps its values whatever happens to the row.

    Attributes:
        facts: What is known of its class.
        host: The session it belongs to.
        stage: One of the three.
        state: SQLAlchemy's record of the object; None if the change was not made through one.
        followed: Whether row hooks concern it; else it is there for the sake of its links.
    """

    facts: Facts
    host: SessionHost
    state: State | None
    cause: Hook | None = None  # class attributes, because most changes have no other value
    parent: Change[Any] | None = None
    depth: int = 0
    control: Any = None
    stage: int = LIVE
    followed: bool = True
    _fields: frozenset[str] | None = None
    _old_row: Mapping[str, Any] | None = None
    _new_row: Mapping[str, Any] | None = None

    # -- what a door brings

    @property
    def key_tuple(self) -> tuple[Any, ...] | None:
        """The primary key as a tuple; None if not known yet."""
        raise NotImplementedError

    @property
    def stored_key(self) -> tuple[Any, ...]:
        """The primary key that the row has in the database before this change; empty if there is none."""
        raise NotImplementedError

    @property
    def at_hand(self) -> Any:
        """Its entity, without asking the database: a statement may just have failed there."""
        return self.entity

    @property
    def is_change(self) -> bool:
        """Whether it writes anything: what `fields` tells, without finding all of them."""
        raise NotImplementedError

    def _differing(self) -> Iterator[str]:
        raise NotImplementedError

    def read_old(self, name: str) -> Any:
        """One old value, loaded if need be."""
        raise NotImplementedError

    def read_new(self, name: str) -> Any:
        """One new value, loaded if need be."""
        raise NotImplementedError

    def write(self, name: str, value: Any) -> None:
        """Assign one new value."""
        raise NotImplementedError

    def drop(self, name: str) -> None:
        """Drop the edit of one field."""
        raise NotImplementedError

    def unknown_names(self) -> list[str]:
        """The names whose values after the write are not at hand."""
        raise NotImplementedError

    def kept(self, side: str) -> Mapping[str, Any]:
        """What is at hand of the ``"old"`` row or the ``"new"`` one after the write; other things may be beside it."""
        return self.known_old() if side == "old" else self.known_new()

    def take_new(self, values: Mapping[str, Any]) -> None:
        """Keep new values that were read from the database."""
        raise NotImplementedError

    def load_all(self) -> None:
        """Load the whole row, old and new, before it is written."""
        raise NotImplementedError

    # -- what hooks see

    @property
    def key(self) -> Any:
        values = self.key_tuple
        return values[0] if values is not None and len(values) == 1 else values

    @property
    def old(self) -> Mapping[str, Any]:
        row = self._old_row
        if row is None:
            row = self._old_row = NOTHING if self.event == "insert" else OldRow(self)
        return row

    @property
    def new(self) -> Any:
        row = self._new_row
        if row is None:
            row = self._new_row = NOTHING if self.event == "delete" else NewRow(self)
        return row

    @property
    def fields(self) -> frozenset[str]:
        if self._fields is not None:
            return self._fields
        if self.event == "update":
            fields = frozenset(self._differing())
        else:
            row = self.known_new() if self.event == "insert" else self.known_old()
            fields = frozenset(name for name, value in row.items() if value is not None)
        if self.stage == WRITTEN:
            self._fields = fields
        return fields

    @property
    def identity(self) -> Hashable:
        return self.facts.root, self.key_tuple

    def same(self, name: str, first: Any, second: Any) -> bool:
        if isinstance(first, ClauseElement) or isinstance(second, ClauseElement):
            return first is second
        equal = self.facts.equal.get(name)
        return bool(first == second if equal is None else equal(first, second))

    def differs(self, name: str) -> bool:
        facts = self.facts
        if name in facts.columns:
            if self.event == "update":
                return name in self.fields
            row: Mapping[str, Any] = self.new if self.event == "insert" else self.old
            return row[name] is not None
        if name in facts.aliases:
            return any(self.differs(one) for one in facts.aliases[name])
        if self.event == "update":
            return not self.same(name, self.old[name], self.new[name])
        return bool((self.new if self.event == "insert" else self.old)[name] is not None)

    def derived(self, name: str, row: Mapping[str, Any]) -> Any:
        """A composite, a synonym or a hybrid, from the values of a row."""
        facts = self.facts
        if name in facts.composites:
            values = [row[one] for one in facts.aliases[name]]
            return facts.composites[name].composite_class(*values)
        if name in facts.hybrids:
            return facts.hybrids[name].fget(_AsObject(self.model, row))
        aliases = facts.aliases.get(name, ())
        if len(aliases) == 1 and name in facts.mapper.synonyms:
            return row[aliases[0]]
        if name in facts.readable:
            raise KeyError(
                f"{name!r} is not kept after the write; read {' and '.join(map(repr, aliases)) or 'its columns'}."
            )
        raise KeyError(facts.unknown(name))

    def check_editable(self, name: str) -> None:
        """Refuse an edit that comes too late, or of a field that is not there."""
        if self.stage != LIVE:
            raise ReadOnlyError(
                f"new[{name!r}] of {self!r} cannot be assigned any more: its values are settled. "
                f"Edit it in a `before` hook, or write to the entity in an `after` hook."
            )
        if name not in self.facts.readable:
            raise UnknownFieldError(self.facts.unknown(name))


class _Row(Mapping[str, Any]):
    """The names of a row; the two below read its values."""

    __slots__ = ("_change",)

    def __init__(self, change: MappedChange) -> None:
        self._change = change

    def __contains__(self, name: object) -> bool:
        return name in self._change.facts.readable

    def __iter__(self) -> Iterator[str]:
        return iter(self._change.facts.names)

    def __len__(self) -> int:
        return len(self._change.facts.names)


class OldRow(_Row):
    """A whole row as it was."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        return self._change.read_old(name)

    def __setitem__(self, name: str, value: Any) -> None:
        raise ReadOnlyError(f"old[{name!r}] of {self._change!r} is history: assign to `change.new` in a `before` hook.")

    def __repr__(self) -> str:
        return repr(dict(self._change.known_old()))


class NewRow(_Row, MutableMapping[str, Any]):
    """A whole row as it will be or is; assigning edits the write."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        return self._change.read_new(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._change.write(name, value)

    def __delitem__(self, name: str) -> None:
        self._change.drop(name)

    def __repr__(self) -> str:
        return repr(dict(self._change.known_new()))


class _AsObject:
    """A row that looks like the entity, for hybrids of old rows."""

    def __init__(self, model: type, row: Mapping[str, Any]) -> None:
        self.__dict__.update(_model=model, _row=row)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._row[name]
        except KeyError:
            raise AttributeError(f"{self._model.__name__} has no {name!r} in its row") from None
