"""Whoever is killed, and whenever: what was committed is delivered, and what it does to the database happens once."""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from hookline import Hooks
from hookline.durable import Worker
from hookline.sqlalchemy import Outbox
from tests.durable.proof.server import Server
from tests.durable.proof.shop import Base, Effect, Truth, opened
from tests.durable.proof.storm import Figures, Storm
from tests.durable.proof.writer import Writer
from tests.proof import FULL
from tests.sqlalchemy.databases import engine_for

KILLS = 200 if FULL else 10
DONE = 2


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """So that the figures can be seen."""
    caplog.set_level(logging.ERROR, "hookline.worker")


Told = tuple[str, str | None, str | None]
"""Event, stamp before, stamp after."""


def test_crashes_lose_nothing_and_do_nothing_twice_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    storm = _prepared(url, tmp_path)

    def others() -> None:
        if storm.figures.kills % 10 == 4:
            storm.pause(1.2)

    with storm.raging(writers=2, workers=2):
        storm.rage(KILLS, others)
    _settled(url, storm)
    print(f"\nSQLite: {storm.figures}")


def test_crashes_lose_nothing_and_do_nothing_twice_on_postgresql(tmp_path: Path) -> None:
    # Not in pytest's own folder: PostgreSQL may be another user, whom each new run of pytest shuts out of it.
    folder = tempfile.TemporaryDirectory(prefix="hookline-crash-")
    server = Server(Path(folder.name) / "data")
    with folder, server.running() as url:
        storm = _prepared(url, tmp_path)

        def others() -> None:
            number = storm.figures.kills % 10
            if number == 4:
                storm.pause(1.2)
            elif number % 3 == 0:
                storm.figures.cuts += server.cut(0.5)
            elif number % 5 == 0:
                server.crash()
                storm.figures.restarts += 1

        with storm.raging(writers=2, workers=2):
            storm.rage(KILLS, others)
            server.crash()
            storm.figures.restarts += 1
            storm.figures.cuts += server.cut(1.0)
        _settled(url, storm)
        print(f"\nPostgreSQL: {storm.figures}")


def _prepared(url: str, folder: Path) -> Storm:
    engine = engine_for(url)
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)
    engine.dispose()
    return Storm(url, folder / "outside", seed=time.time_ns() % 10**6 if FULL else 7)


def _settled(url: str, storm: Storm) -> None:
    """Let a worker that nobody kills do the rest, then hold what was done against what was committed."""
    engine, hooks, _ = opened(url, str(storm.outside))
    _finish(engine, hooks)
    _verify(engine, storm.outside, storm.figures)
    engine.dispose()


def _finish(engine: Engine, hooks: Hooks) -> None:
    worker, deadline = Worker(hooks, lease=5.0), time.monotonic() + (600 if FULL else 120)
    store = hooks.store()
    while _unfinished(engine):
        assert time.monotonic() < deadline, "what was committed is not delivered"
        time.sleep(min(store.next_due(["effect", "outside_effect"]) or 0.0, 1.0))  # leases of the dead end
        worker.run_until_idle()


def _unfinished(engine: Engine) -> bool:
    table = Outbox().deliveries
    with engine.connect() as connection:
        return connection.execute(select(table.c.id).where(table.c.state < DONE).limit(1)).first() is not None


def _verify(engine: Engine, outside: Path, figures: Figures) -> None:
    d = Outbox().deliveries.c
    with engine.connect() as connection:
        truth = _by_key(
            connection.execute(select(Truth.parcel, Truth.event, Truth.before, Truth.after).order_by(Truth.id))
        )
        effects = connection.execute(
            select(Effect.parcel, Effect.event, Effect.before, Effect.after, Effect.delivery).order_by(Effect.id)
        ).all()
        deliveries = connection.execute(select(d.id, d.hook, d.state, d.attempts)).all()
        origin = connection.scalar(select(Outbox().origins.c.origin))
    changes = sum(map(len, truth.values()))
    assert changes > 10, "too little happened to prove anything"
    for sequence in truth.values():  # the proof itself: each change begins where the one before it ended
        assert all(one[2] == two[1] for one, two in itertools.pairwise(sequence))

    assert Counter(row.state for row in deliveries) == {DONE: 2 * changes}
    assert Counter(row.hook for row in deliveries) == {"effect": changes, "outside_effect": changes}
    ids = defaultdict(set)
    for row in deliveries:
        ids[row.hook].add(f"{origin}-{row.id}")

    assert _by_key(row[:4] for row in effects) == truth, "an effect is missing, repeated, too many or out of order"
    assert sorted(row.delivery for row in effects) == sorted(ids["effect"])

    lines = [line.split("|") for line in outside.read_text().splitlines()]
    first: dict[str, list[str]] = {}
    for line in lines:
        assert first.setdefault(line[0], line[1:]) == line[1:], "a repeat says something else"
    assert first.keys() == ids["outside_effect"]
    told = _by_key(
        (int(key), event, *(None if one == "None" else one for one in ends)) for key, event, *ends in first.values()
    )
    assert told == truth, "what was told outside is missing, too much, or out of order"

    figures.changes, figures.deliveries = changes, len(deliveries)
    figures.attempts = sum(row.attempts > 1 for row in deliveries)
    figures.repeats_outside = len(lines) - len(first)


def _by_key(rows: Any) -> dict[int, list[Told]]:
    found: dict[int, list[Told]] = defaultdict(list)
    for key, *told in rows:
        found[key].append(tuple(told))
    return dict(found)


@pytest.mark.parametrize("broken", ["lost", "twice", "turned", "invented"])
def test_the_proof_sees_what_is_broken(tmp_path: Path, broken: str) -> None:
    """A proof that cannot fail proves nothing: each kind of damage is found."""
    url = f"sqlite:///{tmp_path}/shop.db"
    storm = _prepared(url, tmp_path)
    engine, hooks, sessions = opened(url, str(storm.outside))
    writer = Writer(sessions, "seed")
    for _ in range(25):
        writer.transaction()
    _finish(engine, hooks)
    _verify(engine, storm.outside, storm.figures)
    with sessions() as session:
        some = session.scalars(select(Effect).where(Effect.event == "insert").order_by(Effect.id)).first()
        if broken == "lost":
            session.delete(some)
        elif broken == "twice":
            session.add(
                Effect(delivery=some.delivery, attempt=2, parcel=some.parcel, event=some.event, after=some.after)
            )
        elif broken == "invented":
            session.add(Effect(delivery="x", attempt=1, parcel=999, event="insert", after="x"))
        else:
            often = select(Effect.parcel).group_by(Effect.parcel).having(func.count() > 1).limit(1).scalar_subquery()
            one, two = session.scalars(select(Effect).where(Effect.parcel == often).order_by(Effect.id).limit(2))
            one.after, two.after = two.after, one.after
        session.commit()
    with pytest.raises(AssertionError):
        _verify(engine, storm.outside, storm.figures)
    engine.dispose()
