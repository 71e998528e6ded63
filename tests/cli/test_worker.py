"""`hookline worker` as a process: what it does, how it ends, and what others do when it does not."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, select

from hookline.durable import Deliveries
from tests.cli.conftest import Gate
from tests.cli.shop import Run, Shop, change, order, runs
from tests.processes import CommandLine

Start = Callable[..., CommandLine]


def states(shop: Shop) -> dict[str, int]:
    found: Counter[str] = Counter()
    for count in Deliveries(shop.hooks).counts():
        found[count.state] += count.number
    return dict(found)


def test_what_is_committed_is_delivered_and_sigterm_ends_it(shop: Shop, start: Start) -> None:
    worker = start()
    worker.wait_for("runs deliver")
    order(shop, "Ann", "Bob")
    worker.wait_for("began (Ann|Bob)", times=2)
    assert worker.end() == 0
    assert sorted(run.customer for run in runs(shop)) == ["Ann", "Bob"]
    assert states(shop) == {"done": 2}
    assert "told to stop" in worker.log
    assert "stopped: 2 done, 0 attempts failed, 0 dead, 0 lost to others" in worker.log


def test_sigint_ends_it_as_well(shop: Shop, start: Start) -> None:
    worker = start()
    worker.wait_for("runs deliver")
    worker.send(signal.SIGINT)
    assert worker.wait() == 0


def test_async_sessions_are_served_too(shop: Shop, start: Start) -> None:
    worker = start(SHOP_ASYNC="1")
    worker.wait_for("runs deliver")
    order(shop, "Ann", "Bob")
    worker.wait_for("began (Ann|Bob)", times=2)
    assert worker.end() == 0
    assert states(shop) == {"done": 2}, worker.log
    assert "Traceback" not in worker.log


def test_told_to_stop_a_running_hook_ends_and_unstarted_ones_are_given_back(
    shop: Shop, start: Start, gate: Gate
) -> None:
    order(shop, "slow Sam", "Ann", "Bob")
    worker = start("--concurrency", "1", SHOP_GATE=str(gate.path))
    worker.wait_for("began slow Sam")
    worker.send(signal.SIGTERM)
    worker.wait_for("told to stop: waiting for 1 running hooks")
    while states(shop) != {"running": 1, "pending": 2}:  # bounded by the time that a test may take
        pass
    gate.open()
    assert worker.wait() == 0
    assert states(shop) == {"done": 1, "pending": 2}
    assert {one.attempts for one in Deliveries(shop.hooks).list(state="pending")} == {0}
    assert [run.customer for run in runs(shop)] == ["slow Sam"]


def test_a_second_signal_does_not_wait(shop: Shop, start: Start, gate: Gate) -> None:
    order(shop, "slow Sam")
    worker = start(SHOP_GATE=str(gate.path))
    worker.wait_for("began slow Sam")
    worker.send(signal.SIGTERM)
    worker.wait_for("told to stop: waiting")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 1
    assert "told to stop again: not waiting for 1 running hooks" in worker.log
    assert runs(shop) == []


def test_what_does_not_end_in_its_grace_is_left_to_others(shop: Shop, start: Start, gate: Gate) -> None:
    order(shop, "slow Sam")
    worker = start("--grace", "0.1", "--lease", "1", SHOP_GATE=str(gate.path))
    worker.wait_for("began slow Sam")
    worker.send(signal.SIGTERM)
    worker.wait_for("did not end in 0.1 s; others will run them")
    other = start(SHOP_WORKER="other")
    other.wait_for("began slow Sam 0 attempt 2")
    assert other.end() == 0
    assert worker.wait() == 1
    assert [run.worker for run in runs(shop)] == ["other"]


def test_the_health_file_is_touched(shop: Shop, start: Start, tmp_path: Path) -> None:
    file = tmp_path / "healthy"
    file.touch()
    os.utime(file, (0, 0))
    worker = start("--health-file", str(file))
    order(shop, "Ann")
    worker.wait_for("began Ann")
    assert worker.end() == 0
    assert file.stat().st_mtime > 0


def test_two_workers_share_the_work_and_nothing_runs_twice(
    shop: Shop, start: Start, gate: Gate, tmp_path: Path
) -> None:
    second = Gate(tmp_path / "second")
    options = "--concurrency", "1", "--batch", "1"
    workers = {
        "A": start(*options, SHOP_WORKER="A", SHOP_GATE=str(gate.path)),
        "B": start(*options, SHOP_WORKER="B", SHOP_GATE=str(second.path)),
    }
    for worker in workers.values():
        worker.wait_for("runs deliver")
    order(shop, "slow Sam", "slow Sue", *(f"number {number}" for number in range(30)))
    for worker in workers.values():  # neither has had all: each waits with the first that it got
        worker.wait_for("began slow")
    gate.open()
    second.open()
    finished = "began number"
    while sum(worker.log.count(finished) for worker in workers.values()) < 30:
        assert all("Traceback" not in worker.log for worker in workers.values())
    assert [worker.end() for worker in workers.values()] == [0, 0]
    made = runs(shop)
    assert len(made) == 32
    assert len({run.delivery for run in made}) == 32
    assert {run.worker for run in made} == {"A", "B"}
    assert {run.attempt for run in made} == {1}


def test_poison_dies_and_holds_back_its_own_key_only(shop: Shop, start: Start) -> None:
    bad, *_ = order(shop, "poison", *(f"number {number}" for number in range(20)))
    change(shop, [bad], version=1)
    worker = start("--concurrency", "4")
    worker.wait_for("is dead after 3 attempts", times=2)
    worker.wait_for("began number", times=20)
    assert worker.end() == 0
    assert states(shop) == {"done": 20, "dead": 2}
    tries = [line.rpartition("began ")[2] for line in worker.log.splitlines() if "began poison" in line]
    assert tries == [f"poison {version} attempt {attempt}" for version in (0, 1) for attempt in (1, 2, 3)]
    assert "poison is not sold here" in worker.log


def test_retried_by_hand_it_succeeds(shop: Shop, start: Start) -> None:
    order(shop, "poison")
    worker = start()
    worker.wait_for("is dead after 3 attempts")
    assert worker.end() == 0
    deliveries = Deliveries(shop.hooks)
    (dead,) = deliveries.list(state="dead")
    assert [attempt.number for attempt in deliveries.show(dead.id).history] == [1, 2, 3]
    assert deliveries.retry([dead.id]) == 1
    cured = start(SHOP_CURE="1")
    cured.wait_for("began poison 0 attempt 1")
    assert cured.end() == 0
    assert states(shop) == {"done": 1}


def test_a_retry_wakes_a_worker_that_waits(shop: Shop, start: Start) -> None:
    order(shop, "poison")
    worker = start()
    worker.wait_for("is dead after 3 attempts")
    assert Deliveries(shop.hooks).retry(state="dead") == 1
    worker.wait_for("is dead after 3 attempts", times=2)
    assert worker.end() == 0


def test_the_order_of_a_key_holds_at_any_concurrency(shop: Shop, start: Start) -> None:
    worker = start("--concurrency", "8")
    worker.wait_for("runs deliver")
    numbers = order(shop, *(f"number {number}" for number in range(6)))
    for version in range(1, 8):
        change(shop, numbers, version)
    worker.wait_for("began number", times=48)
    assert worker.end() == 0
    versions: dict[str, list[int]] = {}
    with shop.sessions() as session:
        for run in session.scalars(select(Run).order_by(Run.id)):
            versions.setdefault(run.customer, []).append(run.version)
    assert versions == {f"number {number}": list(range(8)) for number in range(6)}, worker.log


def test_deliveries_of_a_renamed_hook_wait_and_the_log_says_so(shop: Shop, start: Start) -> None:
    order(shop, "Ann")
    renamed = start(SHOP_HOOK="send")
    renamed.wait_for("1 deliveries wait for hook 'deliver', which this rule book does not have")
    assert renamed.end() == 0
    assert states(shop) == {"pending": 1}
    worker = start()
    worker.wait_for("began Ann")
    assert worker.end() == 0
    assert states(shop) == {"done": 1}


def writable(engine: Engine) -> bool:
    """Whether nobody holds SQLite's write lock."""
    if engine.dialect.name != "sqlite":
        return True
    with closing(sqlite3.connect(str(engine.url.database), timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def test_a_suspended_worker_loses_its_delivery_and_what_it_wrote(
    engine: Engine, shop: Shop, start: Start, gate: Gate
) -> None:
    order(shop, "slow Sam")
    first = start("--lease", "1", SHOP_WORKER="first", SHOP_GATE=str(gate.path))
    first.wait_for("began slow Sam 0 attempt 1")
    first.suspend()
    while not writable(engine):  # it stands still in the middle of a heartbeat, and on SQLite nobody else may write
        first.send(signal.SIGCONT)
        first.suspend()
    second = start(SHOP_WORKER="second")
    second.wait_for("began slow Sam 0 attempt 2")
    assert second.end() == 0
    assert [(run.worker, run.attempt) for run in runs(shop)] == [("second", 2)]
    first.send(signal.SIGCONT)
    gate.open()
    first.wait_for("The lease of delivery 1 .* ended while it ran: another worker has taken it")
    assert first.end() == 0
    assert "1 lost to others" in first.log
    assert [run.worker for run in runs(shop)] == ["second"]
    assert states(shop) == {"done": 1}
