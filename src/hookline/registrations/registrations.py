"""What can be done with registrations, wherever they are kept."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hookline.core.change import Change
from hookline.core.events import events_named, phase_named
from hookline.core.registered import Connect, Part
from hookline.errors import RegistrationError, RegistrationStoreError
from hookline.registrations.binding import Binder
from hookline.registrations.conditions import as_json
from hookline.registrations.registration import BrokenRegistration, HistoryEntry, Registration
from hookline.registrations.store import Store
from hookline.registrations.view import Forgetting, View, broken

if TYPE_CHECKING:
    from hookline import Hooks

_KEEP: Final[Any] = object()


class Registrations(ABC):
    """Hooks bound at run time; `MemoryRegistrations` and `DatabaseRegistrations` say where they are kept.

    Args:
        name: Part of the names of their hooks, if a rule book uses several: ``"audit"`` makes
            ``"congratulate audit#12"`` of ``"congratulate #12"``.
    """

    forgets: ClassVar[str]
    """The phase in which those of deleted objects go."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._joined: Binder | None = None
        self._view: View | None = None

    # -- for the rule book

    def join(self, book: Hooks) -> None:
        """Belong to a rule book; `Hooks.use` calls it.

        Raises:
            RegistrationStoreError: They belong to another one.
        """
        if self._joined is not None and self._joined.book is not book:
            raise RegistrationStoreError(
                f"These registrations belong to the rule book {self._joined.book.name!r}. Make others for "
                f"{book.name!r}; of a database, they may have the same tables."
            )
        if self._joined is None:
            self._joined = Binder(book)

    @abstractmethod
    def current(self, connect: Connect) -> Part:
        """Their hooks for a transaction that begins now.

        Args:
            connect: Given a table, the connection by which the writing session reaches it.
        """

    def known(self) -> Part:
        """Their hooks as this process has seen them last."""
        return Part(()) if self._view is None else self._up_to_date(self._view)

    def _up_to_date(self, view: View) -> Part:
        if view.outdated:
            view = self._view = view.renewed()
        return view.part

    def _seen(self, rows: Mapping[int, Registration], at: Any = None) -> View:
        """The view of these rows, of some generation."""
        label = f" {self.name!r}" if self.name else ""
        forgetting = Forgetting(self.forgets, self._forget(), f"registrations{label} of deleted objects")
        return View(rows, self._binder, forgetting, self._view, at)

    @property
    def _binder(self) -> Binder:
        if self._joined is None:
            raise RegistrationStoreError(
                "No rule book uses these registrations, so nothing is known of callbacks and models. "
                "Write hooks.use(registrations) first."
            )
        return self._joined

    @abstractmethod
    def _store(self, session: Any, *, writing: bool = False) -> AbstractContextManager[Store]:
        """Where they are kept, for one piece of work."""

    @abstractmethod
    def _forget(self) -> Callable[..., None]:
        """A hook function that removes those of deleted objects."""

    # -- writing

    def add(
        self,
        callback: str | Callable[..., Any],
        phase: str,
        event: str,
        target: object = None,
        *,
        instance: object = None,
        key: object = None,
        when: Mapping[str, Any] | None = None,
        enabled: bool = True,
        order: int = 0,
        category: str | None = None,
        by: str | None = None,
        session: Any = None,
    ) -> Registration:
        """Bind a callback; it is obeyed by every transaction that begins from now on, in all processes.

        Args:
            callback: The name of a function that is marked with `Hooks.callback`, or the function.
            phase: Any phase of hooks.
            event: Any event of hooks, or group of events.
            target: A class (subclasses included), or a relation such as ``Company.boss``; or the name of either. May be
                left out if ``instance`` is given.
            instance: The only object that it is about: a mapped object that has a key, or ``(Model, key)``.
            key: The same, of the target: a value, or a tuple if the key has several columns.
            when: A condition as data, such as ``{"becomes": {"status": "paid"}}``.
            enabled: Whether it runs; `enable` and `disable` change that.
            order: Low runs first.
            category: For switching on and off.
            by: Who adds it, for the history.
            session: A session in whose transaction it is added, and with which it is rolled back; None for a
                transaction of its own.

        Returns:
            The registration, with its number.

        Raises:
            RegistrationError: Something of it cannot be; the message says what can.
            RegistrationStoreError: No rule book uses these registrations, or they cannot be written here.

        Example:
            >>> from hookline.registrations import MemoryRegistrations
            >>> registrations = MemoryRegistrations()
            >>> hooks.use(registrations)
            >>> @hooks.callback
            ... def greet(change):
            ...     print("hello,", change.new["name"])
            >>> one = registrations.add("greet", "after", "insert", Person, by="alice")
            >>> one.name, one.created_by
            ('greet #1', 'alice')
            >>> session.add(Person(name="Ann"))
            >>> session.commit()
            hello, Ann
        """
        binder = self._binder
        meant, row = binder.row_of(target, instance, key)
        if meant is None:
            raise RegistrationError("A registration is about something: give it a class, a relation or an instance.")
        events_named(event)
        draft = Registration(
            id=0,
            callback=binder.book.callbacks.name_of(callback),
            phase=phase_named(phase),
            event=event,
            target=binder.name_of(meant),
            key=row,
            when=_plain(when),
            enabled=enabled,
            order=_integer(order),
            category=category,
            created_by=by,
            source=self.name,
        )
        binder.hook(draft)
        with self._store(session, writing=True) as store:
            return store.insert(draft)

    def enable(self, registration: int | Registration, *, by: str | None = None, session: Any = None) -> Registration:
        """Let a registration run again; arguments and errors as of `change`."""
        return self._switch(registration, True, by, session)

    def disable(self, registration: int | Registration, *, by: str | None = None, session: Any = None) -> Registration:
        """Keep a registration, but do not let it run; arguments and errors as of `change`."""
        return self._switch(registration, False, by, session)

    def _switch(self, registration: int | Registration, on: bool, by: str | None, session: Any) -> Registration:
        with self._store(session, writing=True) as store:
            one = _found(store, registration)
            if one.enabled is on:
                return one
            changed = replace(one, enabled=on, changed_by=by)
            if on:
                self._binder.hook(changed)
            return store.update(changed, "enabled" if on else "disabled", by)

    def change(
        self,
        registration: int | Registration,
        *,
        when: Mapping[str, Any] | None = _KEEP,
        order: int = _KEEP,
        category: str | None = _KEEP,
        by: str | None = None,
        session: Any = None,
    ) -> Registration:
        """Give a registration another condition, order or category; what is left out stays.

        Args:
            registration: The registration, or its number.
            when: The condition; None for none.
            order: The order.
            category: The category; None for none.
            by: Who changes it, for the history.
            session: As of `add`.

        Returns:
            The registration as it is now.

        Raises:
            RegistrationError: There is none of this number, or it cannot be so.
        """
        given: dict[str, Any] = {"when": when, "order": order, "category": category}
        values = {name: value for name, value in given.items() if value is not _KEEP}
        if "when" in values:
            values["when"] = _plain(when)
        if "order" in values:
            values["order"] = _integer(order)
        with self._store(session, writing=True) as store:
            one = _found(store, registration)
            changed = replace(one, **values, changed_by=by)
            if replace(changed, changed_by=one.changed_by) == one:
                return one
            self._binder.hook(changed)
            return store.update(changed, "changed", by)

    def remove(self, registration: int | Registration, *, by: str | None = None, session: Any = None) -> Registration:
        """Remove a registration; its history stays.

        Args:
            registration: The registration, or its number.
            by: Who removes it, for the history.
            session: As of `add`.

        Returns:
            The registration as it was.

        Raises:
            RegistrationError: There is none of this number.
        """
        with self._store(session, writing=True) as store:
            one = _found(store, registration)
            store.delete(one, by)
            return one

    # -- reading

    def get(self, number: int, *, session: Any = None) -> Registration:
        """The registration of this number.

        Raises:
            RegistrationError: There is none.
        """
        with self._store(session) as store:
            return _found(store, number)

    def list(
        self,
        *,
        callback: str | Callable[..., Any] | None = None,
        target: object = None,
        instance: object = None,
        key: object = None,
        session: Any = None,
    ) -> Sequence[Registration]:
        """The registrations, by number.

        Args:
            callback: Only those of this callback.
            target: Only those whose target is this class or relation itself.
            instance: Only those that are about this object, and no other; as of `add`.
            key: The same, of the target.
            session: A session to read by; None for a connection of their own.
        """
        meant, row = self._binder.row_of(target, instance, key)
        name = callback if callback is None or isinstance(callback, str) else self._callback_named(callback)
        with self._store(session) as store:
            if row is None:
                return store.select(name, None if meant is None else self._binder.name_of(meant), None)
            path = self._binder.name_of(meant)
            wanted = self._binder.identity(Registration(0, "", "", "", path, row))
            return [one for one in store.select(name, None, row) if self._identity(one) == wanted]

    def _callback_named(self, function: Callable[..., Any]) -> str:
        return self._binder.book.callbacks.name_of(function)

    def history(self, registration: int | Registration | None = None, *, session: Any = None) -> Sequence[HistoryEntry]:
        """What was done to a registration, or to all, the oldest first; those that are removed included.

        Args:
            registration: The registration, or its number; None for all.
            session: As of `list`.
        """
        with self._store(session) as store:
            return store.history(registration.id if isinstance(registration, Registration) else registration)

    def problems(self, *, session: Any = None) -> Sequence[BrokenRegistration]:
        """Those registrations that run nothing, because what they name is not there any more, each with the reason.

        Args:
            session: As of `list`.
        """
        with self._store(session) as store:
            return broken(store.select(None, None, None), self._binder)

    # -- objects that are gone

    def _forgotten(self, store: Store, changes: Sequence[Change[Any]]) -> None:
        """Remove what is about deleted objects, and let what is about others follow their keys."""
        binder = self._binder
        moved: dict[Hashable, Change[Any]] = {change.identity_before: change for change in changes}
        keys: dict[tuple[Any, ...], None] = {}
        for change in moved.values():
            keys[binder.key_before(change)] = None
        for one in store.keyed(keys):
            at = self._identity(one)
            if at not in moved:
                continue
            change = moved[at]
            if change.event == "delete":
                store.delete(one, None, "its object was deleted")
            else:
                key = binder.key_data(change.model, change.key)
                store.update(replace(one, key=key, changed_by=None), "moved", None, "the key of its object changed")

    def _identity(self, one: Registration) -> Hashable:
        """The row that a registration is about; None if its model is gone."""
        try:
            return self._binder.identity(one)
        except RegistrationError:  # such a one is listed by `problems`; it is about no row that anybody knows
            return None


def _found(store: Store, registration: int | Registration) -> Registration:
    number = registration.id if isinstance(registration, Registration) else registration
    one = store.one(number)
    if one is None:
        known = store.history(number)
        gone = f": it was removed{f' by {known[-1].by}' if known[-1].by else ''} at {known[-1].at}" if known else ""
        raise RegistrationError(
            f"There is no registration {number!r}{gone}. registrations.list() shows those there are."
        )
    return one


def _plain(when: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A condition as JSON has it."""
    plain: Mapping[str, Any] | None = None if when is None else json.loads(as_json(when))
    return plain


def _integer(order: object) -> int:
    if type(order) is not int:
        raise RegistrationError(f"order= is a whole number, low first, not {order!r}.")
    return order
