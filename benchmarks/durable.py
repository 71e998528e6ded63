"""Durable hooks: what writing deliveries costs, and how fast a worker runs them.

Draining is held against the job queues of others that live in PostgreSQL, all of them with jobs that do nothing, ten at
a time, and against the least that any of them must do: claim a job, delete it, commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.flush import BARE, sessions_for
from benchmarks.models import Bystander, Person, people, rows
from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline import Change, Hooks
from hookline.durable import Worker
from hookline.sqlalchemy import Outbox

WRITING_BUDGET, QUEUE_BUDGET, LOOP_BUDGET = 1.5, 1.0, 2.0
LOOP = "a bare claim-and-delete loop"
CONCURRENCY = 10


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Writing, then draining."""
    where = engine.dialect.name
    outbox = Outbox()
    outbox.create_tables(engine)
    cases = {
        BARE: _inserting(engine, sessions_for(engine), outbox, load.objects),
        "delivered": _inserting(engine, sessions_for(engine, _hooks(_nothing)), outbox, load.objects),
    }
    yield ratio(
        interleave(cases, load), "delivered", BARE, what=f"{load.objects:,} inserts, each with a delivery, and COMMIT",
        where=where, budget=WRITING_BUDGET if where == "postgresql" else None,
    )  # fmt: skip
    yield from _draining(engine, outbox, replace(load, rounds=min(load.rounds, 5), objects=load.objects // 4))


def _draining(engine: Engine, outbox: Outbox, load: Load) -> Iterator[Result]:
    jobs, where = load.objects, engine.dialect.name
    own = {
        "a hook that does nothing": _own(engine, outbox, _nothing, jobs),
        "a hook that writes a row": _own(engine, outbox, _row, jobs),
    }
    others = {LOOP: _loop(engine, outbox, jobs)}
    if where == "postgresql":
        others |= {"pgqueuer": _pgqueuer(engine, jobs), "procrastinate": _procrastinate(engine, jobs)}
    times = interleave({**own, **others}, load)
    for name in own:
        for other in others:
            budget = LOOP_BUDGET if other is LOOP else QUEUE_BUDGET
            promised = where == "postgresql" and name != "a hook that writes a row"
            yield ratio(
                times, name, other, what=f"drain {jobs:,}: {name}", where=where, budget=budget if promised else None
            )


# -- ours


def _nothing(change: Change[Any]) -> None:
    """A job that does nothing."""


def _row(change: Change[Any], session: Session) -> None:
    """A job whose effect is in the database."""
    session.execute(insert(Bystander))


def _hooks(function: Callable[..., None]) -> Hooks:
    hooks = Hooks()
    hooks.add(function, "durable", "insert", Person)
    return hooks


def _inserting(engine: Engine, sessions: sessionmaker[Session], outbox: Outbox, count: int) -> Case:
    @contextmanager
    def case() -> Iterator[Timed]:
        _tidy(engine)
        with sessions() as session:
            session.connection()
            session.add_all(people(count))
            yield session.commit
            _clear(session, outbox)

    return case


def _clear(session: Session, outbox: Outbox) -> None:
    for table in (Person.__table__, Bystander.__table__, outbox.deliveries):
        session.execute(delete(table), execution_options={"hookline": False})  # type: ignore[arg-type]
    session.commit()


def _own(engine: Engine, outbox: Outbox, function: Callable[..., None], count: int) -> Case:
    hooks = _hooks(function)
    sessions = sessions_for(engine, hooks)

    @contextmanager
    def case() -> Iterator[Timed]:
        with sessions() as session:
            session.add_all(people(count))
            session.commit()
            _tidy(engine)
            worker = Worker(hooks, concurrency=CONCURRENCY, batch=500)
            yield worker.run_until_idle
            assert worker.progress.done == count
            _clear(session, outbox)

    return case


def _tidy(engine: Engine) -> None:
    """Take away what the rounds before have left, or autovacuum does so in the middle of the next."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


# -- others


def _loop(engine: Engine, outbox: Outbox, count: int) -> Case:
    """One connection, one job at a time, as plain as it gets."""
    table = outbox.deliveries
    first = select(table.c.id).order_by(table.c.id).limit(1)
    if engine.dialect.name == "postgresql":
        first = first.with_for_update(skip_locked=True)
    claim = delete(table).where(table.c.id == first.scalar_subquery()).returning(table.c.id, table.c.body)

    @contextmanager
    def case() -> Iterator[Timed]:
        with engine.begin() as connection:
            given = [{"hook": "x", "lane": str(n), "body": str(row)} for n, row in enumerate(rows(count))]
            connection.execute(insert(table), given)
        _tidy(engine)

        def drain() -> None:
            with engine.connect() as connection:
                while connection.execute(claim).first() is not None:
                    connection.commit()
                connection.rollback()

        yield drain
        with engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(table)) == 0

    return case


def _url(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _pgqueuer(engine: Engine, count: int) -> Case:
    import psycopg
    from pgqueuer import PsycopgDriver, Queries, QueueManager
    from pgqueuer.types import QueueExecutionMode

    logging.getLogger("pgqueuer").setLevel(logging.ERROR)

    async def with_queue(run: Callable[[Queries, Any], Any]) -> None:
        async with await psycopg.AsyncConnection.connect(_url(engine), autocommit=True) as connection:
            driver = PsycopgDriver(connection)
            await run(Queries(driver), driver)

    async def fill(queries: Queries, _: Any) -> None:
        await queries.install()
        await queries.enqueue(["job"] * count, [b"{}"] * count, [0] * count)

    async def drain(queries: Queries, _: Any) -> None:
        manager = QueueManager(queries)
        ran = 0

        @manager.entrypoint("job")
        async def job(job: Any) -> None:
            nonlocal ran
            ran += 1

        await manager.run(batch_size=100, mode=QueueExecutionMode.drain)
        assert ran == count

    async def remove(queries: Queries, _: Any) -> None:
        await queries.uninstall()

    @contextmanager
    def case() -> Iterator[Timed]:
        asyncio.run(with_queue(fill))
        _tidy(engine)
        yield lambda: asyncio.run(with_queue(drain))
        asyncio.run(with_queue(remove))

    return case


def _procrastinate(engine: Engine, count: int) -> Case:
    import procrastinate

    logging.getLogger("procrastinate").setLevel(logging.ERROR)

    def app() -> tuple[Any, Any, list[int]]:
        made = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_url(engine)))
        ran: list[int] = []

        @made.task(name="job")
        async def job(number: int) -> None:
            ran.append(number)

        return made, job, ran

    async def fill() -> None:
        made, job, _ = app()
        async with made.open_async():
            if not await made.check_connection_async():  # its tables are not there yet
                await made.schema_manager.apply_schema_async()
            await job.batch_defer_async(*({"number": number} for number in range(count)))

    async def drain() -> None:
        made, _, ran = app()
        async with made.open_async():
            await made.run_worker_async(concurrency=CONCURRENCY, wait=False, install_signal_handlers=False)
        assert len(ran) == count

    @contextmanager
    def case() -> Iterator[Timed]:
        asyncio.run(fill())
        _tidy(engine)
        yield lambda: asyncio.run(drain())
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE procrastinate_jobs CASCADE"))

    return case
