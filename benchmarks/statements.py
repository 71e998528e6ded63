"""Bulk statements with one hook that takes all changes at once.

An UPDATE is held against what one would do without a door for statements: load the objects, edit and flush them. The
hook reads the old and the new value of each row. INSERT and DELETE are held against the same statement without hooks,
for information.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.flush import BARE, sessions_for, stocked
from benchmarks.memory import peak
from benchmarks.models import Person, rows
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Change, Hooks

BUDGET = 0.10
LOADING = "loading, editing and flushing, no hooks"
PHASES = ("before", "after")
ROUNDS = 7
"""At most: one round takes seconds."""

Send = Callable[[Session], object]


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """UPDATE, which the budget is for, with its memory; then INSERT and DELETE."""
    load = replace(load, rounds=min(load.rounds, ROUNDS))
    count, where = 5 * load.objects, engine.dialect.name
    with stocked(engine, count):
        cases = {BARE: _case(sessions_for(engine), _increase), LOADING: _case(sessions_for(engine), _load_and_edit)}
        for phase in PHASES:
            cases[phase] = _case(sessions_for(engine, hooks_in(phase)), _increase)
        times = interleave(cases, load)
        for phase in PHASES:
            what = f"update: {count:,} rows, one {phase} hook reading old and new"
            yield ratio(times, phase, LOADING, what=what, where=where, budget=BUDGET)
        for phase in PHASES:
            what = f"update: {count:,} rows, one {phase} hook reading old and new"
            yield ratio(times, phase, BARE, what=what, where=where)
        for name in (LOADING, *PHASES):
            what = f"update: {count:,} rows, {name if name is LOADING else f'one {name} hook'}, most memory at once"
            yield peak(cases[name], what=what, where=where)
        yield from _compare(engine, load, f"delete: {count:,} rows", lambda session: session.execute(delete(Person)))
    given = rows(count)
    yield from _compare(
        engine, load, f"insert: a list of {count:,} rows", lambda session: session.execute(insert(Person), given)
    )


def _compare(engine: Engine, load: Load, what: str, send: Send) -> Iterator[Result]:
    cases = {BARE: _case(sessions_for(engine), send)}
    for phase in PHASES:
        cases[phase] = _case(sessions_for(engine, hooks_in(phase)), send)
    times = interleave(cases, load)
    for phase in PHASES:
        yield ratio(times, phase, BARE, what=f"{what}, one {phase} hook", where=engine.dialect.name)


def hooks_in(phase: str) -> Hooks:
    """A rule book with one hook, which looks at the values of each row."""
    hooks = Hooks()
    hooks.add(look, phase, "write", Person, name="look")
    return hooks


def look(changes: list[Change[Any]]) -> None:
    """Read one value of each row, old and new."""
    for change in changes:
        if change.event == "update":
            if change.new["age"] < change.old["age"]:
                raise ValueError("nobody gets younger")
        elif (change.new or change.old)["age"] < 0:
            raise ValueError("nobody is younger than 0")


def _increase(session: Session) -> object:
    return session.execute(update(Person).where(Person.age >= 0).values(age=Person.age + 1))


def _load_and_edit(session: Session) -> None:
    for person in session.scalars(select(Person).where(Person.age >= 0)):
        person.age += 1
    session.flush()


def _case(sessions: sessionmaker[Session], send: Send) -> Case:
    """Sends it in a transaction, which is rolled back."""

    @contextmanager
    def case() -> Iterator[Timed]:
        engine: Any = sessions.kw["bind"]
        if engine.dialect.name == "postgresql":  # what other cases have left to be cleared would count in this one
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"VACUUM ANALYZE {Person.__tablename__}"))
        with sessions() as session:
            session.connection()
            yield lambda: send(session)

    return case
