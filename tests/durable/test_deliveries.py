"""`Deliveries`: looking after deliveries from a program, sync and async."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from hookline import DeliveryError, Hooks, RegistrationError, Retry, UsageError
from hookline.durable import Deliveries, Worker
from hookline.sqlalchemy import Outbox, attach


class Base(DeclarativeBase):
    pass


class Letter(Base):
    __tablename__ = "letter"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Post:
    """A rule book with a hook that fails as long as it is told to."""

    def __init__(self, engine: Engine, retry: Retry | None = None) -> None:
        Base.metadata.create_all(engine)
        Outbox().create_tables(engine)
        self.hooks, self.fails, self.sent = Hooks(), False, list[str]()
        self.sessions = sessionmaker(engine)

        @self.hooks.durable("save", Letter, retry=retry or Retry(max_attempts=1))
        def send(change):
            if self.fails:
                raise OSError("the post is on strike")
            self.sent.append(change.new["text"])

        attach(self.hooks, self.sessions)
        self.deliveries = Deliveries(self.hooks)

    def write(self, *texts: str) -> None:
        with self.sessions() as session:
            session.add_all(Letter(text=text) for text in texts)
            session.commit()

    def rewrite(self, number: int, text: str) -> None:
        with self.sessions() as session:
            session.get_one(Letter, number).text = text
            session.commit()

    def work(self) -> None:
        Worker(self.hooks).run_until_idle()


def test_a_delivery_is_seen_through_its_life(engine: Engine) -> None:
    post = Post(engine)
    post.write("Hello")
    (waiting,) = post.deliveries.list()
    assert (waiting.id, waiting.hook, waiting.state, waiting.attempts) == (1, "send", "pending", 0)
    assert waiting.due_in <= 0 <= waiting.age
    assert (waiting.error, waiting.reason) == (None, "")
    post.fails = True
    post.work()
    dead = post.deliveries.show(1)
    assert (dead.state, dead.attempts, dead.reason) == ("dead", 1, "OSError: the post is on strike")
    (attempt,) = dead.history
    assert (attempt.number, attempt.reason) == (1, dead.reason)
    assert attempt.worker == dead.worker.partition("/")[0]
    assert attempt.ended_at >= dead.created_at
    post.fails = False
    assert post.deliveries.retry([1]) == 1
    assert [count.state for count in post.deliveries.counts()] == ["pending"]
    post.work()
    assert post.sent == ["Hello"]
    assert post.deliveries.show(1).state == "done"


def test_what_runs_or_is_done_is_left_alone(engine: Engine) -> None:
    post = Post(engine)
    post.write("Hello")
    post.work()
    assert post.deliveries.retry([1]) == post.deliveries.cancel([1]) == 0
    assert post.deliveries.retry(hook="send") == 0


def test_many_are_moved_at_once(engine: Engine) -> None:
    post = Post(engine)
    post.write(*(str(number) for number in range(1_200)))
    ids = [one.id for one in post.deliveries.list(limit=None)]
    assert post.deliveries.cancel(ids) == 1_200
    assert post.deliveries.retry(state="cancelled") == 1_200


def test_it_must_be_said_which_are_meant(engine: Engine) -> None:
    post = Post(engine)
    post.write("Hello")
    for method in (post.deliveries.retry, post.deliveries.cancel):
        with pytest.raises(DeliveryError, match="Say which deliveries are meant"):
            method()
        with pytest.raises(DeliveryError, match="Did you mean 'dead'"):
            method(state="ded")


def test_a_cancelled_delivery_calls_up_those_that_waited_for_it(engine: Engine) -> None:
    post = Post(engine, Retry(max_attempts=5, backoff=3600, jitter=0))
    post.write("one")
    post.rewrite(1, "two")
    post.fails = True
    post.work()
    assert [round(one.due_in / 60) for one in post.deliveries.list()] == [60, 60]
    post.fails = False
    assert post.deliveries.cancel([1]) == 1
    post.work()
    assert post.sent == ["two"]


def test_a_waiting_delivery_that_is_retried_calls_up_those_behind_it(engine: Engine) -> None:
    post = Post(engine, Retry(max_attempts=5, backoff=3600, jitter=0))
    post.write("one")
    post.rewrite(1, "two")
    post.fails = True
    post.work()
    post.fails = False
    assert post.deliveries.retry([1]) == 1
    post.work()
    assert post.sent == ["one", "two"]


def test_pruned_deliveries_take_their_attempts_with_them(engine: Engine) -> None:
    post = Post(engine)
    post.fails = True
    post.write("Hello", "Goodbye")
    post.work()
    post.fails = False
    post.deliveries.retry([1])
    post.work()
    assert post.deliveries.prune(dt.timedelta(hours=1)) == 0
    assert post.deliveries.prune(dt.timedelta()) == 1
    with pytest.raises(DeliveryError, match="There is no delivery 1"):
        post.deliveries.show(1)
    with engine.connect() as connection:
        assert connection.scalars(select(Outbox().attempts.c.delivery)).all() == [2]
    with pytest.raises(DeliveryError, match="Only deliveries that are done, dead or cancelled"):
        post.deliveries.prune(dt.timedelta(), ["pending"])


def test_counts_say_how_late_it_is(engine: Engine) -> None:
    post = Post(engine)
    post.write("Hello")
    post.work()
    post.write("Goodbye")
    pending, done = post.deliveries.counts()
    assert (pending.state, pending.number, done.state, done.number) == ("pending", 1, "done", 1)
    assert pending.overdue >= 0 == done.overdue
    assert done.oldest >= pending.oldest


def test_problems_are_what_is_late_or_waits_for_nobody(engine: Engine) -> None:
    post = Post(engine)
    assert post.deliveries.problems(0) == ()
    post.write("Hello")
    assert post.deliveries.problems(600) == ()
    (late,) = post.deliveries.problems(0)
    assert "could have run" in late
    post.hooks.remove("send")
    (gone,) = post.deliveries.problems(600)
    assert gone == "deliveries wait for hook 'send', which this rule book does not have"


def test_a_rule_book_without_sessions_has_no_deliveries() -> None:
    with pytest.raises(RegistrationError, match="attach"):
        Deliveries(Hooks())


async def test_in_a_coroutine_sync_sessions_are_asked_in_a_thread(engine: Engine) -> None:
    post = Post(engine)
    post.write("Hello")
    assert [one.state for one in await post.deliveries.call(post.deliveries.list, hook="send")] == ["pending"]


async def test_async_sessions_are_awaited(engine: Engine, async_engine: AsyncEngine) -> None:
    Post(engine).write("Hello")
    hooks = Hooks()
    hooks.add(lambda change: None, "durable", "save", Letter, name="send")
    attach(hooks, async_sessionmaker(async_engine))
    deliveries = Deliveries(hooks)
    assert deliveries.asynchronous
    assert [count.number for count in await deliveries.call(deliveries.counts)] == [1]
    assert await deliveries.call(deliveries.cancel, [1]) == 1
    with pytest.raises(UsageError, match=r"await deliveries\.call\(deliveries\.counts\)"):
        deliveries.counts()
