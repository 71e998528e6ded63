"""Write down what hooks are called with, to assert on it in a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hookline import Change, Hooks, LinkChange

PHASES = ("before", "check", "after", "before_commit", "after_commit", "after_rollback")
_LINKS = ("link", "unlink")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """One change that one phase was called with, as it was at that moment.

    Attributes:
        phase: The phase, such as `"after_commit"`.
        event: `"insert"`, `"update"`, `"delete"`, `"link"` or `"unlink"`.
        model: The class of the row, or of the link's subject.
        key: The row's key (the value, or a tuple of several), None while it has none; None for a link.
        old: The row before, by attribute name. Empty for an insert and for a link.
        new: The row after, by attribute name. Empty for a delete and for a link.
        fields: The names whose values differ.
        door: The way the write came.
        cause: The name of the hook whose write it is, None if it is the user's.
        depth: How many hooks are in the chain of causes, 0 for the user's own write.
        relation: The relation's name, None for a row.
        subject_key: The key of the link's subject, None for a row.
        object_key: The key of the link's object, None for a row.
        together: How many changes came with the same call, this one included.
    """

    phase: str
    event: str
    model: type
    key: Any = None
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    fields: frozenset[str] = frozenset()
    door: str = ""
    cause: str | None = None
    depth: int = 0
    relation: str | None = None
    subject_key: Any = None
    object_key: Any = None
    together: int = 1

    @property
    def ends(self) -> Any:
        """The row's key; for a link, the keys of subject and object."""
        return self.key if self.relation is None else (self.subject_key, self.object_key)


def _call(phase: str, change: Change[Any] | LinkChange, together: int) -> Call:
    cause = None if change.cause is None else change.cause.name
    if isinstance(change, LinkChange):
        return Call(
            phase, change.event, change.model, door=change.door, cause=cause, depth=change.depth,
            relation=change.relation, subject_key=change.subject_key, object_key=change.object_key,
            together=together,
        )  # fmt: skip
    return Call(
        phase, change.event, change.model, change.key, dict(change.old), dict(change.new),
        frozenset(change.fields), change.door, cause, change.depth, together=together,
    )  # fmt: skip


def record(
    hooks: Hooks,
    phase: str,
    event: str,
    target: Any = None,
    *,
    into: list[Call] | None = None,
    **options: Any,
) -> list[Call]:
    """Add one hook to the rule book that writes down what it is called with.

    Args:
        hooks: The rule book.
        phase: The phase to listen in.
        event: The event or group of events.
        target: What to listen to: a model, a relation, several; None for all.
        into: The list to append to. A new one if None.
        **options: Options of the hook, such as `when=` or `order=`.

    Returns:
        The list, which grows as hooks run.
    """
    calls: list[Call] = [] if into is None else into

    # Set at a time, because that is how a recorder disturbs least; each change is one entry.
    # The entries are complete before the first is kept: a check that reads what is not known yet
    # is called again later.
    def recorder(changes: Sequence[Change[Any] | LinkChange]) -> None:
        seen = [_call(phase, change, len(changes)) for change in changes]
        calls.extend(seen)

    options.setdefault("name", f"recorder {next(_numbers)}")
    options.setdefault("order", 1_000_000)
    hooks.add(recorder, phase, event, target, **options)
    return calls


class Recorder(list[Call]):
    """The calls of all phases, in the order in which they came."""

    def of(self, phase: str | None = None, event: str | None = None, model: type | None = None) -> list[Call]:
        """The calls of that phase, event and model. None leaves it open.

        Args:
            phase: Such as `"after_commit"`.
            event: Such as `"insert"`. No groups.
            model: The class, or a base class of it.
        """
        return [
            call
            for call in self
            if (phase is None or call.phase == phase)
            and (event is None or call.event == event)
            and (model is None or issubclass(call.model, model))
        ]

    def said(self, phase: str) -> list[tuple[str, str, Any]]:
        """Event, model name and key of that phase's calls: short enough for an assertion."""
        return [(call.event, call.model.__name__, call.ends) for call in self.of(phase)]


@contextmanager
def recorder(
    hooks: Hooks, *targets: Any, links: Sequence[Any] = (), phases: Sequence[str] = PHASES
) -> Iterator[Recorder]:
    """Record what the hooks of a rule book are called with, while the block lasts.

    It adds hooks of its own and removes them again. They concern only what is named, so that a test
    sees no model as followed that is not.

    Args:
        hooks: The rule book that is attached.
        *targets: Models to follow. None given: all.
        links: Relations to follow as well, such as `Company.boss`.
        phases: The phases to listen in.

    Yields:
        The calls, growing.

    Example:
        ```python
        with recorder(hooks, Order) as calls:
            session.add(Order())
            session.commit()
        assert calls.said("after_commit") == [("insert", "Order", 1)]
        ```
    """
    calls = Recorder()
    names: list[str] = []

    def listen(phase: str, event: str, target: Any) -> None:
        name = f"recorder {next(_numbers)}"
        record(hooks, phase, event, target, into=calls, name=name)
        names.append(name)

    try:
        for phase in phases:
            listen(phase, "write", tuple(targets) or None)
            for relation in links:
                for event in _LINKS:
                    listen(phase, event, relation)
        yield calls
    finally:
        for name in names:
            hooks.remove(name)
