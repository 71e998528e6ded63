"""What the benchmarks of flushes share: sessions with objects to be written, whose `flush` is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.models import Person, people, rows
from benchmarks.timing import Case
from hookline import Hooks
from hookline.sqlalchemy import attach

BARE = "SQLAlchemy alone"

Writing = Callable[[sessionmaker[Session], int], Case]


def sessions_for(engine: Engine, hooks: Hooks | None = None) -> sessionmaker[Session]:
    """What makes sessions, with a rule book attached or without."""
    sessions = sessionmaker(engine)
    if hooks is not None:
        attach(hooks, sessions)
    return sessions


def inserting(sessions: sessionmaker[Session], objects: int) -> Case:
    """The case of flushing new objects."""

    @contextmanager
    def case() -> Iterator[Callable[[], None]]:
        with sessions() as session:
            session.connection()
            session.add_all(people(objects))
            yield session.flush

    return case


def updating(sessions: sessionmaker[Session], objects: int) -> Case:
    """The case of flushing objects that were loaded, each with one value changed; see `stocked`."""

    @contextmanager
    def case() -> Iterator[Callable[[], None]]:
        with sessions() as session:
            loaded = session.scalars(select(Person).limit(objects)).all()
            for person in loaded:
                person.age += 1
            yield session.flush

    return case


@contextmanager
def stocked(engine: Engine, objects: int) -> Iterator[None]:
    """Rows to be updated, for the time of a block."""
    with engine.begin() as connection:
        connection.execute(insert(Person), rows(objects))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(delete(Person))
