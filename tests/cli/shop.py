"""A shop with durable hooks, opened by tests and, through `tests.cli.app`, by the processes that they start.

Hooks write a row per run, say on the log what they do, and wait where a test wants them to: at a named pipe, which
nobody passes until the test opens it. So tests wait for events, not for time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from hookline import Change, Delivery, Hooks, Retry
from hookline.sqlalchemy import Outbox, attach
from tests.sqlalchemy.databases import async_engine_for, engine_for

log = logging.getLogger("hookline.shop")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    version: Mapped[int] = mapped_column(default=0)


class Run(Base):
    """That a hook ran, in the transaction of its delivery."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery: Mapped[str]
    attempt: Mapped[int]
    customer: Mapped[str]
    version: Mapped[int]
    worker: Mapped[str]


@dataclass
class Shop:
    """A rule book on sessions.

    Attributes:
        hooks: The rule book.
        sessions: A sessionmaker, sync or async.
        attachment: What ties them.
    """

    hooks: Hooks
    sessions: Any
    attachment: Any


def build(engine: Engine) -> None:
    """Make the tables."""
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)


def open_shop(
    url: str, *, asynchronous: bool = False, worker: str = "test", gate: Path | None = None,
    hook: str = "deliver", cured: bool = False,
) -> Shop:  # fmt: skip
    """Open it.

    Args:
        url: Of the database.
        asynchronous: Whether its sessions and its hook are async.
        worker: What runs are signed with.
        gate: A named pipe at which the first attempt waits, for customers whose names begin with "slow".
        hook: The hook's name.
        cured: Whether it has come to like customers named "poison".
    """
    hooks = Hooks()

    def run(change: Change[Order], delivery: Delivery, session: Any) -> None:
        customer, version = change.new["customer"], change.new["version"]
        log.info("began %s %s attempt %d", customer, version, delivery.attempt)
        if gate is not None and customer.startswith("slow") and delivery.attempt == 1:
            gate.read_text()
        if customer == "poison" and not cured:
            raise ValueError("poison is not sold here")
        of = {"customer": customer, "version": version}
        session.add(Run(delivery=delivery.id, attempt=delivery.attempt, worker=worker, **of))

    async def run_async(change: Change[Order], delivery: Delivery, session: Any) -> None:
        run(change, delivery, session)

    retry = Retry(max_attempts=3, backoff=0.01, jitter=0)
    hooks.add(run_async if asynchronous else run, "durable", "save", Order, name=hook, retry=retry)
    return Shop(hooks, *_attached(hooks, url, asynchronous))


def _attached(hooks: Hooks, url: str, asynchronous: bool) -> tuple[Any, Any]:
    if not asynchronous:
        sessions: Any = sessionmaker(engine_for(url, poolclass=NullPool))
    else:
        from sqlalchemy.ext.asyncio import async_sessionmaker

        sessions = async_sessionmaker(async_engine_for(url, poolclass=NullPool))
    return sessions, attach(hooks, sessions)


def order(shop: Shop, *customers: str) -> list[int]:
    """Commit orders, all in one transaction; returns their numbers."""
    with shop.sessions() as session:
        made = [Order(customer=customer) for customer in customers]
        session.add_all(made)
        session.commit()
        return [one.id for one in made]


def change(shop: Shop, numbers: Iterable[int], version: int) -> None:
    """Commit a new version of orders, one transaction for each."""
    for number in numbers:
        with shop.sessions() as session:
            session.execute(update(Order).where(Order.id == number).values(version=version))
            session.commit()


def runs(shop: Shop) -> list[Run]:
    """What ran, in order."""
    with shop.sessions() as session:
        return list(session.scalars(select(Run).order_by(Run.id)))
