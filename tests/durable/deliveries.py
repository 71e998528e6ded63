"""What tests of deliveries share: a few classes, tables that are made, and what waits in the outbox, readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, Connection, Engine, ForeignKey, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from hookline import Change, Hooks, LinkChange
from hookline.durable import Worker
from hookline.sqlalchemy import Outbox


class Base(DeclarativeBase):
    pass


item_tag = Table(
    "item_tag",
    Base.metadata,
    Column("item_id", ForeignKey("item.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
)


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    count: Mapped[int] = mapped_column(default=0)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owner.id", ondelete="CASCADE"))
    owner: Mapped[Owner | None] = relationship(back_populates="items")
    tags: Mapped[list[Tag]] = relationship(secondary=item_tag, back_populates="items")


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    items: Mapped[list[Item]] = relationship(back_populates="owner", passive_deletes="all")


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    items: Mapped[list[Item]] = relationship(secondary=item_tag, back_populates="tags")


class Effect(Base):
    """What a durable hook writes: one row per run."""

    __tablename__ = "effect"
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery: Mapped[str]
    said: Mapped[str]


def made(engine: Engine, outbox: Outbox | None = None) -> None:
    """Make the tables of the classes above, and those of an outbox."""
    Base.metadata.create_all(engine)
    (outbox or Outbox()).create_tables(engine)


async def made_async(engine: AsyncEngine) -> None:
    """The same, by an async engine."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(Outbox().create_tables)


class Waiting(NamedTuple):
    """A delivery as it is in the table."""

    hook: str
    lane: Any
    body: Any
    state: int
    attempts: int
    id: int


def written(at: Engine | Connection, outbox: Outbox | None = None) -> list[Waiting]:
    """All deliveries, in the order of their numbers."""
    if isinstance(at, Engine):
        with at.connect() as connection:
            return written(connection, outbox)
    c = (outbox or Outbox()).deliveries.c
    rows = at.execute(select(c.hook, c.lane, c.body, c.state, c.attempts, c.id).order_by(c.id)).all()
    decode = msgspec.json.decode
    return [Waiting(row.hook, decode(row.lane) if row.lane else "", decode(row.body), *row[3:]) for row in rows]


def events(at: Engine | Connection, outbox: Outbox | None = None) -> list[tuple[str, str, Any]]:
    """All deliveries of single changes, briefly: hook, event, and of a row its key."""
    found = []
    for one in written(at, outbox):
        row = one.body.get("new") or one.body.get("old") or {}
        found.append((one.hook, one.body["event"], row.get("id")))
    return found


Told = tuple[Any, ...]


def brief(change: Change[Any]) -> Told:
    """A change as a worker sees it: event, key, old row, new row, names."""
    if isinstance(change, LinkChange):
        return change.event, change.subject_key, change.object_key
    return change.event, change.key, dict(change.old), dict(change.new), set(change.fields)


def durable(
    hooks: Hooks,
    event: str = "write",
    target: object = Item,
    *,
    by: Callable[[Change[Any]], Any] = brief,
    **options: Any,
) -> list[Any]:
    """Register a durable hook that takes down what it is told."""
    told: list[Any] = []

    def tell(change: Change[Any]) -> None:
        told.append(by(change))

    hooks.add(tell, "durable", event, target, **{"name": "tell", **options})
    return told


def work(hooks: Hooks, **options: Any) -> Worker:
    """Let a worker run all that is due, one after the other."""
    worker = Worker(hooks, **{"concurrency": 1, **options})
    worker.run_until_idle()
    return worker


def states(engine: Engine, outbox: Outbox | None = None) -> Mapping[int, str]:
    """Of each delivery the name of its state."""
    names = ("pending", "running", "done", "dead", "cancelled")
    return {one.id: names[one.state] for one in written(engine, outbox)}
