"""One thing that happened to one row."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from hookline.core.control import Control
    from hookline.core.hook import Hook
    from hookline.core.transaction import Transaction

E = TypeVar("E")

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The row before it was inserted, and after it was deleted."""


class Change(Generic[E]):
    """One row inserted, updated or deleted: what, old values, new values, cause.

    This class is what hooks see; an adapter brings the subclass that reads its library's rows.

    Attributes:
        event: ``"insert"``, ``"update"`` or ``"delete"``.
        model: The class of the entity.
        cause: The hook whose write this is; None for the user's own.
        parent: The change that the causing hook was running on.
        depth: How many causes are behind it; 0 for the user's own.
        tx: The transaction; there is none in `Hooks.explain`.
        door: The way the write came in.
    """

    door: str = "unit of work"
    event: str
    model: type[E]
    cause: Hook | None
    parent: Change[Any] | None
    depth: int
    tx: Transaction
    control: Control | None

    @property
    def entity(self) -> E:
        """The object whose row this is."""
        raise NotImplementedError

    @property
    def group(self) -> Any:
        """What hooks are looked up by: the model of a row, the relation of a link."""
        return self.model

    @property
    def key(self) -> Any:
        """The primary key: a value, or a tuple if it has several columns; None if not known yet."""
        raise NotImplementedError

    @property
    def old(self) -> Mapping[str, Any]:
        """The whole row as it was, by attribute name; empty for an insert."""
        raise NotImplementedError

    @property
    def new(self) -> Any:
        """The whole row as it will be or is, by attribute name; assignable in ``before``; empty for a delete."""
        raise NotImplementedError

    @property
    def fields(self) -> frozenset[str]:
        """The names whose values differ. Of an insert or a delete: those that are not None."""
        raise NotImplementedError

    @property
    def identity(self) -> Hashable:
        """What tells this row from all others, for folding net changes."""
        return self.model, self.key

    @property
    def identity_before(self) -> Hashable:
        """The same before this change, for rows whose key changes."""
        return self.identity

    def caused_by(self, origin: tuple[Hook | None, Change[Any] | None]) -> None:
        """Say whose write it is.

        Args:
            origin: The hook that was running, and the change that it was running on.
        """
        self.cause, self.parent = origin
        if self.parent is not None:
            self.depth = self.parent.depth + 1
        elif self.cause is not None:
            self.depth = 1

    @property
    def about(self) -> Hashable:
        """The identity of the row that it is about."""
        return self.identity

    @property
    def offers(self) -> Mapping[str, Any]:
        """What hooks may ask it for by name, besides what every change has."""
        return NOTHING

    def differs(self, name: str) -> bool:
        """Whether a value differs, also for names that stand for several columns."""
        return name in self.fields

    def same(self, name: str, first: Any, second: Any) -> bool:
        """Whether two values of a field are equal, by the field's own idea of equality."""
        return bool(first == second)

    def known_old(self) -> Mapping[str, Any]:
        """The old values that are at hand without asking the database."""
        return self.old

    def known_new(self) -> Mapping[str, Any]:
        """The new values that are at hand without asking the database."""
        return self.new  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.event} {self.model.__name__} {self.key!r}>"

    def describe(self) -> str:
        """The change in one line, with the names and values that differ."""
        old, new = self.known_old(), self.known_new()
        if self.event == "update":
            values = [f"{name}: {old.get(name, '?')!r} -> {new.get(name, '?')!r}" for name in sorted(self.fields)]
        else:
            row = new if self.event == "insert" else old
            values = [f"{name}={value!r}" for name, value in row.items() if value is not None]
        return f"{self.event} {self.model.__name__} {self.key!r} ({', '.join(values[:8])})"


class ValueChange(Change[E]):
    """A change that holds its values itself: for questions, for tests, for simple adapters.

    Attributes:
        row: Its identity, which an adapter may have its own idea of.

    Example:
        >>> change = ValueChange("update", dict, key=1, old={"age": 4}, new={"age": 5})
        >>> sorted(change.fields)
        ['age']
    """

    def __init__(
        self,
        event: str,
        model: type[E],
        *,
        key: Any = None,
        entity: E | None = None,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        door: str = "unit of work",
        tx: Transaction | None = None,
        cause: Hook | None = None,
        parent: Change[Any] | None = None,
        depth: int = 0,
    ) -> None:
        self.event, self.model, self.door = event, model, door
        if tx is not None:
            self.tx = tx
        self.cause, self.parent, self.depth, self.control = cause, parent, depth, None
        self._key, self._entity = key, entity
        self.row: Hashable = (model, key)
        self._old: Mapping[str, Any] = NOTHING if event == "insert" or old is None else old
        self._new: Mapping[str, Any] = NOTHING if event == "delete" or new is None else new

    @property
    def entity(self) -> E:
        return self._entity  # type: ignore[return-value]

    @property
    def key(self) -> Any:
        return self._key

    @property
    def old(self) -> Mapping[str, Any]:
        return self._old

    @property
    def new(self) -> Any:
        return self._new

    @property
    def identity(self) -> Hashable:
        return self.row

    @property
    def fields(self) -> frozenset[str]:
        return fields_that_differ(self)


def fields_that_differ(change: Change[Any]) -> frozenset[str]:
    """The names whose values differ between a change's whole rows."""
    if change.event == "update":
        old, new = change.old, change.new
        return frozenset(name for name in new if name in old and not change.same(name, old[name], new[name]))
    row = change.new if change.event == "insert" else change.old
    return frozenset(name for name, value in row.items() if value is not None)


def chain(change: Change[Any]) -> Iterator[Change[Any]]:
    """A change, then its parent, up to the user's own write."""
    link: Change[Any] | None = change
    while link is not None:
        yield link
        link = link.parent
