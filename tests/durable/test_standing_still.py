"""What a process that stands still in the middle of a transaction keeps from others on PostgreSQL: next to nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.durable import Worker
from hookline.sqlalchemy.statements import locks
from tests.databases import empty
from tests.durable.deliveries import Item, durable, states
from tests.sqlalchemy.databases import engine_for


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    """Of PostgreSQL; who waits for a lock there gives up after a while."""
    empty(make_url(postgresql_url))
    engine = engine_for(postgresql_url, connect_args={"options": "-c lock_timeout=20s"})
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine, hooks: Hooks, sessions: sessionmaker[Session]) -> Any:
    """Of three deliveries: two of the first item, one of the second. A worker had all, and lost them."""
    durable(hooks)
    with sessions() as session:
        session.add_all([Item(id=1, name="a"), Item(id=2, name="a")])
        session.commit()
        session.execute(update(Item).where(Item.id == 1).values(name="b"))
        session.commit()
    return hooks.store()


def taken(store: Any, limit: int) -> list[int]:
    return [claim.id for claim in store.take("a worker", ["tell"], limit, 0.0)]


@pytest.mark.parametrize("limit", [1, 10])
def test_what_is_still_written_to_holds_back_its_own_key_only(store: Any, limit: int) -> None:
    claims = store.take("lost", ["tell"], 10, 0.0)
    assert [claim.id for claim in claims] == [1, 2, 3]
    with store.begin() as connection:
        assert store.claims.done_one(connection, claims[0])
        assert taken(store, limit) == [2]
        connection.rollback()
        assert taken(store, 10) == [1, 2, 3]


def test_what_is_extended_at_the_last_moment_keeps_its_place(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = store.take("slow", ["tell"], 10, 0.0)
    look = type(store.claims)._from_the_front

    def extended(self: Any, *arguments: Any) -> Any:
        found = look(self, *arguments)
        assert store.extend([first], 3600.0) == 1
        return found

    monkeypatch.setattr(type(store.claims), "_from_the_front", extended)
    assert taken(store, 10) == [2]


def test_who_stands_still_while_it_claims_is_disconnected(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "STANDING", 0.2)

    def others() -> None:
        assert standing.wait(60)
        found.extend(taken(store, 10))
        others_done.set()

    standing, others_done, found = threading.Event(), threading.Event(), list[int]()
    thread = threading.Thread(target=others)
    thread.start()
    with pytest.raises(DBAPIError, match="idle-in-transaction"), store.begin() as connection:
        assert len(store.claims.take(connection, "suspended", ["tell"], 10, 3600.0)) == 3
        standing.set()
        assert others_done.wait(60)
        connection.execute(text("SELECT 1"))
    thread.join(60)
    assert found == [1, 2, 3]


def test_a_worker_that_was_disconnected_goes_on(
    store: Any, hooks: Hooks, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "STANDING", 0.05)
    due = type(store.claims)._due
    stood_still = threading.Event()

    def slow_once(self: Any, *arguments: Any) -> Any:
        if not stood_still.is_set():
            stood_still.set()
            sleep(0.5)
        return due(self, *arguments)

    monkeypatch.setattr(type(store.claims), "_due", slow_once)
    with Worker(hooks, poll=0.05):
        while set(states(engine).values()) != {"done"}:  # bounded by the time that a test may take
            sleep(0.02)
    assert "cannot claim deliveries; trying again" in caplog.text


def test_a_timeout_that_the_session_has_is_left_as_it_is(store: Any, engine: Engine) -> None:
    ask = text("SELECT current_setting('idle_in_transaction_session_timeout')")
    with store.begin() as connection:
        assert connection.scalar(ask) == "10s"
    with engine.begin() as connection:
        assert connection.scalar(ask) == "0"
        connection.execute(text("SET idle_in_transaction_session_timeout = '77s'"))
        locks.let_go_if_idle(connection)
        assert connection.scalar(ask) == "77s"
        connection.rollback()
