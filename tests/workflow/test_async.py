"""Workflows in async sessions: by `run_sync`, with async hooks."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from hookline.workflow import Workflow
from tests.workflow.parcels import Base, Parcel, courier, desk


async def test_async_hooks_run_on_steps(async_engine: AsyncEngine, hooks: Hooks, shipping: Workflow) -> None:
    told: list[Any] = []
    for phase in ("before", "after", "before_commit", "after_commit"):

        async def tell(change: Any, entity: Any, phase: str = phase) -> None:
            told.append((phase, change.event, entity.id, change.destination))

        hooks.add(tell, phase, "transition", Parcel.status, name=phase)
    maker = async_sessionmaker(async_engine, expire_on_commit=False)
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    with attach(hooks, maker):
        async with maker() as session:
            parcel = Parcel(id=1)
            session.add(parcel)
            await session.commit()
            await session.run_sync(lambda _: shipping.of(parcel).approve(desk))
            assert parcel.status == "sent"
            assert (await session.scalars(shipping.awaiting(courier))).all() == [parcel]
            await session.commit()
            history = await session.run_sync(lambda _: shipping.of(parcel).history)
    assert [one.by for one in history] == ["1"]
    assert told == [
        (phase, "transition", 1, "sent") for phase in ("before", "after", "before_commit", "after_commit")
    ]  # fmt: skip
