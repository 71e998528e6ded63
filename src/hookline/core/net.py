"""What a transaction did to a row in the end: its first old value and its last new value."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, cast

from hookline.core.change import NOTHING, Change, E
from hookline.core.link import LinkChange


class NetChange(Change[E]):
    """Several changes of one row, folded into one.

    insert + update = insert; insert + delete = nothing; update + delete = delete; delete + insert = update;
    there and back = nothing. Links likewise.

    Attributes:
        steps: The changes, in order.
    """

    def __init__(self, event: str, steps: tuple[Change[E], ...]) -> None:
        first, last = steps[0], steps[-1]
        self.event, self.steps = event, steps
        self.model, self.tx, self.door = last.model, last.tx, first.door
        self.cause, self.depth, self.parent, self.control = first.cause, first.depth, last.parent, None
        self._old: Mapping[str, Any] = NOTHING if event == "insert" else _Folded(steps, "old")
        self._new: Mapping[str, Any] = NOTHING if event == "delete" else _Folded(steps, "new")
        self._fields: frozenset[str] | None = None

    @property
    def entity(self) -> E:
        return self.steps[-1].entity

    @property
    def key(self) -> Any:
        if self.event != "delete":
            return self.steps[-1].key
        known: Any = self.identity_before  # the key that the row was known by when the transaction began
        key = known[1]
        return key[0] if isinstance(key, tuple) and len(key) == 1 else key

    @property
    def old(self) -> Mapping[str, Any]:
        return self._old

    @property
    def new(self) -> Any:
        return self._new

    @property
    def identity(self) -> Hashable:
        return self.steps[-1].identity

    @property
    def identity_before(self) -> Hashable:
        return self.steps[0].identity_before

    def same(self, name: str, first: Any, second: Any) -> bool:
        return self.steps[-1].same(name, first, second)

    def differs(self, name: str) -> bool:
        if name in self.fields:
            return True
        if self.event == "update" and any(step.differs(name) for step in self.steps):
            return not self.same(name, self.old[name], self.new[name])  # a name for several columns
        return self.event != "update" and self.steps[-1].differs(name)

    @property
    def fields(self) -> frozenset[str]:
        if self._fields is None:
            if self.event == "update":
                old, new = self.old, self.new
                touched = (
                    frozenset().union(*(step.fields for step in self.steps))
                    if all(step.event == "update" for step in self.steps)
                    else frozenset(old) & frozenset(new)
                )
                self._fields = frozenset(n for n in touched if not self.same(n, old[n], new[n]))
            else:
                row = self.new if self.event == "insert" else self.old
                self._fields = frozenset(name for name, value in row.items() if value is not None)
        return self._fields

    def known_old(self) -> Mapping[str, Any]:
        return self._old

    def known_new(self) -> Mapping[str, Any]:
        return self._new


class _Folded(Mapping[str, Any]):
    """The old row of the first step, or the new row of the last: read without asking the database if any step knew."""

    __slots__ = ("_side", "_steps")

    def __init__(self, steps: tuple[Change[Any], ...], side: str) -> None:
        self._side = side
        self._steps = steps if side == "old" else steps[::-1]

    def __getitem__(self, name: str) -> Any:
        beginning = "insert" if self._side == "old" else "delete"
        for step in self._steps:
            if step.event == beginning and step is not self._steps[0]:
                break  # it is about another life of the row
            known = step.known_old() if self._side == "old" else step.known_new()
            if name in known:
                return known[name]
            other = step.known_new() if self._side == "old" else step.known_old()
            if name in other and name not in step.fields:
                return other[name]
            if step.event != "update" and step is not self._steps[0]:
                break  # the row ended, or began, here
        row = self._steps[0].old if self._side == "old" else self._steps[0].new
        return row[name]

    def __contains__(self, name: object) -> bool:
        return name in (self._steps[0].old if self._side == "old" else self._steps[0].new)

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps[0].old if self._side == "old" else self._steps[0].new)

    def __len__(self) -> int:
        return len(self._steps[0].old if self._side == "old" else self._steps[0].new)

    def __repr__(self) -> str:
        return repr(dict(self))


class Fold:
    """Folds changes as they come: a line of steps for each row, found by its identity."""

    def __init__(self) -> None:
        self._lines: list[list[Change[Any]]] = []
        self._at: dict[Hashable, list[Change[Any]]] = {}

    def add(self, changes: list[Change[Any]], unfollowed: Mapping[Hashable, Hashable] | None = None) -> None:
        """Fold in the changes of one flush.

        Args:
            changes: The changes.
            unfollowed: Moves of rows that are not among them.
        """
        moved: list[tuple[Hashable, list[Change[Any]]]] = []
        moves = dict(unfollowed or {})
        at = self._at
        rest = []
        for change in changes:
            after = change.identity
            before = change.identity_before if change.event == "update" else after  # nothing else moves a row
            if before == after:
                rest.append((after, change))
            else:  # keys may be swapped or taken over within a flush: take those that move out first
                moves[before] = after
                line = at.pop(before, None)
                if line is None:
                    line = []
                    self._lines.append(line)
                line.append(change)
                moved.append((after, line))
        late = []
        for after, change in rest:
            if moves and change.event == "link":  # it names its ends by their new keys already
                late.append((after, change))
            else:
                self._append(after, change)
        for after, line in moved:
            at[after] = line
        if moves:
            self._follow(moves)
        for after, change in late:
            self._append(after, change)

    def _append(self, identity: Hashable, change: Change[Any]) -> None:
        line = self._at.get(identity)
        if line is None:
            line = self._at[identity] = []
            self._lines.append(line)
        line.append(change)

    def _follow(self, moves: dict[Hashable, Hashable]) -> None:
        """Links stay with rows whose keys change."""
        at = self._at
        renamed: list[tuple[Hashable, list[Change[Any]]]] = []
        for identity, line in list(at.items()):
            if isinstance(line[0], LinkChange):
                kind, near, far = cast("tuple[Hashable, Hashable, Hashable]", identity)
                if near in moves or far in moves:
                    del at[identity]
                    line[:] = [cast("LinkChange", s).moved(moves) if s.event == "link" else s for s in line]
                    renamed.append(((kind, moves.get(near, near), moves.get(far, far)), line))
        for identity, line in renamed:
            other = at.get(identity)
            if other is None:
                at[identity] = line
            else:
                other.extend(line)
                line.clear()

    def one(self, identity: Hashable) -> Change[Any] | None:
        """The net change of one row; None if there is none."""
        line = self._at.get(identity)
        return _net(line) if line else None

    def all(self) -> list[Change[Any]]:
        """All net changes, in the order in which the rows were first touched."""
        return [net for line in self._lines if line and (net := _net(line)) is not None]


def _net(line: list[Change[Any]]) -> Change[Any] | None:
    first, last = line[0], line[-1]
    if len(line) == 1:
        return first
    if first.event in ("link", "unlink"):
        return first if first.event == last.event else None
    was, is_ = first.event != "insert", last.event != "delete"
    if not was and not is_:
        return None
    net: NetChange[Any] = NetChange("update" if was and is_ else "delete" if was else "insert", tuple(line))
    return net if net.event != "update" or net.fields else None


def same_content(first: Change[Any], second: Change[Any]) -> bool:
    """Whether two net changes of one row say the same."""
    if first is second:
        return True
    if first.event != second.event or first.fields != second.fields:
        return False
    row, other = (first.old, second.old) if first.event == "delete" else (first.new, second.new)
    return all(first.same(name, row[name], other[name]) for name in first.fields)
