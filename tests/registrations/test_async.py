"""Async engines, async sessions and async callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from hookline import AsyncHookError, Hooks, RegistrationStoreError
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations
from hookline.sqlalchemy import attach
from tests.registrations.conftest import House
from tests.registrations.schema import Base, Consignment
from tests.registrations.sent import about_registrations, sent


@asynccontextmanager
async def made(
    engine: AsyncEngine,
) -> AsyncIterator[tuple[Hooks, DatabaseRegistrations, async_sessionmaker[AsyncSession], list[Any]]]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    hooks, heard = Hooks(), list[Any]()
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @hooks.callback
    async def listen(change: Any) -> None:
        await asyncio.sleep(0)
        heard.append((change.event, change.key))

    @hooks.callback
    def plain(change: Any) -> None:
        heard.append(("plain", change.key))

    registrations = DatabaseRegistrations(engine)
    await registrations.run_sync(registrations.create_tables)
    hooks.use(registrations)
    with attach(hooks, sessions):
        yield hooks, registrations, sessions, heard


async def test_async_sessions_obey_and_ask_for_the_number_once(async_engine: AsyncEngine) -> None:
    async with made(async_engine) as (_, registrations, sessions, heard), sessions() as session:
        box = Consignment(id=1)
        session.add(box)
        await session.commit()
        one = await registrations.run_sync(registrations.add, "listen", "after", "update", instance=box, by="alice")
        assert one.name == "listen #1"
        await registrations.run_sync(registrations.add, "plain", "before_commit", "update", Consignment)
        box.status = "sent"
        await session.commit()
        assert heard == [("update", 1), ("plain", 1)]
        with sent(async_engine.sync_engine) as statements:
            box.status = "lost"
            await session.flush()
            await session.execute(update(Consignment).values(status="found"))
            await session.commit()
        assert about_registrations(statements) == ["SELECT generation"]


async def test_an_async_session_may_add_and_roll_back(async_engine: AsyncEngine) -> None:
    async with made(async_engine) as (_, registrations, sessions, heard), sessions() as session:
        add = registrations.add
        await registrations.run_sync(add, "listen", "after", "insert", Consignment, session=session)
        await session.rollback()
        await registrations.run_sync(add, "plain", "after", "insert", Consignment, session=session)
        await session.commit()
        session.add(Consignment(id=1))
        await session.commit()
        assert heard == [("plain", 1)]
        assert len(await registrations.run_sync(registrations.list)) == 1


async def test_deleted_objects_take_their_registrations_with_them(async_engine: AsyncEngine) -> None:
    async with made(async_engine) as (_, registrations, sessions, heard), sessions() as session:
        session.add(Consignment(id=1))
        await session.commit()
        await registrations.run_sync(registrations.add, "listen", "after_commit", "delete", Consignment, key=1)
        await session.delete(await session.get_one(Consignment, 1))
        await session.commit()
        assert heard == [("delete", 1)]
        assert await registrations.run_sync(registrations.list) == []


async def test_without_run_sync_the_error_says_what_to_write(async_engine: AsyncEngine) -> None:
    async with made(async_engine) as (_, registrations, _, _):
        with pytest.raises(RegistrationStoreError, match=r"await registrations.run_sync\(registrations.add, ...\)"):
            registrations.add("listen", "after", "insert", Consignment)
        with pytest.raises(RegistrationStoreError, match=r"await registrations.run_sync\(registrations.check\)"):
            registrations.check()


async def test_missing_tables_are_an_error_at_the_first_write(async_engine: AsyncEngine) -> None:
    async with made(async_engine) as (hooks, _, sessions, _):
        hooks.use(DatabaseRegistrations(async_engine, name="other", table="nowhere"))
        async with sessions() as session:
            session.add(Consignment(id=1))
            with pytest.raises(RegistrationStoreError, match="no table nowhere_generation"):
                await session.commit()


def test_an_async_callback_in_a_sync_session_is_refused_by_name(house: House) -> None:
    registrations = MemoryRegistrations()
    house.hooks.use(registrations)

    @house.hooks.callback
    async def slow(change: Any) -> None: ...

    registrations.add("slow", "after", "insert", Consignment)
    with house.sessions() as session, pytest.raises(AsyncHookError, match="'slow #1'"):
        session.add(Consignment(id=1))
        session.commit()
