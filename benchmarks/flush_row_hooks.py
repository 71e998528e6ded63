"""A flush with ten row hooks before and ten after, against as many native listeners of SQLAlchemy's mapper.

All of them do the same: read one value of the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.flush import BARE, inserting, sessions_for
from benchmarks.models import Person
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Change, Hooks

BUDGET = 1.0
EACH = 10
"""Hooks, and listeners, before the write; and as many after it."""

NATIVE = f"{EACH} + {EACH} mapper listeners"

Make = Callable[[], Callable[..., None]]


def listener() -> Callable[..., None]:
    """A native listener."""

    def read(mapper: object, connection: object, target: Person) -> None:
        if target.age < 0:
            raise ValueError("nobody is younger than 0")

    return read


def by_entity() -> Callable[..., None]:
    """A hook that looks at the entity of its change."""

    def read(change: Change[Person]) -> None:
        if change.entity.age < 0:
            raise ValueError("nobody is younger than 0")

    return read


def by_value() -> Callable[..., None]:
    """A hook that looks at the new row of its change."""

    def read(change: Change[Person]) -> None:
        if change.new["age"] < 0:
            raise ValueError("nobody is younger than 0")

    return read


def by_argument() -> Callable[..., None]:
    """A hook that asks for the entity itself."""

    def read(entity: Person) -> None:
        if entity.age < 0:
            raise ValueError("nobody is younger than 0")

    return read


HOOKS: dict[str, Make] = {
    "reading change.entity": by_entity,
    "reading change.new[..]": by_value,
    "asking for entity": by_argument,
}


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Each way of writing such a hook, against listeners; and, for scale, listeners against nothing."""
    bare = sessions_for(engine)
    cases = {BARE: inserting(bare, load.objects), NATIVE: _listening(bare, load.objects)}
    for way, make in HOOKS.items():
        cases[way] = inserting(sessions_for(engine, _hooks(make)), load.objects)
    times, where = interleave(cases, load), engine.dialect.name
    for way in HOOKS:
        what = f"insert: {EACH} + {EACH} row hooks {way}"
        yield ratio(times, way, NATIVE, what=what, where=where, budget=BUDGET)
    yield ratio(times, NATIVE, BARE, what=f"insert: {NATIVE}, no Hookline", where=where)


def _hooks(make: Make) -> Hooks:
    hooks = Hooks()
    for phase in ("before", "after"):
        for number in range(EACH):
            hooks.add(make(), phase, "insert", Person, name=f"{phase}_{number}")
    return hooks


def _listening(sessions: sessionmaker[Session], objects: int) -> Case:
    """Inserts while mapper listeners are there; they hold for the class, so they are taken off again."""
    listeners: list[tuple[str, Any]] = [
        (name, listener()) for name in ("before_insert", "after_insert") for _ in range(EACH)
    ]

    @contextmanager
    def case() -> Iterator[Timed]:
        for name, function in listeners:
            event.listen(Person, name, function)
        try:
            with inserting(sessions, objects)() as flush:
                yield flush
        finally:
            for name, function in listeners:
                event.remove(Person, name, function)

    return case
