"""Ten thousand registrations for single objects of one class should cost a write what one costs.

Measured twice: flushes of many objects, none of which the registrations are about; and small transactions, each of
which asks for the generation of the registrations, beside the same with a hook of code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.flush import stocked, updating
from benchmarks.models import Person
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Hooks
from hookline.registrations import DatabaseRegistrations
from hookline.sqlalchemy import attach

BUDGET = 1.1
MANY = 10_000
FAR = 1_000_000_000
ONE_CASE, MANY_CASE, CODE_CASE = "1 registered", f"{MANY:,} registered", "a hook of code"


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Flushes, then small transactions."""
    with ExitStack() as stack:
        stack.enter_context(stocked(engine, load.objects))
        one = stack.enter_context(registered(engine, 1))
        many = stack.enter_context(registered(engine, min(MANY, load.objects * 10)))
        code = sessionmaker(engine)
        hooks = Hooks()
        hooks.add(_read, "after", "update", Person, when=lambda change: change.key == FAR)
        stack.enter_context(attach(hooks, code))
        flushes = {ONE_CASE: updating(one, load.objects), MANY_CASE: updating(many, load.objects)}
        times = interleave(flushes, load)
        what = "registrations for single objects, flush"
        yield ratio(times, MANY_CASE, ONE_CASE, what=what, where=engine.dialect.name, budget=BUDGET)
        small = {CODE_CASE: _transactions(code, load), MANY_CASE: _transactions(many, load)}
        what = "registrations, small transactions"
        yield ratio(interleave(small, load), MANY_CASE, CODE_CASE, what=what, where=engine.dialect.name)


@contextmanager
def registered(engine: Engine, count: int) -> Iterator[sessionmaker[Session]]:
    """Sessions whose rule book has as many registrations, for objects that nobody writes."""
    hooks, sessions = Hooks(), sessionmaker(engine)
    hooks.callback(_read, name="read")
    registrations = DatabaseRegistrations(engine, table=f"registration_{count}")
    registrations.create_tables()
    hooks.use(registrations)
    with attach(hooks, sessions):
        registrations.add("read", "after", "update", Person, key=FAR)
        table = registrations.metadata.tables[f"registration_{count}"]
        with engine.begin() as connection:
            row = connection.execute(select(table)).mappings().one()
            rows = [{**row, "id": number, "key": f"[{FAR + number}]"} for number in range(2, count + 1)]
            if rows:
                connection.execute(insert(table), rows)
        try:
            yield sessions
        finally:
            registrations.metadata.drop_all(engine)


def _read(change: Any) -> None:
    if change.depth < 0:
        raise ValueError("fewer causes than none")


def _transactions(sessions: sessionmaker[Session], load: Load) -> Case:
    count = max(load.objects // 100, 2)

    @contextmanager
    def case() -> Iterator[Timed]:
        with closing(sessions(expire_on_commit=False)) as session:
            loaded = session.scalars(select(Person).limit(count)).all()
            session.commit()

            def commit_each() -> None:
                for person in loaded:
                    person.age += 1
                    session.commit()

            yield commit_each

    return case
