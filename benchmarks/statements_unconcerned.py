"""Small statements on a table that no hook is about, hooks attached: they should cost what SQLAlchemy's cost.

A difference of one part in fifty is less than what a machine's other work makes of two equal rounds. So a round has
many statements, and there are many more rounds than for a flush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.flush import BARE, sessions_for, stocked
from benchmarks.flush_unconcerned import CASE, hooks_about_others
from benchmarks.models import Person, rows
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave

BUDGET = 1.02

Send = Callable[[Session, int], object]

_ROWS = rows(100)
_TABLE = Person.__table__

STATEMENTS: dict[str, Send] = {
    "update(Model).where(..)": lambda session, number: session.execute(
        update(Person).where(Person.id == number).values(age=number % 100)
    ),
    "insert(Model).values(..)": lambda session, number: session.execute(insert(Person).values(**_ROWS[number % 100])),
    "insert(Model), a list of 10": lambda session, number: session.execute(insert(Person), _ROWS[:10]),
    "update(table).where(..)": lambda session, number: session.execute(
        update(_TABLE).where(_TABLE.c.id == number).values(age=number % 100)
    ),
}


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Statements of the ORM, one by one and as a list, and one of Core."""
    times, load = max(load.objects // 100, 2), replace(load, rounds=5 * load.rounds)
    with stocked(engine, times):
        for name, send in STATEMENTS.items():
            cases = {
                BARE: _sending(sessions_for(engine), send, times),
                CASE: _sending(sessions_for(engine, hooks_about_others()), send, times),
            }
            what = f"{times:,} times {name}: {CASE}"
            yield ratio(interleave(cases, load), CASE, BARE, what=what, where=engine.dialect.name, budget=BUDGET)


def _sending(sessions: sessionmaker[Session], send: Send, times: int) -> Case:
    @contextmanager
    def case() -> Iterator[Timed]:
        with sessions() as session:
            session.connection()

            def send_all() -> None:
                for number in range(times):
                    send(session, number)

            yield send_all

    return case
