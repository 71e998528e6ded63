"""The worker: runs durable hooks for what was committed, until each delivery is done or dead."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import random
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

from hookline.core.hook import Hook
from hookline.core.registry import Hooks
from hookline.durable.board import Board
from hookline.durable.calls import Calls
from hookline.durable.service import Service
from hookline.errors import HookLoopError, LeaseLostError, RegistrationError

R = TypeVar("R")
log = logging.getLogger("hookline.worker")

_MARKING: Final = 0.1
"""Seconds that a delivery whose hook did not touch the database may wait to be marked done with others."""

_TENDING: Final = 60.0
"""Seconds between looks at what nobody can run, and at what can be pruned."""

_RELAYING: Final = 0.5
"""Seconds between looks at what others have written."""

_RELAYED: Final = 1000
"""Transactions of others that are relayed at once."""


class Worker(Service):
    """Runs the durable hooks of a rule book.

    It claims deliveries in batches, runs their hooks side by side, and marks each one done in the transaction in which
    its hook writes. A hook that does not touch the database has none; such deliveries are marked done together, a tenth
    of a second later at most.

    Where the sessions are sync, hooks run in threads, and async hooks in the worker's event loop. Where they are async,
    everything runs in the event loop.

    Args:
        hooks: The rule book; it must be attached.
        of: Which attachment, if there are several.
        concurrency: How many deliveries run at the same time.
        batch: How many are claimed at once; ten times ``concurrency`` if left out.
        lease: Seconds after which others take over what a worker has claimed, if nothing is heard of it.
        poll: Seconds between looks, at most, while nothing happens. Where the database calls, that is the net.
        keep: How long done deliveries are kept; None for ever.
        grace: Seconds that running hooks have to end when it is told to stop.
        health_file: A file that is touched as long as all is well, for those that watch over it.
        name: Its name in the database; of host, process and a number if left out.

    Attributes:
        progress: What it has done so far.

    Raises:
        RegistrationError: The rule book is not attached, or to several things and none was named.

    Example:
        >>> worker = Worker(hooks, concurrency=4)  # doctest: +SKIP
        >>> worker.run()  # until SIGTERM or SIGINT  # doctest: +SKIP
    """

    def __init__(
        self, hooks: Hooks, *, of: Any = None, concurrency: int = 10, batch: int | None = None, lease: float = 30.0,
        poll: float = 5.0, keep: dt.timedelta | None = dt.timedelta(days=7), grace: float = 30.0,
        health_file: str | os.PathLike[str] | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        if concurrency < 1 or (batch is not None and batch < 1):
            raise RegistrationError(f"concurrency and batch are at least 1, not {concurrency!r} and {batch!r}.")
        if lease <= 0 or poll <= 0:
            raise RegistrationError(f"lease and poll are seconds, more than 0, not {lease!r} and {poll!r}.")
        name = name or f"{socket.gethostname()}:{os.getpid()}:{random.randrange(1 << 24):06x}"  # noqa: S311
        super().__init__(name, hooks.store(of))
        self.hooks, self.concurrency, self.lease, self.poll = hooks, concurrency, lease, poll
        self.batch = 10 * concurrency if batch is None else batch
        self.keep, self.grace = keep, grace
        self._health_file = None if health_file is None else Path(health_file)
        self._board = Board()
        self._marking = asyncio.Lock()
        self._slots: set[asyncio.Task[None]] = set()
        self._tended = self._relay_at = 0.0

    def __repr__(self) -> str:
        return f"<Worker {self.name} of {self.hooks!r}>"

    @property
    def running(self) -> int:
        """How many hooks run now."""
        return self._board.running

    # -- the loop

    async def serve(self, *, until_idle: bool = False) -> None:
        """Run as a task of an application, until `stop` or until it is cancelled.

        Args:
            until_idle: Return as soon as nothing is due.
        """
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._calls = Calls(self._store, self.concurrency + 2)
        await self._do(self._store.check)
        await self._see_registrations()
        silence = None if until_idle else self._store.listen(self._call)
        heart = asyncio.create_task(self._beat())
        self._marking = asyncio.Lock()
        marking = asyncio.create_task(self._mark_now_and_then())
        log.info("%s runs %s", self.name, ", ".join(self._names()) or "nothing: there are no durable hooks")
        try:
            await self._claim_and_run(until_idle)
        finally:
            if silence is not None:
                silence()
            await self._drain()
            async with self._marking:  # what is being marked is marked to its end
                marking.cancel()
            heart.cancel()
            await asyncio.gather(marking, heart, return_exceptions=True)
            self._calls.close(wait=not self._board.running)
            log.info("%s stopped: %s", self.name, self.progress)

    async def _claim_and_run(self, until_idle: bool) -> None:
        wait = _Patience(self.poll, self._store.kind)
        while not self._stopping:
            self._wake.clear()
            busy = bool(self._slots)
            try:
                if not self._slots:
                    await self._mark_all()
                await self._tend()
                found = await self._relay_now_and_then() + await self._refill()
            except Exception:  # the database may be away: whatever it is, it is tried again, and said
                if until_idle:
                    raise
                log.exception("%s cannot claim deliveries; trying again", self.name)
                found = 0
            self._healthy()
            if self._board.ready or self._slots:
                wait.reset()
                await self._until_room()
            elif not found and not busy:  # what ended meanwhile may have made something due
                if until_idle:
                    return
                await self._until_due(wait)

    async def _relay_now_and_then(self) -> int:
        if not self._store.relays or monotonic() < self._relay_at:
            return 0
        found = await self._do(self._store.relay, _RELAYED)
        self._relay_at = 0.0 if found else monotonic() + min(_RELAYING, self.poll)
        return found

    async def _see_registrations(self) -> None:
        """Know the durable hooks that were registered at run time, by whichever process."""
        if self.hooks.sources.all:
            await self._do(self._store.see_registrations)

    def _names(self) -> list[str]:
        return list(self.hooks.durable_hooks())

    @property
    def _must_be_still(self) -> bool:
        """Whether hooks run on SQLite: one that has read may not write once somebody else does, be it this worker."""
        return self._store.kind == "sqlite" and bool(self._slots)

    async def _refill(self) -> int:
        """Claim what there is room for, and set slots to work; returns how many were claimed."""
        room = 0 if self._must_be_still else self.batch - len(self._board.held())
        await self._see_registrations()
        claims = [] if room <= 0 else await self._do(self._store.take, self.name, self._names(), room, self.lease)
        self._board.put(claims)
        for _ in range(min(self._board.ready, self.concurrency - len(self._slots))):
            slot = asyncio.create_task(self._do(self._work))
            self._slots.add(slot)
            slot.add_done_callback(self._slot_ended)
        return len(claims)

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        self._wake.set()
        if not slot.cancelled() and slot.exception() is not None:
            log.error("a slot of %s failed", self.name, exc_info=slot.exception())

    async def _until_room(self) -> None:
        """Until a slot has nothing to do, or there is more to claim."""
        await self._called(self.poll)

    async def _until_due(self, wait: _Patience) -> None:
        try:
            due = await self._do(self._store.next_due, self._names())
        except Exception:  # the database is away: it is looked at again in a while
            log.exception("%s cannot ask when the next delivery is due", self.name)
            due = None
        if self._store.relays:
            due = min(due or self.poll, max(self._relay_at - monotonic(), 0.0))
        await self._called(wait.seconds(due))

    async def _drain(self) -> None:
        """Give back what has not begun, and wait for what has."""
        await self._safely(self._store.give_back, self._board.take_waiting())
        if self._slots:
            _, late = await asyncio.wait(self._slots, timeout=self.grace)
            if late:
                log.warning(
                    "%d hooks of %s did not end in %s s; others will run them", len(late), self.name, self.grace
                )
                for slot in late:
                    slot.cancel()
                await asyncio.wait(late, timeout=self.grace)
        await self._safely(self._mark, None)

    async def _safely(self, function: Callable[..., object], argument: Any) -> None:
        try:
            await self._do(function, argument)
        except Exception:  # it is stopping: leases end by themselves, and others do the rest
            log.exception("%s could not leave everything in order", self.name)

    async def _do(self, function: Callable[..., R], *arguments: Any) -> R:
        return await self._calls.do(function, *arguments)

    # -- one slot

    def _work(self) -> None:
        """Run one delivery after the other, as long as there is one that may run."""
        while not self._stopping and (claim := self._board.next()) is not None:
            hook = self._hook(claim.hook)
            if hook is None:  # it was taken out meanwhile
                self._store.give_back([claim, *self._board.behind(claim)])
                self._board.ended(claim)
                continue
            self._run(claim, hook)
            if self._board.unmarked >= self.batch:
                self._mark(None)

    def _hook(self, name: str) -> Hook | None:
        return self.hooks.durable_hooks().get(name)

    def _run(self, claim: Any, hook: Hook) -> None:
        assert hook.terms is not None
        marked = True
        try:
            if claim.suspect:
                claim = self._store.begun(claim)
            if claim.attempt > hook.terms.retry.max_attempts + 1:  # its first worker may not have begun it
                raise _WorkersDiedError(f"it was begun {claim.attempt - 1} times, and each time its worker died")
            marked = self._store.run(claim, hook, self._calls.wait)
            self.progress.ran()
        except LeaseLostError as error:
            self.progress.lost += 1
            log.warning("%s", error)
            self._board.behind(claim)
        except Exception as error:  # noqa: BLE001 - the hook's own: kept, logged, and tried again on its terms
            if self._store.is_busy(error):
                self._put_back(claim, hook, error)
            else:
                self._failed(claim, hook, error)
        except (asyncio.CancelledError, GeneratorExit) as error:  # the hook's own too, unless the worker is ending
            if self._stopping:
                raise
            cancelled = _CancelledError(f"{hook} was cancelled from within")
            cancelled.__cause__ = error
            self._failed(claim, hook, cancelled)
        self._board.ended(claim, marked=marked)

    def _put_back(self, claim: Any, hook: Hook, error: Exception) -> None:
        """Somebody else was writing: that is no fault of the hook's, and no attempt."""
        log.info("delivery %d of %s runs again: %s", claim.id, hook, error)
        try:
            self._store.give_back([claim, *self._board.behind(claim)])
        except Exception:  # still busy: the lease ends, and the delivery runs again
            log.exception("%s could not put delivery %d of %s back", self.name, claim.id, hook)

    def _failed(self, claim: Any, hook: Hook, error: Exception) -> None:
        assert hook.terms is not None
        retry = hook.terms.retry
        endless = isinstance(error, HookLoopError)  # to try it again would change nothing
        again = not endless and retry.tries_again(error, claim.attempt)
        delay = retry.delay(claim.attempt, random.random()) if again else None  # noqa: S311
        behind = self._board.behind(claim) if again else []
        told = "".join(traceback.format_exception(error))
        try:
            own = self._store.failed(claim, told, delay, behind)
        except Exception:  # the database is away: the lease ends, and the delivery is tried again
            log.exception("%s could not say that delivery %d of %s failed", self.name, claim.id, hook)
            return
        if not own:
            self.progress.lost += 1
            return
        self.progress.failed += 1
        if again:
            log.warning(
                "delivery %d of %s failed, attempt %d of %d, again in %.1f s: %s",
                claim.id, hook, claim.attempt, retry.max_attempts, delay, error,
            )  # fmt: skip
        else:
            self.progress.dead += 1
            log.error("delivery %d of %s is dead after %d attempts", claim.id, hook, claim.attempt, exc_info=error)

    # -- now and then

    def _mark(self, _: object) -> None:
        claims = self._board.take_unmarked()
        if claims:
            count = self._store.done(claims)
            if count < len(claims):
                self.progress.lost += len(claims) - count
                log.warning("%d deliveries had been taken by other workers before they were done", len(claims) - count)

    async def _mark_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_MARKING)
            if self._board.unmarked and not self._must_be_still:
                try:
                    await self._mark_all()
                except Exception:  # their leases end, and they run again: at least once is what was promised
                    log.exception("%s could not mark deliveries as done", self.name)

    async def _mark_all(self) -> None:
        """Until nothing has run that is not marked: what is behind that in its lane can be claimed then."""
        async with self._marking:
            if self._board.unmarked:
                await self._do(self._mark, None)
                self._wake.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            held = self._board.held()
            try:
                if held:
                    await self._do(self._store.extend, held, self.lease)
            except Exception:  # tried again before the lease ends
                log.exception("%s could not extend its leases", self.name)
            else:
                self._healthy()
            self.progress.tell(log, self.name)

    async def _tend(self) -> None:
        if self._must_be_still or (self._tended and monotonic() - self._tended < _TENDING):
            return
        self._tended = monotonic()
        for name, count in (await self._do(self._store.unknown, self._names())).items():
            log.warning(
                "%d deliveries wait for hook %r, which this rule book does not have. They wait until it is there again "
                "under that name, or are cancelled.", count, name,
            )  # fmt: skip
        if self.keep is not None:
            await self._do(self._store.prune, self.keep)

    def _healthy(self) -> None:
        if self._health_file is not None:
            self._health_file.touch()


class _WorkersDiedError(Exception):
    """A delivery that no worker survives."""


class _CancelledError(Exception):
    """What a hook awaited was cancelled."""


class _Patience:
    """How long to wait while nothing happens.

    Args:
        longest: Seconds.
        kind: The kind of database: where none calls, it is asked often as long as much happens.
    """

    def __init__(self, longest: float, kind: str) -> None:
        self._longest, self._shortest = longest, longest if kind == "postgresql" else min(0.02, longest)
        self._next = self._shortest

    def reset(self) -> None:
        """Something happened."""
        self._next = self._shortest

    def seconds(self, due: float | None) -> float:
        """Until the next look.

        Args:
            due: When the next delivery is due; None if none is waiting.
        """
        now, self._next = self._next, min(self._next * 2, self._longest)
        return now if due is None else min(now, max(due, 0.001))
