"""A flush with one `before` and one `after` hook that take all changes at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from benchmarks.flush import BARE, Writing, inserting, sessions_for, stocked, updating
from benchmarks.models import Person
from benchmarks.result import Result, ratio
from benchmarks.timing import Load, interleave
from hookline import Change, Hooks

BUDGET = 1.10
CASE = "set-at-a-time before + after"
READING = f"{CASE}, reading each entity"


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Inserts, which the budget is for, and updates; with hooks that only count, and with hooks that look."""
    yield from _compare(engine, load, inserting, "insert", BUDGET)
    with stocked(engine, load.objects):
        yield from _compare(engine, load, updating, "update", None)


def _compare(engine: Engine, load: Load, writing: Writing, event: str, budget: float | None) -> Iterator[Result]:
    cases = {
        BARE: writing(sessions_for(engine), load.objects),
        CASE: writing(sessions_for(engine, _hooks(count)), load.objects),
        READING: writing(sessions_for(engine, _hooks(look)), load.objects),
    }
    times, where = interleave(cases, load), engine.dialect.name
    yield ratio(times, CASE, BARE, what=f"{event}: {CASE}", where=where, budget=budget)
    yield ratio(times, READING, BARE, what=f"{event}: {READING}", where=where)


def count(changes: list[Change[Any]]) -> None:
    """Do next to nothing."""
    if len(changes) < 0:
        raise ValueError("fewer changes than none")


def look(changes: list[Change[Person]]) -> None:
    """Read one value of each entity."""
    for change in changes:
        if change.entity.age < 0:
            raise ValueError("nobody is younger than 0")


def _hooks(function: Any) -> Hooks:
    hooks = Hooks()
    hooks.add(function, "before", "save", Person, name="before")
    hooks.add(function, "after", "save", Person, name="after")
    return hooks
