"""In which order deliveries run, how often, and what a failure holds back."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, insert, make_url, select, update
from sqlalchemy.orm import Session, sessionmaker

from hookline import Change, Delivery, Hooks, Retry
from hookline.durable import Worker
from hookline.sqlalchemy import Outbox, attach
from tests.databases import empty
from tests.durable.deliveries import Effect, Item, durable, made, states, work, written
from tests.sqlalchemy.databases import engine_for

AT_ONCE = Retry(max_attempts=3, backoff=0, jitter=0)


def failing(hooks: Hooks, failures: int, retry: Retry, key: int = 1) -> list[Any]:
    """A hook that fails so many times for the insert of one key."""
    runs: list[Any] = []

    @hooks.durable("write", Item, retry=retry)
    def flaky(change: Change[Item], delivery: Delivery) -> None:
        runs.append((change.key, change.event, delivery.attempt))
        if change.key == key and change.event == "insert" and delivery.attempt <= failures:
            raise OSError(f"attempt {delivery.attempt}")

    return runs


def three_writes(sessions: Any) -> None:
    with sessions() as session:
        session.add_all([Item(id=1, name="a"), Item(id=2, name="a")])
        session.commit()
        session.execute(update(Item).values(name="b"))
        session.commit()


def test_a_failure_holds_back_its_own_key_only(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    runs = failing(hooks, 1, Retry(backoff=3600, jitter=0))
    three_writes(sessions)
    work(hooks)
    assert [run for run in runs if run[0] == 2] == [(2, "insert", 1), (2, "update", 1)]
    assert [run for run in runs if run[0] == 1] == [(1, "insert", 1)]
    store = hooks.store()
    assert 3500 < store.next_due(["flaky"]) <= 3600  # nobody looks before, though one waits behind it
    with engine.begin() as connection:
        (first,) = [one.id for one in written(engine) if one.lane == ["Item", [1]] and one.body["event"] == "insert"]
        assert store.tending.retry(connection, [first]) == 1
    work(hooks)
    assert [run for run in runs if run[0] == 1][:2] == [(1, "insert", 1)] * 2  # tries are counted anew; it fails again


def test_what_is_written_behind_a_failure_waits_and_nobody_looks_for_it(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    runs = failing(hooks, 1, Retry(backoff=3600, jitter=0))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        work(hooks)
        session.execute(update(Item).values(name="b"))
        session.commit()
        work(hooks)
    assert runs == [(1, "insert", 1)]
    assert hooks.store().next_due(["flaky"]) > 3500


def test_after_the_failure_the_key_goes_on_in_order(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    runs = failing(hooks, 2, AT_ONCE)
    three_writes(sessions)
    work(hooks)
    assert [run for run in runs if run[0] == 1] == [
        (1, "insert", 1), (1, "insert", 2), (1, "insert", 3), (1, "update", 1),
    ]  # fmt: skip
    assert set(states(engine).values()) == {"done"}


def test_the_dead_let_those_behind_them_go_on(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    runs = failing(hooks, 99, AT_ONCE)
    three_writes(sessions)
    worker = work(hooks)
    assert [run for run in runs if run[0] == 1] == [
        (1, "insert", 1), (1, "insert", 2), (1, "insert", 3), (1, "update", 1),
    ]  # fmt: skip
    assert sorted(states(engine).values()) == ["dead", "done", "done", "done"]
    assert (worker.progress.done, worker.progress.failed, worker.progress.dead) == (3, 3, 1)
    with engine.connect() as connection:
        (dead,) = hooks.store().tending.list(connection, state="dead")
        shown = hooks.store().tending.show(connection, dead.id)
    assert [attempt.number for attempt in shown.history] == [1, 2, 3]
    assert ["attempt 2" in attempt.error for attempt in shown.history] == [False, True, False]
    assert "OSError: attempt 3" in (shown.error or "")
    assert "in flaky" in (shown.error or "")  # a traceback, not only its last line


@pytest.mark.parametrize("error", [ConnectionError, KeyError])
def test_errors_that_are_not_tried_again_are_final(
    engine: Engine, hooks: Hooks, sessions: Any, error: type[Exception]
) -> None:
    attempts: list[int] = []

    @hooks.durable("insert", Item, retry=Retry(max_attempts=3, backoff=0, jitter=0, on=(OSError, ValueError)))
    def fail(change: Change[Item], delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise error

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    work(hooks)
    assert attempts == ([1, 2, 3] if error is ConnectionError else [1])
    assert list(states(engine).values()) == ["dead"]


def test_the_backoff_is_what_the_policy_says(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    asked: list[int] = []

    def backoff(failures: int) -> float:
        asked.append(failures)
        return 1000.0 * failures

    runs = failing(hooks, 9, Retry(backoff=backoff, jitter=0.1))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    for failures in (1, 2):
        work(hooks)
        due = hooks.store().next_due(["flaky"])
        assert 890 * failures <= due <= 1100 * failures
        _make_due(engine)
    assert asked == [1, 2]
    assert [run[2] for run in runs] == [1, 2]


@pytest.mark.parametrize("backoff", [1e-7, 1e-5, 0.0005])
def test_the_shortest_delays_are_delays(engine: Engine, hooks: Hooks, sessions: Any, backoff: float) -> None:
    runs = failing(hooks, 2, Retry(backoff=backoff, jitter=0))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    for _ in range(3):
        work(hooks)
        _make_due(engine)
    assert [run[2] for run in runs] == [1, 2, 3]


def test_delays_grow_stay_in_their_range_and_are_moved_by_chance() -> None:
    policy = Retry(backoff=2, factor=3, longest=100, jitter=0.5)
    assert [policy.delay(n) for n in (1, 2, 3, 4, 5, 5000)] == [2, 6, 18, 54, 100, 100]
    assert [policy.delay(1, chance) for chance in (0, 0.5, 1)] == [1, 2, 3]
    assert Retry(backoff=lambda failures: -5).delay(1) == 0


def _make_due(engine: Engine) -> None:
    table = Outbox().deliveries
    with engine.begin() as connection:
        connection.execute(update(table).where(table.c.state == 0).values(due_at=table.c.created_at))


# -- order


def test_deliveries_of_one_key_run_in_the_order_of_commits_by_many_workers(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    told: dict[int, list[str]] = {}
    inside: set[int] = set()
    lock, overlaps = threading.Lock(), []

    @hooks.durable("write", Item)
    def tell(change: Change[Item]) -> None:
        with lock:
            overlaps.extend([change.key] if change.key in inside else [])
            inside.add(change.key)
        told.setdefault(change.key, []).append(change.new["name"])
        with lock:
            inside.remove(change.key)

    with sessions() as session:
        for round_ in range(15):
            for key in range(1, 5):
                if round_ == 0:
                    session.add(Item(id=key, name="0"))
                else:
                    session.get_one(Item, key).name = str(round_)
            session.commit()
    workers = [Worker(hooks, concurrency=3, batch=7) for _ in range(2)]
    threads = [threading.Thread(target=worker.run_until_idle) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    work(hooks)  # what the one left to the other
    assert told == {key: [str(n) for n in range(15)] for key in range(1, 5)}
    assert overlaps == []


@pytest.mark.parametrize("set_at_a_time", [False, True])
def test_a_key_of_ones_own_keeps_commits_in_order_though_they_write_other_rows(
    postgresql_url: str, hooks: Hooks, set_at_a_time: bool
) -> None:
    """Two transactions write different rows of one key: who writes its deliveries second commits second."""
    empty(make_url(postgresql_url))
    engine = engine_for(postgresql_url)
    made(engine)
    told: list[str] = []
    if set_at_a_time:
        hooks.add(lambda changes: told.extend(c.new["name"] for c in changes), "durable", "insert", Item, name="tell")
    else:
        hooks.add(lambda change: told.append(change.new["name"]), "durable", "insert", Item, name="tell", key="count")
    maker = sessionmaker(engine)
    attachment = attach(hooks, maker)
    written_first, may_commit, committed = threading.Event(), threading.Event(), []
    deliver = attachment.deliver

    def slowly(host: Any, work: Any) -> None:
        deliver(host, work)
        if host.session.info.get("first"):
            written_first.set()
            assert may_commit.wait(20)

    attachment.deliver = slowly  # type: ignore[method-assign]

    def transaction(name: str, key: int) -> None:
        with maker(info={"first": name == "first"}) as session:
            session.add(Item(id=key, name=name, count=7))
            session.commit()
            committed.append(name)

    first = threading.Thread(target=transaction, args=("first", 1))
    second = threading.Thread(target=transaction, args=("second", 2))
    first.start()
    assert written_first.wait(20)
    second.start()
    try:
        _until_waiting(engine, hooks)
        assert committed == []  # the second waits for the first, although their rows have nothing in common
        assert work(hooks).progress.done == 0
    finally:
        may_commit.set()
        first.join(20)
        second.join(20)
    work(hooks)
    assert len(committed) == 2  # in which order the threads came to say so, says nothing
    assert told == ["first", "second"]
    engine.dispose()


def _until_waiting(engine: Engine, hooks: Hooks) -> None:
    from sqlalchemy import text

    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(400):
        with engine.connect() as connection:
            if connection.scalar(query):
                return
            connection.execute(text("SELECT pg_sleep(0.05)"))
    pytest.fail("the second transaction does not wait")


def test_other_keys_do_not_wait_for_one_another(postgresql_url: str, hooks: Hooks) -> None:
    empty(make_url(postgresql_url))
    engine = engine_for(postgresql_url)
    made(engine)
    hooks.add(lambda change: None, "durable", "insert", Item, name="tell", key="count")
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as one, maker() as other:
        one.add(Item(id=1, name="a", count=1))
        one.flush()
        from hookline.sqlalchemy import transaction

        tx = transaction(one)
        ran: list[str] = []
        tx.before_commit(lambda: ran.append("one"))
        other.add(Item(id=2, name="b", count=2))
        other.commit()
        one.commit()
    assert ran == ["one"]
    assert len(written(engine)) == 2
    engine.dispose()


def test_hooks_do_not_wait_for_one_another(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, name="healthy", by=lambda change: change.event)
    failing(hooks, 99, Retry(backoff=3600, jitter=0))
    three_writes(sessions)
    work(hooks)
    assert sorted(told) == ["insert", "insert", "update", "update"]


# -- a poison delivery


def test_a_poison_delivery_among_ten_thousand_holds_back_its_own_key_only(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    ran: list[Any] = []

    @hooks.durable("write", Item, retry=AT_ONCE)
    def poisoned(change: Change[Item], delivery: Delivery) -> None:
        if change.key == 5000 and change.event == "insert":
            raise ZeroDivisionError
        ran.append((change.key, change.event))

    with sessions() as session:
        session.execute(insert(Item), [{"id": n, "name": "a"} for n in range(1, 10_001)])
        session.commit()
        session.execute(update(Item).where(Item.id == 5000).values(name="b"))
        session.commit()
    worker = work(hooks, concurrency=4, batch=500)
    assert (worker.progress.done, worker.progress.failed, worker.progress.dead) == (10_000, 3, 1)
    assert len(set(ran)) == len(ran) == 10_000
    assert ran[-1] == (5000, "update") or (5000, "update") in ran
    table = Outbox().deliveries
    with engine.connect() as connection:
        dead = connection.execute(select(table.c.lane, table.c.attempts).where(table.c.state == 3)).all()
    assert [tuple(row) for row in dead] == [('["Item",[5000]]', 3)]


def test_a_delivery_that_kills_its_workers_does_not_take_its_neighbours_with_it(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    """They are claimed together, again and again; only the one that was begun is to blame."""
    with sessions() as session:
        told = durable(hooks, "insert", name="tell", retry=Retry(max_attempts=2), by=lambda change: change.key)
        session.add_all([Item(id=n, name="a") for n in range(1, 6)])
        session.commit()
    store = hooks.store()
    for _ in range(4):  # workers that die before they have begun any but the first
        claims = store.take("dying", ["tell"], 10, 0.0)
        assert claims
    work(hooks)
    assert set(told) >= {2, 3, 4, 5}
    assert "dead" not in {one: state for one, state in states(engine).items() if one > 1}.values()


# -- taking out, two workers


def test_deliveries_of_a_hook_that_is_gone_wait_for_it(
    engine: Engine, hooks: Hooks, sessions: Any, caplog: Any
) -> None:
    told = durable(hooks)
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    hook = hooks.remove("tell")
    work(hooks)
    assert "1 deliveries wait for hook 'tell'" in caplog.text
    assert list(states(engine).values()) == ["pending"]
    hooks.add(hook.function, "durable", "insert", Item, name="tell")
    work(hooks)
    assert len(told) == 1


def test_a_worker_that_lost_its_lease_writes_nothing(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    from tests.durable.deliveries import Effect

    @hooks.durable("insert", Item)
    def slow(change: Change[Item], session: Session, delivery: Delivery) -> None:
        table = Outbox().deliveries
        if delivery.attempt == 1:  # meanwhile its lease ends, and another takes it
            with engine.begin() as connection:
                connection.execute(update(table).values(due_at=table.c.created_at))
            assert len(hooks.store().take("another", ["slow"], 10, 60.0)) == 1
        session.add(Effect(delivery=delivery.id, said=str(delivery.attempt)))

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        worker = work(hooks)
        assert session.scalars(select(Effect.said)).all() == []
    assert (worker.progress.done, worker.progress.failed, worker.progress.lost) == (0, 0, 1)
    assert list(states(engine).values()) == ["running"]


@pytest.mark.parametrize("how", ["given back", "lease over", "failed"])
def test_a_key_with_more_behind_it_than_a_batch_goes_on(engine: Engine, hooks: Hooks, sessions: Any, how: str) -> None:
    """What was claimed once is due later than what waits behind it, and must be claimed first all the same."""
    told = durable(hooks, "insert", key="count", by=lambda change: change.key)
    with sessions() as session:
        session.execute(insert(Item), [{"id": n, "name": "a"} for n in range(1, 41)])
        session.commit()
    store = hooks.store()
    claims = store.take("one", ["tell"], 10, 0.0 if how == "lease over" else 60.0)
    assert [claim.id for claim in claims] == [one.id for one in written(engine)[:10]]
    if how == "given back":
        store.give_back(claims)
    elif how == "failed":
        assert store.failed(claims[0], "an error", 0.0, claims[1:])
    work(hooks, batch=10)
    assert told == list(range(1, 41))


def test_that_somebody_else_is_writing_is_no_attempt(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    """On SQLite, who has read before may be refused at once."""
    attempts: list[int] = []

    @hooks.durable("insert", Item)
    def read_then_write(change: Change[Item], session: Session, delivery: Delivery) -> None:
        session.scalars(select(Effect)).all()
        attempts.append(delivery.attempt)
        session.add(Effect(delivery=delivery.id, said="x"))

    with sessions.begin() as session:
        session.add_all([Item(id=number, name="x") for number in range(60)])
    worker = Worker(hooks, concurrency=6)
    worker.run_until_idle()
    assert set(states(engine).values()) == {"done"}
    assert set(attempts) == {1}
    assert worker.progress.failed == 0
    with sessions() as session:
        assert len(session.scalars(select(Effect)).all()) == 60
