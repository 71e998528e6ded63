"""A connection that is lost during COMMIT: hooks learn the truth, and deliveries are there exactly if it committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, delete, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from hookline import Change, Hooks, Outcome, Retry
from hookline.durable import Worker
from hookline.sqlalchemy import attach, transaction
from tests.databases import empty
from tests.durable.deliveries import Effect, Item, durable, events, made, states, written
from tests.durable.proxy import AFTER, BEFORE, DURING, Proxy


@pytest.fixture
def direct(postgresql_url: str) -> Iterator[Engine]:
    empty(make_url(postgresql_url))
    engine = create_engine(postgresql_url, poolclass=NullPool)
    made(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def proxy(direct: Engine) -> Iterator[Proxy]:
    with Proxy(direct.url).running() as proxy:
        yield proxy


def heard(hooks: Hooks) -> list[str]:
    ends: list[str] = []
    hooks.add(lambda change: ends.append("committed"), "after_commit", "write", Item, name="after commit")
    hooks.add(lambda change: ends.append("rolled back"), "after_rollback", "write", Item, name="after rollback")
    return ends


def write(session: Session, how: str) -> None:
    if how == "insert":
        session.add(Item(id=2, name="b"))
    elif how == "update":
        session.get_one(Item, 1).name = "b"
    elif how == "delete":
        session.delete(session.get_one(Item, 1))
    elif how == "statements":
        session.execute(insert(Item), [{"id": n, "name": "bulk"} for n in range(2, 50)])
        session.execute(update(Item).where(Item.id == 2).values(name="b"))


@pytest.mark.parametrize("how", ["insert", "update", "delete", "statements"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_09_hooks_learn_what_became_of_it(direct: Engine, proxy: Proxy, hooks: Hooks, when: str, how: str) -> None:
    with Session(direct) as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    told, ends = durable(hooks), heard(hooks)
    engine = create_engine(proxy.url, poolclass=NullPool)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        write(session, how)
        tx = transaction(session)
        session.flush()
        proxy.when = when
        with pytest.raises(DBAPIError):
            session.commit()
    assert proxy.cuts == 1
    count = 48 if how == "statements" else 1
    if when == AFTER:
        assert tx.outcome is Outcome.COMMITTED
        assert ends == ["committed"] * count
        assert len(written(direct)) == count
    else:
        assert tx.outcome is Outcome.COMMIT_FAILED
        assert ends == ["rolled back"] * count
        assert written(direct) == []
    Worker(hooks).run_until_idle()
    assert len(told) == (count if when == AFTER else 0)
    engine.dispose()


def test_09_what_the_server_is_still_at_is_waited_for(direct: Engine, proxy: Proxy, hooks: Hooks) -> None:
    """A connection that is cut leaves a process behind, which may commit a moment later."""
    durable(hooks)
    ends = heard(hooks)
    with direct.begin() as connection:  # COMMIT takes its time
        body = "BEGIN PERFORM pg_sleep(1); RETURN NULL; END"
        connection.execute(text(f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS '{body}'"))
        trigger = "AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
        connection.execute(text(f"CREATE CONSTRAINT TRIGGER slow {trigger}"))
    engine = create_engine(proxy.url, poolclass=NullPool)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        session.add(Item(id=1, name="a"))
        session.flush()
        proxy.when = DURING
        with pytest.raises(DBAPIError):
            session.commit()
    assert ends == ["committed"]
    assert events(direct) == [("tell", "insert", 1)]
    engine.dispose()


@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_09_hooks_of_async_sessions_learn_it_too(direct: Engine, proxy: Proxy, hooks: Hooks, when: str) -> None:
    durable(hooks)
    ends = heard(hooks)
    engine = create_async_engine(proxy.url, poolclass=NullPool)
    maker = async_sessionmaker(engine)
    attach(hooks, maker)
    async with maker() as session:
        session.add(Item(id=1, name="a"))
        await session.flush()
        proxy.when = when
        with pytest.raises(DBAPIError):
            await session.commit()
    assert proxy.cuts == 1
    assert ends == (["committed"] if when == AFTER else ["rolled back"])
    assert events(direct) == ([("tell", "insert", 1)] if when == AFTER else [])
    await engine.dispose()


@pytest.mark.parametrize("since", ["deleted", "changed"])
@pytest.mark.parametrize("how", ["insert", "update"])
def test_09_it_is_known_although_others_have_written_since(
    direct: Engine, proxy: Proxy, hooks: Hooks, how: str, since: str
) -> None:
    """A worker may be faster than the one who looks for what has become of its COMMIT."""
    with Session(direct) as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    durable(hooks)
    ends = heard(hooks)
    engine = create_engine(proxy.url, poolclass=NullPool)
    maker = sessionmaker(engine)
    attachment = attach(hooks, maker)
    new_session = attachment.new_session

    def meanwhile(host: Any) -> Session:  # at the moment when somebody is going to look for it
        with direct.begin() as connection:
            name = "c"
            connection.execute(delete(Item) if since == "deleted" else update(Item).values(name=name))
        attachment.new_session = new_session  # type: ignore[method-assign]
        return new_session(host)

    with maker() as session:
        write(session, how)
        tx = transaction(session)
        session.flush()
        proxy.when = AFTER
        attachment.new_session = meanwhile  # type: ignore[method-assign]
        with pytest.raises(DBAPIError):
            session.commit()
    assert (tx.outcome, ends) == (Outcome.COMMITTED, ["committed"])
    assert len(written(direct)) == 1
    engine.dispose()


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_worker_whose_mark_is_cut_off_does_not_do_it_twice(
    direct: Engine, proxy: Proxy, hooks: Hooks, when: str
) -> None:
    runs: list[int] = []
    engine = create_engine(proxy.url, poolclass=NullPool)
    maker = sessionmaker(engine)
    attach(hooks, maker)

    @hooks.durable("insert", Item, retry=Retry(backoff=0, jitter=0))
    def effect(change: Change[Item], session: Session, delivery: Any) -> None:
        session.add(Effect(delivery=delivery.id, said="once"))
        session.flush()
        runs.append(delivery.attempt)
        if delivery.attempt == 1:
            proxy.only, proxy.when = b"INSERT INTO effect", when

    with maker() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    Worker(hooks, concurrency=1).run_until_idle()
    assert proxy.cuts == 1
    assert runs == ([1] if when == AFTER else [1, 2])
    with Session(direct) as session:
        assert session.scalars(select(Effect.said)).all() == ["once"]
    assert list(states(direct).values()) == ["done"]
    engine.dispose()


def test_a_worker_outlives_a_database_that_is_away(direct: Engine, proxy: Proxy, hooks: Hooks) -> None:
    ran, failed = threading.Event(), threading.Event()
    engine = create_engine(proxy.url, poolclass=NullPool)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    hooks.add(lambda change: ran.set(), "durable", "insert", Item, name="tell")
    other, own = Hooks("other"), sessionmaker(direct)
    other.add(lambda change: None, "durable", "insert", Item, name="tell")
    attach(other, own)
    with own() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    with Worker(hooks, poll=0.05) as worker:
        assert ran.wait(20)
        ran.clear()
        store = worker._store
        take = store.take

        def noticed(*given: Any) -> Any:
            try:
                return take(*given)
            except DBAPIError:
                failed.set()
                raise

        store.take = noticed  # type: ignore[method-assign]
        proxy.refusing = True
        proxy.cut_all()
        assert failed.wait(20)
        time.sleep(0.2)  # some more looks that fail: nothing tells of them
        proxy.refusing = False
        with own() as session:
            session.add(Item(id=2, name="b"))
            session.commit()
        assert ran.wait(20)
    engine.dispose()
