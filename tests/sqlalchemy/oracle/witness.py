"""Hooks that write down what they are told, and the comparison with what the database shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from hookline import Change, Hooks, LinkChange, Transaction

from .ledger import Ledger, as_differences, as_net_differences, family_of, keys, renamed
from .shapes import Shape
from .snapshot import RELATIONS, Difference, Pair, Relation, RelationName, Snapshot, differences, link_differences

Ends = tuple[str, Any, Any]

LAST = 1_000_000
"""After every hook that edits."""


class Witness:
    """What the hooks of a rule book were told in one transaction.

    Args:
        counts: What the run has seen so far, for its report.
        in_order: Whether `after` hooks are told of everything as it happens; what is captured they are told of late.
    """

    def __init__(self, counts: Counter[str], *, in_order: bool = True) -> None:
        self.counts, self.in_order = counts, in_order
        self.ledger = Ledger()
        self.errors: list[BaseException] = []
        self.rows: list[Change[Any]] = []
        self.links: list[LinkChange] = []
        self.steps: list[Change[Any]] = []
        self.links_by_relation: dict[RelationName, list[LinkChange]] = {name: [] for name in RELATIONS}

    def listen(self, hooks: Hooks, shape: Shape) -> None:
        """Add the hooks that tell it everything: of all models, and of each relation by each of its names."""
        quiet = shape.quiet
        hooks.on_error = lambda error, change, hook: self.errors.append(error)
        if self.in_order:
            hooks.add(quiet(self.ledger.row), "after", "write", name="follow rows", order=LAST)
            hooks.add(self.compare_with_tx, "before_commit", "write", order=LAST)
        hooks.add(quiet(self.rows.append), "after_commit", "write", name="rows")
        hooks.add(quiet(self.steps.append), "after_commit", "write", name="steps", net=False)
        for event in ("link", "unlink"):
            hooks.add(quiet(self.links.append), "after_commit", event, name=f"{event} of any")
        for (model, attribute), relation in RELATIONS.items():
            target, name = getattr(model, attribute), f"{model.__name__}.{attribute}"

            def follow(change: LinkChange, relation: Any = relation) -> None:
                self.ledger.link(change, relation)

            keep = self.links_by_relation[model, attribute].append
            for event in ("unlink", "link"):  # hooks go in the order in which they are added
                if self.in_order:
                    hooks.add(quiet(follow), "after", event, target, name=f"follow {event} {name}", order=LAST)
                hooks.add(quiet(keep), "after_commit", event, target, name=f"{event} {name}")

    def watch(self, hooks: Hooks, shape: Shape) -> None:
        """Add hooks that look at everything in every phase, and compare nothing."""

        def look(change: Change[Any]) -> None:
            dict(change.old), dict(change.new), change.fields

        for phase in ("before", "check", "after", "before_commit", "after_commit", "after_rollback"):
            for event in ("write", "link", "unlink"):
                hooks.add(shape.quiet(look), phase, event, name=f"{phase} {event}")

    def compare_with_tx(self, changes: list[Change[Any]], tx: Transaction) -> None:
        """What `tx.changes()` says before the commit is what the ledger says."""
        rows = [change for change in tx.changes() if not isinstance(change, LinkChange)]
        same("tx.changes()", as_net_differences(rows), differences(self.before.rows, self.ledger.page.rows))

    def open(self, snapshot: Snapshot) -> None:
        """A transaction begins on what the snapshot shows."""
        self.before = snapshot
        self.ledger.open(snapshot)

    def close(self, after: Snapshot, *, committed: bool) -> None:
        """Hold what was told against what the database shows."""
        self.counts["transactions"] += 1
        assert self.errors == [], self.errors
        if committed:
            self._close_committed(after)
        else:
            assert after == self.before, "a rolled-back transaction left something behind"
            told = [*self.rows, *self.links, *self.steps, *chain(*self.links_by_relation.values())]
            assert told == [], "a rolled-back transaction was reported"
        for kept in (self.rows, self.links, self.steps, *self.links_by_relation.values()):
            kept.clear()

    def _close_committed(self, after: Snapshot) -> None:
        self.counts["committed"] += 1
        net = differences(self.before.rows, after.rows)
        self.counts["net changes"] += len(net)
        same("net rows", as_net_differences(self.rows), net)
        if self.in_order:
            same("rows by `after`", self.ledger.page.rows, after.rows)
            steps = [step for change in self.steps for step in as_differences([change])]
            same("steps (net=False)", _row_by_row(steps), _row_by_row(self.ledger.page.steps))
        else:
            moved = ((change.model, *keys(change)) for change in self.steps)
            self.ledger.page.renamed = [
                (m, old[1], new[1]) for m, old, new in moved if old is not None and new is not None and old != new
            ]
        found: set[tuple[Any, ...]] = set()
        self._expected: dict[RelationName, list[Ends]] = {}
        for name, relation in RELATIONS.items():
            was, now = set(self.before.pairs(relation)), after.pairs(relation)
            for model, old, new in self.ledger.page.renamed:
                was = renamed(was, relation, model, old, new)
            self._expected[name] = expected = link_differences(was, now)
            label = f"{relation.model.__name__}.{relation.name}"
            if self.in_order:
                same(f"links {label} by `after`", self.ledger.page.links[name], set(now))
            same(
                f"net links {label}",
                sorted(self._as_linked(relation, _ends(self.links_by_relation[name]), expected)),
                expected,
            )
            found.update((event, relation.family, *_in_order(relation.turned, *pair)) for event, *pair in expected)
        self.counts["net links"] += len(found)
        told = [
            (event, relation.family, *_in_order(relation.turned, *pair))
            for change in self.links
            for relation, ends in [_seen_from_an_attribute(change)]
            for event, *pair in self._as_linked(relation, [ends], self._expected[relation.id])
        ]
        same("net links of all relations", sorted(told), sorted(found))

    def _as_linked(self, relation: Relation, told: list[Ends], expected: list[Ends]) -> Iterator[Ends]:
        """What was told; an unlink by old keys, which may be gone, by the new ones."""
        for ends in told:
            event, *pair = ends
            if ends in expected or event == "link":
                yield ends
            else:
                yield (event, *self.ledger.page.with_new_keys(relation, (pair[0], pair[1])))


def same(what: str, reported: Any, expected: Any) -> None:
    if reported == expected:
        return
    lines = [f"{what} differ from what the database shows:"]
    if isinstance(reported, dict):
        reported, expected = list(reported.items()), list(expected.items())
    lines += [f"  reported, but not so: {item}" for item in reported if item not in expected]
    lines += [f"  not reported: {item}" for item in expected if item not in reported]
    lines += [f"  reported: {list(reported)}", f"  expected: {list(expected)}"]
    raise AssertionError("\n".join(lines))


def _row_by_row(steps: Sequence[Difference]) -> list[Difference]:
    """In turn for each row; the turn of different rows is nobody's promise."""
    return sorted(steps, key=lambda step: (step.model, step.key))


def _ends(changes: Sequence[LinkChange]) -> list[Ends]:
    return sorted((change.event, change.subject_key, change.object_key) for change in changes)


def _seen_from_an_attribute(change: LinkChange) -> tuple[Relation, Ends]:
    """A relation attribute that names the link, and the link as it names it."""
    family, turned = family_of(change)
    relation = next(relation for relation in RELATIONS.values() if relation.family == family)
    pair = _in_order(turned != relation.turned, change.subject_key, change.object_key)
    return relation, (change.event, *pair)


def _in_order(turned: bool, subject: Any, target: Any) -> Pair:
    return (target, subject) if turned else (subject, target)
