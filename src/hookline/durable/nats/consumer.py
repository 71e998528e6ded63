"""Runs durable hooks for the messages of a stream: the other end of `NatsStream`."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from hookline.core.delivery import Delivery
from hookline.core.hook import Hook
from hookline.core.registry import Hooks
from hookline.durable.calls import Calls
from hookline.durable.extras import needed
from hookline.durable.nats.connection import Server
from hookline.durable.nats.message import delivery_of, hook_of
from hookline.durable.service import Service
from hookline.errors import RegistrationError, UsageError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

log = logging.getLogger("hookline.worker")

_TENDING: Final = 3600.0
"""Seconds between prunings."""

_UNKNOWN: Final = 60.0
"""Seconds after which the stream gives again what no hook here has the name of."""

_ANSWERING: Final = 5.0
"""Seconds that the server has to answer."""

_SOON: Final = 0.2
"""Seconds within which a stream that has something gives it."""


class NatsConsumer(Service):
    """Runs the durable hooks of a rule book for the messages that a `NatsStream` has published.

    A message names its hook: the consumer runs its own durable hook of that name, with the change, in a session of its
    own database. Conditions were asked where the change was written, and are not asked again. What the hook writes
    there happens exactly once: the delivery's id is kept in the same transaction, in the table ``received`` of the
    outbox. What it does elsewhere happens at least once.

    After success the message is acknowledged. After a failure it is given back, and comes again after the delay of the
    hook's `Retry`; after the last attempt it is terminated, and logged as dead. A message for a hook that is not there
    waits until it is, and the log says so.

    Args:
        hooks: The rule book; it must be attached.
        url: ``nats://host:4222``; several with commas between them.
        stream: The stream; it must be there.
        durable: The name of the consumer in the stream; made if it is not there. All that share it share the work.
        subject: Only messages of this subject, with wildcards; all if left out.
        of: Which attachment, if there are several.
        concurrency: How many messages are worked on at the same time. With 1 they run in the order of the stream, as
            long as none fails; the stream keeps no order by key.
        ack_wait: Seconds after which the stream gives a message to another one if nothing is heard. While a hook runs,
            the stream is told that it does.
        poll: Seconds that one question for messages lasts; stopping may take as long.
        keep: How long is remembered what ran; a message that comes again later than that runs again. None for ever.
        grace: Seconds that running hooks have to end when it is told to stop.
        options: More arguments of ``nats.connect``.

    Attributes:
        progress: What it has done so far; ``lost`` counts what had run already.

    Raises:
        RegistrationError: One of these cannot be, or the rule book is not attached.
        UsageError: The extra ``nats`` is not installed.

    Example:
        >>> consumer = NatsConsumer(hooks, "nats://localhost:4222", stream="shop", durable="receipts")
        >>> consumer.run()  # until SIGTERM or SIGINT  # doctest: +SKIP
    """

    def __init__(
        self, hooks: Hooks, url: str, *, stream: str, durable: str, subject: str | None = None, of: Any = None,
        concurrency: int = 1, ack_wait: float = 30.0, poll: float = 1.0,
        keep: dt.timedelta | None = dt.timedelta(days=7), grace: float = 30.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if concurrency < 1:
            raise RegistrationError(f"concurrency is at least 1, not {concurrency!r}.")
        if ack_wait <= 0 or poll <= 0:
            raise RegistrationError(f"ack_wait and poll are seconds, more than 0, not {ack_wait!r} and {poll!r}.")
        super().__init__(f"{durable} of {stream}", hooks.store(of))
        self.hooks, self.concurrency = hooks, concurrency
        self._server = Server(url, options, "NatsConsumer")
        self._api, self._nats = needed("nats.js.api", "nats", "NatsConsumer"), needed("nats", "nats", "NatsConsumer")
        self._stream, self._durable, self._subject = stream, durable, subject
        self._ack_wait, self._poll, self._keep, self._grace = ack_wait, poll, keep, grace
        self._slots: set[asyncio.Task[None]] = set()
        self._unknown: set[str] = set()
        self._tended = 0.0

    def __repr__(self) -> str:
        return f"<NatsConsumer {self.name} at {self._server.origin}>"

    @property
    def running(self) -> int:
        """How many hooks run now."""
        return len(self._slots)

    # -- the loop

    async def serve(self, *, until_idle: bool = False) -> None:
        """Run as a task of an application, until `stop` or until it is cancelled.

        Args:
            until_idle: Return as soon as the stream has nothing that is due.

        Raises:
            SinkError: The server cannot be reached.
            UsageError: The stream is not there.
        """
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._calls = Calls(self._store, self.concurrency + 1)
        try:
            await self._calls.do(self._store.check)
            client = await self._server.connect(_ANSWERING, lasting=True)
            try:
                await self._consume(await self._subscribed(client), until_idle)
            finally:
                await self._ended()
                await client.close()
        finally:
            self._calls.close(wait=not self._slots)
            log.info("%s stopped: %s", self.name, self.progress)

    async def _subscribed(self, client: Client) -> Any:
        config = self._api.ConsumerConfig(
            ack_policy=self._api.AckPolicy.EXPLICIT, ack_wait=self._ack_wait, max_deliver=-1
        )
        try:
            found = await client.jetstream().pull_subscribe(
                self._subject or "", durable=self._durable, stream=self._stream, config=config
            )
            info = await found.consumer_info()
        except self._nats.js.errors.NotFoundError as error:
            raise UsageError(
                f"There is no stream {self._stream!r} at {self._server.origin}: {error.description}. "
                f"Make it: nats stream add {self._stream} --subjects ..."
            ) from None
        self._ack_wait = info.config.ack_wait or self._ack_wait  # of one that was there before
        return found

    async def _consume(self, subscription: Any, until_idle: bool) -> None:
        while not self._stopping:
            self._wake.clear()
            if len(self._slots) >= self.concurrency:
                await self._wake.wait()
                continue
            try:
                await self._tend()
                message = await self._next(subscription, _SOON if until_idle else self._poll)
            except Exception:  # the server or the database may be away: whatever it is, it is tried again, and said
                log.exception("%s cannot get messages; trying again", self.name)
                await self._called(self._poll)
                continue
            if message is not None and self._stopping:
                await message.nak()
            elif message is not None:
                slot = asyncio.create_task(self._handle(message))
                self._slots.add(slot)
                slot.add_done_callback(self._slot_ended)
            elif until_idle and not self._slots and not (await subscription.consumer_info()).num_pending:
                return

    async def _next(self, subscription: Any, seconds: float) -> Msg | None:
        """The next message; None if there was none. To stop does not end it: the message on its way would be lost."""
        try:
            (message,) = await subscription.fetch(1, timeout=seconds)
        except TimeoutError:
            return None
        return message  # type: ignore[no-any-return]

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        self._wake.set()
        if not slot.cancelled() and slot.exception() is not None:
            log.error("a slot of %s failed", self.name, exc_info=slot.exception())

    async def _ended(self) -> None:
        if self._slots:
            _, late = await asyncio.wait(self._slots, timeout=self._grace)
            if late:
                log.warning("%d hooks of %s did not end in %s s; they run again", len(late), self.name, self._grace)

    async def _tend(self) -> None:
        if self._keep is not None and (not self._tended or monotonic() - self._tended >= _TENDING):
            self._tended = monotonic()
            await self._calls.do(self._store.inbox.prune, self._keep)

    # -- one message

    async def _handle(self, message: Msg) -> None:
        name = hook_of(message)
        if name is None:
            log.error("message %d of %s is no delivery, and is terminated", message.metadata.sequence.stream, self.name)
            return await message.term()
        hook = await self._hook(name)
        if hook is None:
            if name not in self._unknown:
                self._unknown.add(name)
                log.warning(
                    "messages of %s wait for hook %r, which this rule book does not have. They come again until it "
                    "is there under that name.", self.name, name,
                )  # fmt: skip
            return await message.nak(delay=_UNKNOWN)
        assert hook.terms is not None
        delivery = delivery_of(message, hook.terms.retry.max_attempts)
        heart = asyncio.create_task(self._beat(message))
        try:
            await self._run(message, delivery, hook)
        finally:
            heart.cancel()
        return None

    async def _hook(self, name: str) -> Hook | None:
        if self.hooks.sources.all:  # some may have been registered at run time, by whichever process
            await self._calls.do(self._store.see_registrations)
        return self.hooks.durable_hooks().get(name)

    async def _run(self, message: Msg, delivery: Delivery, hook: Hook) -> None:
        try:
            if delivery.attempt > delivery.max_attempts:
                raise _ConsumersDiedError(f"it was begun {delivery.attempt - 1} times, and was never ended")
            fresh = await self._calls.do(self._store.inbox.run, delivery, hook, self._calls.wait)
        except Exception as error:  # noqa: BLE001 - the hook's own: logged, and tried again on its terms
            return await self._failed(message, delivery, hook, error)
        if fresh:
            self.progress.ran()
        else:
            self.progress.lost += 1
            log.info("delivery %s of %s came again, and had run already", delivery.id, hook)
        with suppress(TimeoutError):  # it comes again, and is known
            await message.ack_sync(timeout=_ANSWERING)
        return None

    async def _failed(self, message: Msg, delivery: Delivery, hook: Hook, error: Exception) -> None:
        assert hook.terms is not None
        retry = hook.terms.retry
        self.progress.failed += 1
        if retry.tries_again(error, delivery.attempt):
            delay = retry.delay(delivery.attempt, random.random())  # noqa: S311
            log.warning(
                "delivery %s of %s failed, attempt %d of %d, again in %.1f s: %s",
                delivery.id, hook, delivery.attempt, retry.max_attempts, delay, error, exc_info=error,
            )  # fmt: skip
            await message.nak(delay=delay)
        else:
            self.progress.dead += 1
            log.error(
                "delivery %s of %s, message %d of %s, is dead after %d attempts",
                delivery.id, hook, message.metadata.sequence.stream, self.name, delivery.attempt, exc_info=error,
            )  # fmt: skip
            await message.term()

    async def _beat(self, message: Msg) -> None:
        """Say that a hook is at work, as long as it is."""
        while True:
            await asyncio.sleep(self._ack_wait / 3)
            try:
                await message.in_progress()
            except (OSError, self._nats.errors.Error) as error:
                log.warning("%s cannot say that a hook is at work: %s", self.name, error or type(error).__name__)


class _ConsumersDiedError(Exception):
    """A message that no consumer survives."""
