"""The transaction in plain Python: what every step did, and what a rolled-back savepoint takes away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hookline import Change, LinkChange

from .snapshot import (
    FOREIGN_KEYS,
    RELATIONS,
    SHAPES,
    Difference,
    Pair,
    Relation,
    RelationName,
    Row,
    RowKey,
    Snapshot,
    differences,
    row_key,
)

COMPOSITES = {"address"}


def whole(model: type, row: Any) -> Row:
    """A change's row, copied; it must have every column of its model, and nothing else."""
    if not row:
        return {}
    values = dict(row)
    names = SHAPES[model].names
    assert names <= set(values) <= names | COMPOSITES, f"{model.__name__}: {sorted(set(values) ^ names)}"
    return {name: dict(values[name]) if isinstance(values[name], dict) else values[name] for name in names}


def keys(change: Change[Any]) -> tuple[RowKey | None, RowKey | None]:
    """The row's key before and after."""
    shape = SHAPES[change.model]
    old = row_key(shape, change.old) if change.old else None
    new = row_key(shape, change.new) if change.new else None
    return old, new


def family_of(change: LinkChange) -> tuple[str, bool]:
    """Which column or table holds the link, and whether the change names it from the other end."""
    for model in change.model.__mro__:
        if (model, change.relation) in RELATIONS:
            relation = RELATIONS[model, change.relation]
            return relation.family, relation.turned
    # A relation without an attribute on this side is named by its foreign key column.
    for family, many, column in FOREIGN_KEYS:
        if issubclass(change.model, many) and column == change.relation:
            return family, False
    raise AssertionError(f"{change!r} names {change.relation!r}, which {change.model.__name__} does not have")


def as_differences(changes: list[Change[Any]]) -> list[Difference]:
    """Row changes in a form that compares. A changed key is the old row gone and a new one there."""
    found: list[Difference] = []
    for change in changes:
        old, new = keys(change)
        before, after = whole(change.model, change.old), whole(change.model, change.new)
        if change.event == "update":
            differing = {name for name in before if before[name] != after[name]}
            assert set(change.fields) - COMPOSITES == differing, (change, change.fields, differing)
        if old is not None and new is not None and old != new:
            found.append(Difference.of("delete", *old, before, {}))
            found.append(Difference.of("insert", *new, {}, after))
        else:
            key = new or old
            assert key is not None and change.key == key[1], (change, change.key, key)
            found.append(Difference.of(change.event, change.model, change.key, before, after))
    return sorted(found)


def as_net_differences(changes: list[Change[Any]]) -> list[Difference]:
    """Net changes of rows in the same form: a key that one row has left another may have taken."""
    old: dict[RowKey, Row] = {}
    new: dict[RowKey, Row] = {}
    for change in changes:
        as_differences([change])  # holds its fields and keys against its rows
        before, after = keys(change)
        if before is not None:
            old[before] = whole(change.model, change.old)
        if after is not None:
            new[after] = whole(change.model, change.new)
    return differences(old, new)


def renamed(pairs: Iterable[Pair], relation: Relation, model: type, old: Any, new: Any) -> set[Pair]:
    """The links of a relation after a row of the model got another key, which is no link or unlink."""
    subject = issubclass(model, relation.model)
    target = issubclass(model, relation.target)
    return {(new if subject and a == old else a, new if target and b == old else b) for a, b in pairs}


@dataclass
class Page:
    """Where the transaction stands: rows, links by relation attribute, and the steps that led here."""

    rows: dict[RowKey, Row] = field(default_factory=dict)
    links: dict[RelationName, set[Pair]] = field(default_factory=dict)
    steps: list[Difference] = field(default_factory=list)
    renamed: list[tuple[type, Any, Any]] = field(default_factory=list)

    def copy(self) -> Page:
        links = {name: set(pairs) for name, pairs in self.links.items()}
        return Page(dict(self.rows), links, list(self.steps), list(self.renamed))

    def with_new_keys(self, relation: Relation, pair: Pair) -> Pair:
        """An unlink may name its ends by the keys that they had when they were linked."""
        for model, old, new in self.renamed:
            (pair,) = renamed([pair], relation, model, old, new)
        return pair


class Ledger:
    """Follows the `after` hooks: each change must begin where the one before it ended."""

    def __init__(self) -> None:
        self.page = Page()
        self._savepoints: list[Page] = []

    def open(self, snapshot: Snapshot) -> None:
        """A transaction begins on what the snapshot shows."""
        links = {name: set(snapshot.pairs(relation)) for name, relation in RELATIONS.items()}
        self.page = Page(dict(snapshot.rows), links)
        self._savepoints = []

    def savepoint(self) -> None:
        self._savepoints.append(self.page.copy())

    def release(self) -> None:
        self._savepoints.pop()

    def rollback(self) -> None:
        """Back to the innermost savepoint, which is gone afterwards."""
        self.page = self._savepoints.pop()

    def row(self, change: Change[Any]) -> None:
        """One `after` call about a row."""
        old, new = keys(change)
        before, after = whole(change.model, change.old), whole(change.model, change.new)
        assert (change.event == "insert") == (old is None), f"{change!r} has old values {before}"
        assert (change.event == "delete") == (new is None), f"{change!r} has new values {after}"
        assert before != after, f"{change!r} changes nothing"
        if old is not None:
            assert old in self.page.rows, f"{change!r}, but there is no such row"
            assert before == self.page.rows[old], f"{change!r}: old is {before}, the row was {self.page.rows[old]}"
            del self.page.rows[old]
        if new is not None:
            assert new not in self.page.rows, f"{change!r}, but there is such a row"
            self.page.rows[new] = after
        if old is not None and new is not None and old != new:
            self.page.renamed.append((change.model, old[1], new[1]))
            for name, relation in RELATIONS.items():
                self.page.links[name] = renamed(self.page.links[name], relation, change.model, old[1], new[1])
        self.page.steps += as_differences([change])

    def link(self, change: LinkChange, relation: Relation) -> None:
        """One `after` call about a link, as that relation attribute names it."""
        pairs, pair = self.page.links[relation.id], (change.subject_key, change.object_key)
        if change.event == "link":
            assert pair not in pairs, f"{change!r}, but they were linked"
            pairs.add(pair)
        else:
            if pair not in pairs:
                pair = self.page.with_new_keys(relation, pair)
            assert pair in pairs, f"{change!r}, but they were not linked"
            pairs.remove(pair)
