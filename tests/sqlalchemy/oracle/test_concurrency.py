"""Several sessions at once: every committed difference is reported by exactly one of them."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import ForeignKey, create_engine, delete, insert, inspect, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from hookline import Change, Hooks, ValidationError
from hookline.errors import PhaseError
from hookline.sqlalchemy import attach, capture
from tests.proof import FULL
from tests.sqlalchemy.databases import postgresql_in_schema

SESSIONS, TRANSACTIONS = 4, 500 if FULL else 40
KEYS = 6


class Base(DeclarativeBase):
    pass


class Box(Base):
    """Every write of it writes a stamp that no other write has."""

    __tablename__ = "box"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stamp: Mapped[str]


class Thing(Base):
    """It goes with its box: the database sees to that."""

    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    box_id: Mapped[int] = mapped_column(ForeignKey("box.id", ondelete="CASCADE"))
    stamp: Mapped[str]


Row = tuple[tuple[str, Any], ...] | None


def row(values: Any) -> Row:
    return tuple(sorted(values.items())) if values else None


class Player:
    """One session after the other, each with one transaction of a few writes through any door."""

    def __init__(self, number: int, sessions: Any, seed: int) -> None:
        self.name, self.sessions, self.random = f"s{number}", sessions, random.Random(seed)
        self.writes = 0
        self.failures: list[BaseException] = []

    def play(self) -> None:
        try:
            for _ in range(TRANSACTIONS):
                self.one()
        except BaseException as error:
            self.failures.append(error)

    def one(self) -> None:
        try:
            with self.sessions() as session:
                for _ in range(self.random.randint(1, 4)):
                    self.write(session)
                if self.random.random() < 0.9:
                    session.commit()
        except (DBAPIError, ValidationError, StaleDataError):
            pass  # deadlocks, keys that are taken, rows that are gone: the transaction is rolled back
        except PhaseError as error:
            if "another session" not in str(error):
                raise

    def stamp(self) -> str:
        self.writes += 1
        return f"{self.name}-{self.writes}"

    def write(self, session: Session) -> None:
        pick, stamp = self.random.randrange, self.stamp()
        model: Any = self.random.choice([Box, Box, Thing])
        key = pick(KEYS)
        values = {"id": key, "stamp": stamp, **({"box_id": pick(KEYS)} if model is Thing else {})}
        way = self.random.choice(["unit", "unit", "bulk", "core", "upsert", "raw", "delete", "raw delete", "insert"])
        if way == "unit":
            held = session.get(model, key, with_for_update=True)
            if held is None:
                gone = session.identity_map.get(inspect(model).identity_key_from_primary_key((key,)))
                if gone is not None:  # raw SQL, or a cascade, has taken its row away
                    session.expunge(gone)
                session.add(model(**values))
            else:
                held.stamp = stamp
            session.flush()
        elif way == "bulk":
            session.execute(update(model).where(model.id <= key).values(stamp=model.stamp + stamp[-2:] + stamp))
        elif way == "core":
            session.execute(update(model.__table__).where(model.id == key).values(stamp=stamp))
        elif way == "insert":
            session.execute(insert(model), [values])
        elif way == "upsert":
            statement = postgresql.insert(model).values(values)
            session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"stamp": stamp}))
        elif way == "raw":
            session.execute(text(f"UPDATE {model.__tablename__} SET stamp = '{stamp}' WHERE id >= {key}"))
        elif way == "delete":
            session.execute(delete(model).where(model.id == key))
        else:
            session.execute(text(f"DELETE FROM {model.__tablename__} WHERE id = {key}"))


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_in_schema(postgresql_url, "concurrency")


@pytest.fixture
def engine(url: str) -> Iterator[Any]:
    engine = create_engine(url, pool_size=SESSIONS + 1)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("seed", range(4 if FULL else 2))
def test_every_committed_difference_is_reported_by_exactly_one_session(engine: Any, seed: int) -> None:
    both = capture(Box, Thing)
    both.install(engine)
    failures: list[BaseException] = []
    hooks = Hooks(bypass="allow", on_error=lambda error, change, hook: failures.append(error))
    sessions = sessionmaker(engine)
    attach(hooks, sessions, capture=both)
    told: list[Change[Any]] = []

    @hooks.after_commit("write")
    def tell(changes: list[Change[Any]]) -> None:
        told.extend(changes)  # a list's own method: threads may call it at once

    players = [Player(number, sessions, seed * 100 + number) for number in range(SESSIONS)]
    threads = [threading.Thread(target=player.play) for player in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for player in players:
        assert player.failures == []
    assert failures == []
    both.remove(engine)
    with Session(engine) as session:
        final = {
            (model, one.id): row({name: getattr(one, name) for name in inspect(model).columns.keys()})  # noqa: SIM118
            for model in (Box, Thing)
            for one in session.scalars(select(model))
        }
    links: defaultdict[Any, Counter[Row]] = defaultdict(Counter)
    for change in told:
        # What a row was is what somebody else has made of it: each value is left once and come to once.
        links[change.model, change.key][row(change.new)] += 1
        links[change.model, change.key][row(change.old)] -= 1
    ends = {at: {value: count for value, count in some.items() if count} for at, some in links.items()}
    expected = {at: {final[at]: 1, None: -1} if at in final else {} for at in ends}
    assert ends == expected
    assert set(final) <= set(ends)
    assert len(told) > TRANSACTIONS
