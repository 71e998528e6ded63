"""Deliveries by way of a stream, on a real NATS server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session

from hookline import Delivery, Hooks, RegistrationError, Retry, SinkError, UndeliverableError, UsageError
from hookline.durable import NatsConsumer, NatsStream, Worker
from hookline.sqlalchemy import Outbox, attach
from tests.sqlalchemy.databases import engine_for, sqlite_url

from .server import NatsServer
from .shop import Base, Order, Receipt, attached, delivery, receipts


class Stream:
    """A stream of its own for a test."""

    def __init__(self, url: str) -> None:
        self.url, self.name = url, f"shop{uuid4().hex[:8]}"
        self.subject = f"{self.name}.orders"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = await nats.connect(self.url)
        try:
            yield client
        finally:
            await client.close()

    def ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with self.client() as client:
                return await question(client.jetstream())

        return asyncio.run(asked())

    def info(self) -> StreamInfo:
        return self.ask(lambda stream: stream.stream_info(self.name))  # type: ignore[no-any-return]

    def sink(self) -> NatsStream:
        return NatsStream(self.url, self.subject, stream=self.name)

    def put(self, *deliveries: Any) -> None:
        async def put() -> None:
            sink = self.sink()
            for one in deliveries:
                await sink.deliver(one)

        asyncio.run(put())

    def consumer(self, hooks: Hooks, **options: Any) -> NatsConsumer:
        return NatsConsumer(hooks, self.url, **{"stream": self.name, "durable": "receipts", **options})

    def unfinished(self) -> tuple[int, int]:
        """What the consumer has not got, and what it has not acknowledged."""
        info = self.ask(lambda stream: stream.consumer_info(self.name, "receipts"))
        return info.num_pending, info.num_ack_pending


@pytest.fixture
def stream(nats_url: str) -> Iterator[Stream]:
    stream = Stream(nats_url)
    stream.ask(lambda manager: manager.add_stream(name=stream.name, subjects=[f"{stream.name}.*"]))
    yield stream
    stream.ask(lambda manager: manager.delete_stream(stream.name))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Engine]:
    """The database where orders are written; that of receipts is another one."""
    engine = engine_for(sqlite_url(tmp_path, "shop"))
    yield engine
    engine.dispose()


def receipt_hooks(**options: Any) -> Hooks:
    hooks = Hooks()

    @hooks.durable("insert", Order, **options)
    def send_receipt(change: Any, session: Session) -> None:
        session.add(Receipt(order_id=change.key, price=change.new["price"]))

    return hooks


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens, as long as the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def some_hooks(shop: Engine) -> Iterator[Hooks]:
    hooks = receipt_hooks()
    with attached(hooks, shop)[0]:
        yield hooks


# -- publishing


def test_change_goes_by_worker_and_stream_to_the_hook_of_that_name(
    stream: Stream, shop: Engine, engine: Engine
) -> None:
    hooks, remote = Hooks(), receipt_hooks()
    hooks.durable("insert", Order, to=stream.sink(), name="send_receipt")
    with attached(hooks, shop)[0] as attachment, attachment.session() as session:
        session.add_all(Order(id=number, price=Decimal("0.10") * number) for number in (1, 2, 3))
        session.commit()
        assert Worker(hooks).run_until_idle() == 3
    with attached(remote, engine)[0]:
        consumer = stream.consumer(remote)
        assert consumer.run_until_idle() == 3
        assert consumer.run_until_idle() == 0
    with Session(engine) as session:
        found = {receipt.order_id: receipt.price for receipt in session.query(Receipt)}
    assert found == {1: Decimal("0.10"), 2: Decimal("0.20"), 3: Decimal("0.30")}
    assert stream.unfinished() == (0, 0)


def test_stream_takes_a_delivery_once_however_often_it_is_published(stream: Stream) -> None:
    stream.put(delivery(1), delivery(2), delivery(1), delivery(1))
    assert stream.info().state.messages == 2


def test_message_names_hook_and_delivery(stream: Stream) -> None:
    stream.put(delivery(1, "send_receipt"))
    message = stream.ask(lambda manager: manager.get_msg(stream.name, 1))
    assert message.data == delivery().body
    assert message.headers["Nats-Msg-Id"] == "3f-1"
    assert message.headers["Hookline-Hook"] == "send_receipt"


async def test_connection_is_shared_and_made_anew_when_it_was_lost(stream: Stream) -> None:
    sink = stream.sink()
    await asyncio.gather(*(sink.deliver(delivery(number)) for number in range(10)))
    async with sink._server.connection(5) as client:
        assert client.stats["out_msgs"] >= 10
        await client.close()
    await sink.deliver(delivery(11))
    async with sink._server.connection(5) as other:
        assert other is not client


async def test_server_that_is_not_there_is_an_error(free_port: int, some_hooks: Hooks) -> None:
    url = f"nats://ann:secret@127.0.0.1:{free_port}"
    with pytest.raises(SinkError, match="cannot be connected to") as raised:
        await NatsStream(url, "shop.orders").deliver(delivery())
    assert "secret" not in str(raised.value) + repr(NatsStream(url, "shop.orders"))
    at_once = {"max_reconnect_attempts": 1, "reconnect_time_wait": 0}
    consumer = NatsConsumer(some_hooks, url, stream="shop", durable="receipts", options=at_once)
    with pytest.raises(SinkError, match="cannot be connected to"):
        await consumer.serve()
    assert "secret" not in repr(consumer)


def test_what_was_committed_while_the_server_was_away_arrives_when_it_is_back(
    nats_server: NatsServer, shop: Engine, tmp_path: Path
) -> None:
    stream = Stream(nats_server.url)
    stream.ask(lambda manager: manager.add_stream(name=stream.name, subjects=[stream.subject]))
    hooks, remote, arrived, failed = Hooks(), Hooks(), [Event(), Event()], Event()

    class Told(NatsStream):
        async def deliver(self, delivery: Delivery) -> None:
            try:
                await super().deliver(delivery)
            except SinkError:
                failed.set()
                raise

    sink = Told(stream.url, stream.subject, timeout=1)
    hooks.durable("insert", Order, to=sink, name="tell", retry=Retry(max_attempts=100, backoff=0.2, factor=1))

    @remote.durable("insert", Order)
    def tell(change: Any) -> None:
        arrived[change.key].set()

    other = engine_for(sqlite_url(tmp_path, "other"))
    with attached(hooks, shop)[0] as attachment, attached(remote, other)[0]:
        options = {"reconnect_time_wait": 0.1}
        with Worker(hooks), stream.consumer(remote, options=options), attachment.session() as session:
            session.add(Order(id=0))
            session.commit()
            assert arrived[0].wait(20)
            nats_server.stop()
            session.add(Order(id=1))
            session.commit()
            assert failed.wait(20)
            nats_server.start()
            assert arrived[1].wait(20)
    other.dispose()


async def test_subject_that_no_stream_takes_is_an_error_that_says_how_to_make_one(stream: Stream) -> None:
    with pytest.raises(SinkError, match=r"nats stream add NAME --subjects elsewhere\.orders"):
        await NatsStream(stream.url, "elsewhere.orders").deliver(delivery())
    with pytest.raises(SinkError, match="was not acknowledged"):
        await NatsStream(stream.url, stream.subject, stream="another").deliver(delivery())


# -- consuming


def test_message_that_comes_again_does_not_run_again(stream: Stream, engine: Engine) -> None:
    stream.put(delivery(1, "send_receipt"))
    hooks = receipt_hooks()
    with attached(hooks, engine)[0]:
        assert stream.consumer(hooks).run_until_idle() == 1
        # The stream has lost what was acknowledged.
        stream.ask(lambda manager: manager.delete_consumer(stream.name, "receipts"))
        again = stream.consumer(hooks)
        assert again.run_until_idle() == 0
    assert again.progress.lost == 1
    assert receipts(engine) == [7]
    assert stream.unfinished() == (0, 0)


def test_message_that_comes_to_two_at_the_same_time_is_written_once(stream: Stream, engine: Engine) -> None:
    stream.put(delivery(1, "send_receipt"))
    hooks, inside, go_on = Hooks(), [Event(), Event()], Event()

    @hooks.durable("insert", Order)
    def send_receipt(change: Any, session: Session) -> None:
        next(one for one in inside if not one.is_set()).set()
        assert go_on.wait(20)
        session.add(Receipt(order_id=change.key, price=change.new["price"]))

    with attached(hooks, engine)[0]:
        first, second = stream.consumer(hooks, durable="first"), stream.consumer(hooks, durable="second")
        with first:
            assert inside[0].wait(20)
            with second:
                assert inside[1].wait(20)
                go_on.set()
        # On SQLite there is one writer: the other may be refused, and then the message comes again.
        for consumer in (first, second):
            consumer.run_until_idle()
    assert first.progress.done + second.progress.done == 1
    assert receipts(engine) == [7]


def test_hook_that_fails_runs_again_after_the_delay_of_its_policy(stream: Stream, engine: Engine) -> None:
    stream.put(delivery(1, "send_receipt"))
    hooks, attempts, over = Hooks(), [], Event()

    @hooks.durable("insert", Order, retry=Retry(backoff=0.05, factor=1))
    def send_receipt(change: Any, session: Session, delivery: Any) -> None:
        attempts.append((delivery.attempt, delivery.id, delivery.created_at.year))
        session.add(Receipt(order_id=change.key, price=change.new["price"]))
        if delivery.attempt < 3:
            session.flush()
            raise ValueError("not yet")
        over.set()

    with attached(hooks, engine)[0], stream.consumer(hooks) as consumer:
        assert over.wait(20)
    assert attempts == [(1, "3f-1", 2025), (2, "3f-1", 2025), (3, "3f-1", 2025)]
    assert (consumer.progress.failed, consumer.progress.done) == (2, 1)
    assert receipts(engine) == [7]
    assert stream.unfinished() == (0, 0)


@pytest.mark.parametrize(
    ("error", "attempts"), [(ValueError("never"), 2), (UndeliverableError("never"), 1)], ids=["last", "final"]
)
def test_message_whose_last_attempt_failed_is_terminated_and_logged(
    stream: Stream, engine: Engine, caplog: pytest.LogCaptureFixture, error: Exception, attempts: int
) -> None:
    stream.put(delivery(1, "send_receipt"), delivery(2, "send_receipt"))
    hooks, tried, over = Hooks(), [], Event()

    @hooks.durable("insert", Order, retry=Retry(max_attempts=2, backoff=0))
    def send_receipt(delivery: Any) -> None:
        if delivery.id == "3f-1":
            tried.append(delivery.attempt)
            if len(tried) == attempts:
                over.set()
            raise error

    with attached(hooks, engine)[0], stream.consumer(hooks) as consumer:
        assert over.wait(20)
        consumer.stop()
        consumer.run_until_idle()
    assert tried == list(range(1, attempts + 1))
    assert (consumer.progress.dead, consumer.progress.done) == (1, 1)
    assert stream.unfinished() == (0, 0)
    assert "delivery 3f-1" in caplog.text
    assert "is dead" in caplog.text


def test_message_for_a_hook_that_is_not_there_waits_and_says_so(
    stream: Stream, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    stream.put(delivery(1, "send_invoice"), delivery(2, "send_receipt"), delivery(3, "send_invoice"))
    hooks = receipt_hooks()
    with attached(hooks, engine)[0]:
        assert stream.consumer(hooks).run_until_idle() == 1
    assert stream.unfinished() == (0, 2)
    assert caplog.text.count("'send_invoice'") == 1


def test_message_that_is_no_delivery_is_terminated_and_logged(
    stream: Stream, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    stream.ask(lambda manager: manager.publish(stream.subject, b"hello"))
    hooks = receipt_hooks()
    with attached(hooks, engine)[0]:
        assert stream.consumer(hooks).run_until_idle() == 0
    assert stream.unfinished() == (0, 0)
    assert "message 1" in caplog.text


def test_body_that_cannot_be_a_change_again_fails_on_the_hooks_terms(stream: Stream, engine: Engine) -> None:
    gone = delivery().body.replace(b"Order", b"Parcel")
    stream.put(delivery(1, "send_receipt", gone), delivery(2, "send_receipt", b"no json"))
    hooks = receipt_hooks(retry=Retry(max_attempts=1))
    with attached(hooks, engine)[0]:
        consumer = stream.consumer(hooks)
        consumer.run_until_idle()
    assert consumer.progress.dead == 2


def test_stream_is_told_that_a_hook_is_at_work(stream: Stream, engine: Engine) -> None:
    stream.put(delivery(1, "send_receipt"))
    hooks, told = Hooks(), Event()

    @hooks.durable("insert", Order)
    def send_receipt(session: Session, delivery: Any) -> None:
        assert told.wait(20)
        assert delivery.attempt == 1

    async def watched() -> int:
        async with stream.client() as client:

            async def heard(message: Any) -> None:
                if message.data == b"+WPI":
                    told.set()

            await client.subscribe(f"$JS.ACK.{stream.name}.receipts.>", cb=heard)
            await client.flush()
            consumer = stream.consumer(hooks, ack_wait=1)
            await consumer.serve(until_idle=True)
            return consumer.progress.done

    with attached(hooks, engine)[0]:
        assert asyncio.run(watched()) == 1
    assert stream.unfinished() == (0, 0)


def test_consumers_work_on_several_messages_at_the_same_time(stream: Stream, engine: Engine) -> None:
    stream.put(*(delivery(number, "meet") for number in range(3)))
    hooks, here, all_here = Hooks(), [], Event()

    @hooks.durable("insert", Order)
    async def meet(delivery: Any) -> None:
        here.append(delivery.id)
        if len(here) == 3:
            all_here.set()
        await asyncio.to_thread(all_here.wait, 20)

    with attached(hooks, engine)[0]:
        assert stream.consumer(hooks, concurrency=3).run_until_idle() == 3
    assert sorted(here) == ["3f-0", "3f-1", "3f-2"]


async def test_async_sessions_consume_too(stream: Stream, async_engine: AsyncEngine) -> None:
    sink = stream.sink()
    for number in (1, 2):
        await sink.deliver(replace(delivery(number, "send_receipt")))
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(Outbox().create_tables)
    hooks, seen = Hooks(), []

    @hooks.durable("insert", Order)
    async def send_receipt(change: Any, session: Any) -> None:
        seen.append(await session.get(Order, change.key))
        session.add(Receipt(order_id=change.key + len(seen), price=change.new["price"]))

    with attach(hooks, async_sessionmaker(async_engine)):
        consumer = stream.consumer(hooks)
        await consumer.serve(until_idle=True)
    assert consumer.progress.done == 2
    assert seen == [None, None]


def test_stream_that_is_not_there_is_an_error_that_says_how_to_make_it(nats_url: str, some_hooks: Hooks) -> None:
    with pytest.raises(UsageError, match="nats stream add nowhere"):
        NatsConsumer(some_hooks, nats_url, stream="nowhere", durable="receipts").run_until_idle()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda hooks: NatsStream("localhost", "shop.orders"), "nats://localhost:4222"),
        (lambda hooks: NatsStream("nats://localhost", "shop.*"), "one subject"),
        (lambda hooks: NatsStream("nats://localhost", "shop..orders"), "one subject"),
        (lambda hooks: NatsStream("nats://localhost", ""), "one subject"),
        (lambda hooks: NatsStream("nats://localhost", "shop", timeout=0), "timeout"),
        (lambda hooks: NatsConsumer(hooks, "nats://h", stream="s", durable="d", concurrency=0), "concurrency"),
        (lambda hooks: NatsConsumer(hooks, "nats://h", stream="s", durable="d", poll=0), "poll"),
        (lambda hooks: NatsConsumer(Hooks(), "nats://h", stream="s", durable="d"), "attach"),
    ],
)
def test_what_cannot_be_is_refused_at_once(make: Callable[[Hooks], object], message: str, some_hooks: Hooks) -> None:
    with pytest.raises(RegistrationError, match=message):
        make(some_hooks)


def test_log_says_what_a_consumer_has_done(stream: Stream, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hookline.worker")
    stream.put(delivery(1, "send_receipt"))
    hooks = receipt_hooks()
    with attached(hooks, engine)[0]:
        stream.consumer(hooks).run_until_idle()
    assert "1 done" in caplog.text
