"""All registrations at one moment, and the hooks that they make."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from hookline import Condition
from hookline.core.change import Change
from hookline.core.family import Family
from hookline.core.hook import Hook
from hookline.core.registered import Part
from hookline.errors import RegistrationError
from hookline.registrations.binding import Binder
from hookline.registrations.registration import BrokenRegistration, Registration

_LOG: Final = logging.getLogger("hookline.registrations")

Bound = tuple[Hook, Hashable] | BrokenRegistration
"""A hook with the identity of its row, or None for all; or what is wrong."""


class Forgetting:
    """How registrations of objects that are gone go, too.

    Args:
        phase: When.
        function: A hook function, given the changes that deleted an object, or gave it another key.
        name: The name of that hook.
    """

    def __init__(self, phase: str, function: Callable[..., Any], name: str) -> None:
        self.phase, self.function, self.name = phase, function, name

    def hook(self, binder: Binder, models: tuple[type, ...]) -> Hook:
        """The hook, for these models."""
        options = {"when": _Moves(), "protected": True, "net": False, "name": self.name}
        hook = binder.book.bound(self.function, self.phase, "write", models, **options)
        return hook._replace(events=("update", "delete"))


class _Moves(Condition):
    """The row is gone, or has another key."""

    def __call__(self, change: Change[Any]) -> bool:
        return change.event == "delete" or change.identity != change.identity_before

    def __str__(self) -> str:
        return "deleted, or given another key"


class View:
    """All registrations at one moment; never changed, replaced as a whole.

    Args:
        rows: The registrations, by number.
        binder: Makes hooks of them.
        forgetting: What becomes of those of deleted objects.
        before: The view that this one replaces: what has not changed is taken from it.
        at: Which generation of the registrations it is, where they have any.

    Attributes:
        part: The hooks.
    """

    def __init__(
        self, rows: Mapping[int, Registration], binder: Binder, forgetting: Forgetting, before: View | None, at: Any
    ) -> None:
        self.at = at
        self.rows, self._binder, self._forgetting = rows, binder, forgetting
        self._epoch = binder.epoch
        self._bound: dict[int, Bound] = {}
        if not binder.book.adapters:  # nothing can be said of models yet, and nothing is written yet
            self.part = Part(())
            return
        known = {} if before is None or before._epoch != self._epoch else before._bound
        for number, row in rows.items():
            if row.enabled:
                same = before is not None and number in known and before.rows[number] is row
                self._bound[number] = known[number] if same else self._bind(row)
        self.part = Part(self._hooks(), self._news(before))

    @property
    def outdated(self) -> bool:
        """Whether something that was broken may be whole by now."""
        return self._epoch != self._binder.epoch and (
            len(self._bound) == 0 or any(isinstance(one, BrokenRegistration) for one in self._bound.values())
        )

    def renewed(self) -> View:
        """The same registrations, bound anew."""
        return View(self.rows, self._binder, self._forgetting, self, self.at)

    def _bind(self, row: Registration) -> Bound:
        try:
            hook = self._binder.hook(row)
            return hook, None if row.key is None else self._binder.identity(row)
        except RegistrationError as error:  # reported, and listed by `problems`: it must not stop other writes
            return BrokenRegistration(row, str(error))

    def _news(self, before: View | None) -> Iterable[str]:
        """What is broken, and was not before."""
        known = set() if before is None else {str(one) for one in before._bound.values()}
        for one in self._bound.values():
            if isinstance(one, BrokenRegistration) and (message := str(one)) not in known:
                _LOG.warning("%s", message)
                yield message

    def _hooks(self) -> tuple[Hook, ...]:
        hooks: dict[Hashable, Hook] = {}
        families: dict[Hashable, dict[Hashable, tuple[Hook, ...]]] = {}
        for number in sorted(self._bound):
            bound = self._bound[number]
            if isinstance(bound, BrokenRegistration):
                continue
            hook, row = bound
            if row is None:
                hooks[number] = hook
                continue
            alike: Hashable = (
                hook.phase,
                hook.events,
                hook.targets,
                hook.order,
                hook.category,
                hook.arguments.asynchronous,
            )
            if alike not in families:
                hooks[alike] = hook  # keeps the place of the first
                families[alike] = {}
            families[alike][row] = (*families[alike].get(row, ()), hook)
        for kind, members in families.items():
            hooks[kind] = Family.of(members)
        models = self._models()
        return (*hooks.values(), *((self._forgetting.hook(self._binder, models),) if models else ()))

    def _models(self) -> tuple[type, ...]:
        """The classes with registrations for single objects, also for those that are not enabled."""
        names = {row.target for row in self.rows.values() if row.key is not None}
        models: dict[type, None] = {}
        for name in sorted(names):
            try:
                models[self._binder.model_named(name)[1]] = None
            except RegistrationError:  # a model that is gone has no objects to delete; the row is reported if enabled
                continue
        return tuple(models)


def broken(rows: Iterable[Registration], binder: Binder) -> list[BrokenRegistration]:
    """Those registrations that run nothing, and why."""
    found = []
    for row in rows:
        try:
            binder.hook(row)
            if row.key is not None:
                binder.identity(row)
        except RegistrationError as error:  # that is the answer
            found.append(BrokenRegistration(row, str(error)))
    return found
