"""Hooks that differ only in the row that they are about: found by its key, not looked through."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from hookline.core.change import Change
from hookline.core.hook import Hook


class Family(Hook):
    """Hooks of one phase, target, order and category, each for single rows; it stands in the plan for all of them.

    However many there are, a change costs one look into a dict.

    Attributes:
        members: By the identity of a row, its hooks, in order.
    """

    members: Mapping[Hashable, tuple[Hook, ...]]

    @classmethod
    def of(cls, members: Mapping[Hashable, tuple[Hook, ...]]) -> Family:
        """The family of these hooks.

        Args:
            members: By the identity of a row, as `Change.identity` has it, its hooks; at least one.
        """
        first = next(iter(members.values()))[0]
        several = sum(map(len, members.values()))
        name = first.name if several == 1 else f"{first.name} and {several - 1} more"
        family = cls._make(first._replace(name=name, condition=None))
        family.members = members
        return family

    def pick(self, changes: Iterable[Change[Any]]) -> dict[Hook, list[Change[Any]]]:
        """Those of the hooks that are about rows of these changes, each with its changes."""
        picked: dict[Hook, list[Change[Any]]] = {}
        for change in changes:
            for hook in self.about(change):
                picked.setdefault(hook, []).append(change)
        return picked

    def about(self, change: Change[Any]) -> Iterator[Hook]:
        """The hooks about the row of a change, under the key that it has or the one that it had."""
        now = change.about
        yield from self.members.get(now, ())
        if change.event == "update" and (before := change.identity_before) != now:
            yield from self.members.get(before, ())


def by_row(work: Iterable[tuple[Hook, list[Change[Any]]]]) -> Iterator[tuple[Hook, list[Change[Any]]]]:
    """Hooks with their changes, each family replaced by those of its members that are concerned."""
    for hook, changes in work:
        if isinstance(hook, Family):
            yield from hook.pick(changes).items()
        else:
            yield hook, changes
