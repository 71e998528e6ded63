"""Rules that write entities: new ones, values, deletes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition
from sqlalchemy import inspect

from .play import Play, step
from .rules import EDITS
from .schema import (
    MODELS,
    Account,
    Base,
    Car,
    Company,
    Country,
    Course,
    Document,
    Enrollment,
    Line,
    Order,
    Passport,
    Person,
    Project,
    Savings,
    Tag,
    Truck,
    Vehicle,
)
from .values import COUNTERS, FIELDS, NUMBERS, TEXTS

some = st.integers(0, 31)


class Writes(Play):
    """Entities come, change and go."""

    @step(model=st.sampled_from(MODELS), value=some, parent=some, other=some)
    def add(self, model: type, value: int, parent: int, other: int) -> None:
        values = self.values_for(model, value, parent, other)
        if values is None:
            return
        entity = model(**values)
        arguments = ", ".join(
            f"{name}={self.name(item) if isinstance(item, Base) else item!r}" for name, item in values.items()
        )
        self.objects.append(entity)
        self.perform(
            f"session.add({self.name(entity)} := {model.__name__}({arguments}))",
            lambda: self.sync_session.add(entity),
        )

    def values_for(self, model: type, value: int, parent: int, other: int) -> dict[str, Any] | None:
        """Arguments for a new entity, None if one cannot be made now."""
        word, number = TEXTS[value % len(TEXTS)], NUMBERS[value % len(NUMBERS)]
        if model is Person:
            values: dict[str, Any] = {"name": word, "age": number}
            if other % 2:
                values["settings"] = {"a": value}
            if parent:
                values["boss"] = self.pick(parent, Person)
            if other > 3:
                values["employer"] = self.pick(other, Company)
            return values
        if model is Line:
            order = self.pick(parent, Order)
            quantity = 1 + other % 3
            return order and {
                "order": order,
                "price": number,
                "quantity": quantity,
                "total": number * quantity,
            }
        if model is Enrollment:
            person, course = self.pick(parent, Person), self.pick(other, Course)
            taken = {(entry.__dict__.get("person"), entry.__dict__.get("course")) for entry in self.alive(Enrollment)}
            if person is None or course is None or self.enrolled(person, course) or (person, course) in taken:
                return None
            return {"person": person, "course": course, "grade": number}
        if model is Country:
            code = "abcde"[value % 5]
            return None if self.has_country(code) else {"code": code, "name": TEXTS[other % len(TEXTS)]}
        simple: dict[type, dict[str, Any]] = {
            Company: {"name": word} if other % 2 else {"name": word, "size": number},
            Project: {"title": word, "company_id": self.key_of(self.pick(parent, Company, or_none=True))},
            Passport: {"number": word, "person": self.pick(parent, Person, or_none=True)},
            Tag: {"label": word},
            Course: {"title": word},
            Order: {"customer": self.pick(parent, Person, or_none=True)},
            Vehicle: {"name": word, "owner": self.pick(parent, Person, or_none=True)},
            Car: {"name": word, "doors": number},
            Truck: {"name": word, "load": number, "depot": self.pick(parent, Company, or_none=True)},
            Account: {"balance": number},
            Savings: {"rate": number},
            Document: {"title": word},
        }
        return simple[model]

    def enrolled(self, person: Any, course: Any) -> bool:
        key = (self.key_of(person), self.key_of(course))
        return any(inspect(entry).identity == key for entry in self.alive(Enrollment))

    def has_country(self, code: str) -> bool:
        return any(code in (country.__dict__.get("code"), self.key_of(country)) for country in self.alive(Country))

    @step(number=some, field=some, value=some)
    def set_value(self, number: int, field: int, value: int) -> None:
        entity = self.pick(number)
        if entity is None:
            return
        fields = FIELDS[type(entity)]
        name = list(fields)[field % len(fields)]
        chosen = fields[name][value % len(fields[name])]
        if name == "code" and self.has_country(chosen):
            return
        if isinstance(chosen, dict):
            chosen = dict(chosen)
        self.perform(f"{self.name(entity)}.{name} = {chosen!r}", lambda: setattr(entity, name, chosen))

    @step(number=some, field=some, value=some)
    def set_unloaded_value(self, number: int, field: int, value: int) -> None:
        """The old value is not in memory when the new one is set."""
        entity = self.pick(number)
        if entity is None or not inspect(entity).persistent:
            return
        self.perform(f"session.expire({self.name(entity)})", lambda: self.sync_session.expire(entity))
        self.set_value(number=number, field=field, value=value)

    @step(number=some)
    def set_the_same(self, number: int) -> None:
        entity = self.pick(number)
        if entity is None:
            return
        name = next(iter(FIELDS[type(entity)]))
        self.perform(
            f"{self.name(entity)}.{name} = {self.name(entity)}.{name}",
            lambda: setattr(entity, name, getattr(entity, name)),
        )

    @precondition(lambda self: not any(rule in EDITS for rule in self.in_force))
    @step(number=some)
    def set_expression(self, number: int) -> None:
        """A value that the database computes. Only without hooks that would compute with it themselves."""
        counting = self.persistent(*COUNTERS)
        if not counting:
            return
        entity = counting[number % len(counting)]
        model, name = next((model, name) for model, name in COUNTERS.items() if isinstance(entity, model))
        self.perform(
            f"{self.name(entity)}.{name} = {model.__name__}.{name} + 1",
            lambda: setattr(entity, name, getattr(model, name) + 1),
        )

    @step(number=some, value=some)
    def change_settings_in_place(self, number: int, value: int) -> None:
        person = self.pick(number, Person)
        if person is None:
            return

        def change() -> None:
            if person.settings is not None:
                person.settings["b"] = value

        self.perform(f"{self.name(person)}.settings['b'] = {value}", change)

    @step(number=some, value=some)
    def merge(self, number: int, value: int) -> None:
        living = self.persistent(Tag, Company, Document, Car, Savings)
        if not living:
            return
        entity = living[number % len(living)]
        name, values = next(iter(FIELDS[type(entity)].items()))
        chosen, key = values[value % len(values)], self.key_of(entity)
        self.perform(
            f"session.merge({type(entity).__name__}(id={self.name(entity)}.id, {name}={chosen!r}))",
            lambda: self.sync_session.merge(type(entity)(id=key, **{name: chosen})),
        )

    @step(number=some)
    def delete(self, number: int) -> None:
        living = self.persistent()
        if not living:
            return
        entity = living[number % len(living)]
        self.perform(f"session.delete({self.name(entity)})", lambda: self.sync_session.delete(entity))
