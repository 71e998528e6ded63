"""Workers in the process of the application."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from hookline import Hooks, Retry
from hookline.durable import Deliveries, Worker
from hookline.sqlalchemy import attach
from tests.durable.test_deliveries import Letter, Post


def test_leaving_the_block_waits_no_longer_than_the_grace(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    post = Post(engine)
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    @post.hooks.durable("save", Letter)
    def stay(change):
        began.set()
        go_on.wait(60)
        ended.set()

    post.write("Hello")
    with Worker(post.hooks, grace=0.05, poll=0.02):
        assert began.wait(60)
    assert "1 hooks of" in caplog.text
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(60)


async def test_async_hooks_that_do_not_end_in_time_are_cancelled(engine: Engine, async_engine: AsyncEngine) -> None:
    Post(engine).write("Hello")
    hooks, began, cancelled = Hooks(), asyncio.Event(), asyncio.Event()

    @hooks.durable("save", Letter, name="send")
    async def stay(change):
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    attach(hooks, async_sessionmaker(async_engine))
    worker = Worker(hooks, grace=0.05, poll=0.02)
    serving = asyncio.create_task(worker.serve())
    await asyncio.wait_for(began.wait(), 60)
    worker.stop()
    await asyncio.wait_for(serving, 60)
    assert cancelled.is_set()
    deliveries = Deliveries(hooks)
    assert (await deliveries.call(deliveries.show, 1)).state == "running"  # until its lease ends


def test_the_first_deliveries_of_a_database_are_not_in_each_others_way(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    post, together = Post(engine), threading.Barrier(4, timeout=60)

    @post.hooks.durable("save", Letter)
    def note(change, delivery):
        together.wait()
        numbers.append(delivery.id)

    numbers: list[str] = []
    post.hooks.remove("send")
    post.write("a", "b", "c", "d")
    Worker(post.hooks, concurrency=4).run_until_idle()
    assert len(set(numbers)) == 4
    assert len({number.partition("-")[0] for number in numbers}) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_last_attempt_is_known_to_be_the_last(engine: Engine) -> None:
    post, tries = Post(engine), []
    post.hooks.remove("send")

    @post.hooks.durable("save", Letter, retry=Retry(max_attempts=2, backoff=0))
    def never(change, delivery):
        tries.append((delivery.attempt, delivery.is_last))
        raise OSError("the post is on strike")

    post.write("Hello")
    Worker(post.hooks).run_until_idle()
    assert tries == [(1, False), (2, True)]


def test_deliveries_that_nobody_can_run_are_told_of(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    post = Post(engine)
    post.write("Hello")
    post.hooks.remove("send")
    Worker(post.hooks).run_until_idle()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.partition(",")[0] for line in told] == ["1 deliveries wait for hook 'send'"]
