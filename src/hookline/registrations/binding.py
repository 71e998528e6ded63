"""From registrations to hooks."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from hookline.core.events import LINK_EVENTS, STEP_EVENTS, events_named
from hookline.core.hook import Hook
from hookline.errors import RegistrationStoreError, TargetError, near
from hookline.registrations.conditions import About, as_json

if TYPE_CHECKING:
    from hookline import Change, Hooks
    from hookline.core.registry import Adapter
    from hookline.registrations.registration import Registration


class Binder:
    """Turns the registrations of one rule book into hooks, and refuses those that cannot be.

    Args:
        book: The rule book.
    """

    def __init__(self, book: Hooks) -> None:
        self.book = book
        self._shapes: dict[Hashable, Hook] = {}
        self._targets: dict[str, tuple[Adapter, Any]] = {}

    @property
    def epoch(self) -> tuple[int, ...]:
        """What was broken may be whole again once this is another: more callbacks, sessions or models."""
        adapters = self.book.adapters
        return len(self.book.callbacks), len(adapters), *(adapter.known_models for adapter in adapters)

    def hook(self, registration: Registration) -> Hook:
        """The hook of a registration.

        Raises:
            RegistrationError: It cannot be bound; the message says why.
        """
        one = registration
        when = None if one.when is None else as_json(one.when)
        shape = (one.callback, one.phase, one.event, one.target, when, one.order, one.category, one.key is None)
        known = self._shapes.get(shape)
        if known is None:
            known = self._shapes[shape] = self._bound(one, when)
        return known._replace(name=one.name)

    def _bound(self, one: Registration, when: str | None) -> Hook:
        function = self.book.callbacks.named(one.callback)
        adapter, target = self.target_named(one.target)
        condition = None if when is None else About(adapter, target).condition(json.loads(when))
        events = set(events_named(one.event))
        of_steps = events <= set(STEP_EVENTS)
        if one.key is not None and (events & set(LINK_EVENTS) or not (isinstance(target, type) or of_steps)):
            raise TargetError(
                f"A registration for one object is for its writes or its steps in a workflow, not for {one.event!r} of "
                f"{one.target}. Register for all objects, and let the callback look at `change.subject`."
            )
        hook = self.book.bound(
            function, one.phase, one.event, target, name=one.name, when=condition, order=one.order,
            category=one.category,
        )  # fmt: skip
        for governing in self.book.adapters:
            governing.check(hook)
        return hook

    def target_named(self, name: str) -> tuple[Adapter, Any]:
        """The class or the relation of this name, with the adapter that knows it.

        Raises:
            TargetError: There is none, or there are several.
        """
        known = self._targets.get(name)
        if known is not None:
            return known
        adapters = self._adapters()
        for adapter in adapters:
            found = adapter.named(name)
            if found is not None:
                self._targets[name] = adapter, found
                return adapter, found
        names = {one for adapter in adapters for one in adapter.names()}
        raise TargetError(f"There is no model or relation {name!r}.{near(name.rpartition('.')[2], names)}")

    def model_named(self, name: str) -> tuple[Adapter, type]:
        """The class of this name, or that of the attribute of this name, with the adapter that knows it.

        Raises:
            TargetError: There is none, or there are several.
        """
        adapter, target = self.target_named(name)
        return adapter, target if isinstance(target, type) else adapter.field_of(target)[0]

    def name_of(self, target: object) -> str:
        """The name of a class or a relation that was given as itself, or by a name.

        Raises:
            TargetError: It is neither.
        """
        if isinstance(target, str):
            target = self.target_named(target)[1]
        for adapter in self._adapters():
            name = adapter.name_of(target)
            if name is not None:
                return name
        raise TargetError(
            f"A registration is about a mapped class or a relation, not {target!r}. "
            f"Give it one, such as Person or Company.boss, or its name."
        )

    def row_of(self, target: object, instance: object, key: object) -> tuple[object, tuple[Any, ...] | None]:
        """What somebody means by target, object and key: a target, and a key as data or None.

        Raises:
            TargetError: They mean nothing, or not the same.
        """
        if instance is None:
            return target, None if key is None else self.key_data(target, key)
        if key is not None:
            raise TargetError(f"Give instance= or key=, not both: {instance!r} has a key of its own.")
        if isinstance(instance, tuple) and len(instance) == 2 and isinstance(instance[0], type):
            model, values = instance
        else:
            found = next((row for adapter in self._adapters() if (row := adapter.row_of(instance)) is not None), None)
            if found is None:
                raise TargetError(
                    f"{instance!r} is no object that has a key: give a mapped object that is in the database "
                    f"(session.flush() brings it there), or (Model, key)."
                )
            model, values = found
        if target is None:
            return model, self.key_data(model, values)
        named = self.model_named(self.name_of(target))[1]
        if not issubclass(model, named):
            raise TargetError(f"The target is {target!r}, but instance= is a {model.__name__}. Leave the target out.")
        return target, self.key_data(named, values)

    def key_data(self, target: object, key: object) -> tuple[Any, ...]:
        """A primary key as data.

        Raises:
            TargetError: It is no key of this class.
        """
        adapter, model = self.model_named(self.name_of(target))
        names = adapter.key_names(model)
        if isinstance(key, Mapping):
            if set(key) != set(names):
                raise TargetError(f"The key of {model.__name__} is {', '.join(names)}, not {', '.join(map(str, key))}.")
            values: tuple[Any, ...] = tuple(key[name] for name in names)
        else:
            values = key if isinstance(key, tuple) else (key,)
        if len(values) != len(names):
            raise TargetError(
                f"The key of {model.__name__} is ({', '.join(names)}), and {key!r} has {len(values)} of {len(names)}. "
                f"Give a tuple in this order."
            )
        data = tuple(adapter.to_data(model, name, value) for name, value in zip(names, values, strict=True))
        self._values(adapter, model, data)
        return data

    def key_before(self, change: Change[Any]) -> tuple[Any, ...]:
        """The primary key that a row had before a change, as data."""
        adapter, model = self.model_named(self.name_of(change.model))
        return tuple(adapter.to_data(model, name, change.old[name]) for name in adapter.key_names(model))

    def identity(self, registration: Registration) -> Hashable:
        """The identity of the row that a registration is about.

        Raises:
            TargetError: Its key is none of its model.
        """
        adapter, model = self.model_named(registration.target)
        return adapter.identity(model, self._values(adapter, model, registration.key or ()))

    def _values(self, adapter: Adapter, model: type, data: tuple[Any, ...]) -> tuple[Any, ...]:
        names = adapter.key_names(model)
        if len(names) != len(data) or None in data:
            raise TargetError(f"The key of {model.__name__} is {', '.join(names)}, which {data!r} is not.")
        return tuple(adapter.from_data(model, name, value) for name, value in zip(names, data, strict=True))

    def _adapters(self) -> tuple[Adapter, ...]:
        if not self.book.adapters:
            raise RegistrationStoreError(
                f"The rule book {self.book.name!r} governs no sessions yet, so it knows no models. "
                f"Write attach(hooks, SessionLocal) first."
            )
        return self.book.adapters
