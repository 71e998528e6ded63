"""Finding the hooks to run: three of them among a thousand should cost what three alone cost.

Measured twice: in the core alone, one change at a time, and in flushes of one insert and one update each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from sqlalchemy import Engine, Integer
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker

from benchmarks.flush import sessions_for
from benchmarks.models import Person, people
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Change, Hooks, Transaction
from hookline.core.change import ValueChange
from hookline.core.run import drive, run_phase

BUDGET = 1.1
MATCHING, MANY = 3, 1_000
FEW_CASE, MANY_CASE = f"{MATCHING} registered", f"{MANY:,} registered"


class Elsewhere(DeclarativeBase):
    """Where the classes of the other hooks are; their tables are never made."""


OTHERS: list[type] = [
    type(
        f"Other{number}",
        (Elsewhere,),
        {"__tablename__": f"other_{number}", "id": mapped_column(Integer, primary_key=True)},
    )
    for number in range(50)
]


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """The core, which no database is needed for, then flushes."""
    yield _compare({FEW_CASE: _in_core(few(), load), MANY_CASE: _in_core(many(), load)}, load, "core alone", "")
    cases = {
        FEW_CASE: _small_flushes(sessions_for(engine, few()), load),
        MANY_CASE: _small_flushes(sessions_for(engine, many()), load),
    }
    yield _compare(cases, load, "small flushes", engine.dialect.name)


def few() -> Hooks:
    """The hooks that match, alone."""
    hooks = Hooks()
    for number in range(MATCHING):
        hooks.add(_read, "before", "save", Person, name=f"matching_{number}")
    return hooks


def many() -> Hooks:
    """The same among others: on other classes, in other phases, and on the same class for another event."""
    hooks = few()
    phases = cycle(("before", "check", "after", "before_commit", "after_commit"))
    models = cycle((*OTHERS, Person))
    for number in range(MANY - MATCHING):
        model = next(models)
        hooks.add(_read, next(phases), "delete" if model is Person else "write", model, name=f"other_{number}")
    return hooks


def _compare(cases: dict[str, Case], load: Load, how: str, where: str) -> Result:
    what = f"dispatch: {MANY:,} hooks, {MATCHING} matching, {how}"
    return ratio(interleave(cases, load), MANY_CASE, FEW_CASE, what=what, where=where, budget=BUDGET)


def _read(change: Change[Any]) -> None:
    if change.depth < 0:
        raise ValueError("fewer causes than none")


def _in_core(hooks: Hooks, load: Load) -> Case:
    nowhere: Any = None  # these hooks ask for nothing that a session would have to give
    tx = Transaction(hooks, nowhere)
    changes = [ValueChange("update", Person, key=n, old={"age": n}, new={"age": n + 1}) for n in range(load.objects)]

    def dispatch() -> None:
        for change in changes:
            drive(run_phase(tx, hooks.plan, "before", [change], nowhere))

    @contextmanager
    def case() -> Iterator[Timed]:
        yield dispatch

    return case


def _small_flushes(sessions: sessionmaker[Session], load: Load) -> Case:
    count = max(load.objects // 20, 2)

    @contextmanager
    def case() -> Iterator[Timed]:
        with sessions() as session:
            session.connection()
            newcomers = people(count)

            def flush_each() -> None:
                before = newcomers[-1]
                for person in newcomers:
                    session.add(person)
                    before.age += 1
                    session.flush()
                    before = person

            yield flush_each

    return case
