"""What the crash proof is about: parcels that writers change, and effects that durable hooks write."""

from __future__ import annotations

import os
import time
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Change, Delivery, Hooks, Retry
from hookline.sqlalchemy import attach
from tests.sqlalchemy.databases import engine_for

KEYS = 200


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    """Every write gives it a stamp that no other write has."""

    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stamp: Mapped[str]


class Truth(Base):
    """One row per net change, written in the same transaction as the change: in the order of commits, key by key."""

    __tablename__ = "truth"
    id: Mapped[int] = mapped_column(primary_key=True)
    parcel: Mapped[int]
    event: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]


class Effect(Base):
    """One row per run of the hook that was committed."""

    __tablename__ = "effect"
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int]
    parcel: Mapped[int]
    event: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]


def rules(outside: str) -> Hooks:
    """The rule book of writers and workers.

    Args:
        outside: A file to which a hook appends: an effect that no database rolls back.
    """
    hooks = Hooks("parcels")
    forever = Retry(max_attempts=1_000_000, backoff=0.01, factor=1, jitter=0.5)
    file = os.open(outside, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @hooks.durable("write", Parcel, retry=forever)
    def effect(change: Change[Parcel], session: Session, delivery: Delivery) -> None:
        before, after = _stamps(change)
        session.add(
            Effect(
                delivery=delivery.id, attempt=delivery.attempt, parcel=change.key, event=change.event,
                before=before, after=after,
            )
        )  # fmt: skip
        session.flush()
        time.sleep(0.001)  # a while in which to be killed
        if delivery.attempt == 1 and change.key % 10 == 0 and change.event == "update":
            raise OSError("this key's updates fail at first, after they have written")

    @hooks.durable("write", Parcel, retry=forever)
    def outside_effect(change: Change[Parcel], delivery: Delivery) -> None:
        before, after = _stamps(change)
        line = f"{delivery.id}|{change.key}|{change.event}|{before}|{after}\n".encode()
        os.write(file, line)  # one write of few bytes: whole, or not at all

    return hooks


def _stamps(change: Change[Parcel]) -> tuple[str | None, str | None]:
    return change.old.get("stamp"), change.new.get("stamp")


def opened(url: str, outside: str) -> tuple[Engine, Hooks, Any]:
    """An engine, the rule book, and sessions that it governs."""
    options: dict[str, Any] = {}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": 20}
    engine = engine_for(url, **options)
    hooks, sessions = rules(outside), sessionmaker(engine)
    attach(hooks, sessions)
    return engine, hooks, sessions
