"""From a commit, by a worker, to a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from threading import Event, current_thread

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from hookline import Delivery, Hooks, Retry, UndeliverableError, becomes
from hookline.durable import Webhook, Worker
from hookline.sqlalchemy import Outbox, attach

from .receiver import Receiver, receiving
from .shop import SECRET, Base, Customer, Order, attached


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hooked(receiver: Receiver) -> tuple[Hooks, Webhook]:
    return Hooks(), Webhook(receiver.url, SECRET, allow_private=True)


def test_change_is_delivered_to_the_webhook_after_the_commit(engine: Engine, receiver: Receiver) -> None:
    hooks, webhook = hooked(receiver)
    hook = hooks.durable("update", Order, to=webhook, when=becomes("status", "paid"), name="tell")
    assert hook.name == "tell"
    with attached(hooks, engine)[0] as attachment, attachment.session() as session:
        session.add(order := Order(id=7, price=Decimal("1.50")))
        session.commit()
        order.status = "paid"
        session.commit()
        assert Worker(hooks).run_until_idle() == 1
    (request,) = receiver.got()
    body = request.verified()
    assert body.pop("id") == request.headers["webhook-id"]
    assert body.pop("created_at")
    row = {"id": 7, "price": {"$decimal": "1.50"}, "customer_id": None}
    assert body == {
        "hook": "tell",
        "event": "update",
        "model": "Order",
        "key": 7,
        "fields": ["status"],
        "old": row | {"status": "new"},
        "new": row | {"status": "paid"},
    }


def test_deletes_and_links_have_bodies_of_their_own(engine: Engine, receiver: Receiver) -> None:
    hooks, webhook = hooked(receiver)
    hooks.durable("delete", Order, to=webhook)
    hooks.durable("link", Order.customer, to=webhook)
    with attached(hooks, engine)[0] as attachment, attachment.session() as session:
        session.add(order := Order(id=7, customer=Customer(id=3)))
        session.commit()
        Worker(hooks).run_until_idle()
        session.delete(order)
        session.commit()
        Worker(hooks).run_until_idle()
    link, gone = (request.verified() for request in receiver.got())
    assert link["hook"] == "link Order.customer to " + webhook.origin
    assert link["relation"] == "customer"
    assert link["subject"] == {"model": "Order", "key": {"id": 7}}
    assert link["object"] == {"model": "Customer", "key": {"id": 3}}
    assert (gone["event"], gone["key"], gone["old"]["id"], gone["new"]) == ("delete", 7, 7, None)


def test_delivery_is_tried_until_it_is_taken_with_the_same_id_and_body(engine: Engine) -> None:
    with receiving(500, 302, 503, 200) as receiver:
        hooks, webhook = hooked(receiver)
        hooks.durable("insert", Order, to=webhook, retry=Retry(backoff=0))
        with attached(hooks, engine)[0] as attachment, Worker(hooks), attachment.session() as session:
            session.add(Order(id=7))
            session.commit()
            requests = [receiver.next() for _ in range(4)]
        assert Worker(hooks, of=attachment).run_until_idle() == 0
        assert receiver.got() == []
    assert len({(request.headers["webhook-id"], request.body) for request in requests}) == 1
    assert all(request.verified() for request in requests)


def test_delivery_to_a_receiver_that_is_gone_is_dead_and_the_next_is_tried(engine: Engine) -> None:
    with receiving(410, 200) as receiver:
        hooks, webhook = hooked(receiver)
        hooks.durable("write", Order, to=webhook)
        with attached(hooks, engine)[0] as attachment, attachment.session() as session:
            session.add(order := Order(id=7))
            session.commit()
            order.status = "paid"
            session.commit()
            worker = Worker(hooks)
            worker.run_until_idle()
        assert (worker.progress.dead, worker.progress.done) == (1, 1)
        assert len(receiver.got()) == 2


async def test_async_sessions_have_webhooks_too(async_engine: AsyncEngine) -> None:
    with receiving() as receiver:
        hooks, webhook = hooked(receiver)
        async with async_engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.run_sync(Outbox().create_tables)
        hooks.durable("insert", Order, to=webhook)
        sessions = async_sessionmaker(async_engine)
        with attach(hooks, sessions):
            async with sessions() as session:
                session.add(Order(id=7))
                await session.commit()
            worker = Worker(hooks)
            await worker.serve(until_idle=True)
        assert worker.progress.done == 1
        assert receiver.next().verified()["key"] == 7


class Ledger:
    """A sink in one file."""

    name = "the ledger"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def deliver(self, delivery: Delivery) -> None:
        self.lines.append(current_thread().name)


class LoopLedger(Ledger):
    async def deliver(self, delivery: Delivery) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.lines.append(current_thread().name)


@pytest.mark.parametrize("kind", [Ledger, LoopLedger])
def test_sink_of_ones_own_is_sync_or_async(engine: Engine, kind: type[Ledger]) -> None:
    hooks, ledger = Hooks(), kind()
    assert hooks.durable("insert", Order, to=ledger).name == "insert Order to the ledger"
    with attached(hooks, engine)[0] as attachment, attachment.session() as session:
        session.add(Order(id=7))
        session.commit()
        assert Worker(hooks).run_until_idle() == 1
    (thread,) = ledger.lines
    assert (thread == current_thread().name) is (kind is LoopLedger)  # async ones run in the loop, others in threads


def test_hook_that_says_so_is_not_tried_again(engine: Engine) -> None:
    hooks, tried = Hooks(), Event()

    @hooks.durable("insert", Order, retry=Retry(backoff=0))
    def refuse(change: object) -> None:
        tried.set()
        raise UndeliverableError("the account is closed")

    with attached(hooks, engine)[0] as attachment, attachment.session() as session:
        session.add(Order(id=7))
        session.commit()
        worker = Worker(hooks)
        worker.run_until_idle()
    assert tried.is_set()
    assert (worker.progress.failed, worker.progress.dead) == (1, 1)
