"""Statements in async sessions: sync and async hooks around them; async hooks in sync sessions are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from hookline import AsyncHookError, Change, Hooks, PhaseError, ValidationError
from hookline.sqlalchemy import attach
from hookline.sqlalchemy.statements import chunks
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Person, membership
from tests.sqlalchemy.statements.sent import Sent


async def made(engine: AsyncEngine, hooks: Hooks) -> async_sessionmaker[AsyncSession]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    maker = async_sessionmaker(engine)
    attach(hooks, maker)
    return maker


async def test_hooks_are_awaited_around_statements(async_engine: AsyncEngine, hooks: Hooks) -> None:
    maker = await made(async_engine, hooks)
    log = logged(hooks, "after", Person)
    net = committed(hooks, Person)

    @hooks.before("save", Person)
    async def tidy(change: Change[Person], session: AsyncSession) -> None:
        await asyncio.sleep(0)
        change.new["name"] = change.new["name"].strip()
        assert len((await session.scalars(select(Club))).all()) == 0

    @hooks.check("save", Person)
    async def grown(change: Change[Person]) -> None:
        await asyncio.sleep(0)
        if change.new["age"] > 100:
            raise ValidationError(change.entity, {"age": "too old"})

    async with maker() as session:
        await session.execute(insert(Person), [{"id": 1, "name": " Anna ", "age": 30}, {"id": 2, "name": "Ben"}])
        await session.execute(update(Person).where(Person.id == 1).values(age=Person.age + 1))
        connection = await session.connection()
        await connection.execute(update(Person.__table__).where(Person.id == 2).values(name=" Benny"))  # type: ignore[arg-type]
        with pytest.raises(ValidationError):
            await session.execute(update(Person).values(age=101))
        await session.execute(delete(Person).where(Person.id == 2))
        await session.commit()
    assert [row[0] for row in log] == ["insert", "insert", "update", "update", "delete"]
    assert net == [("insert", "Person", {"age": 31, "id": 1, "name": "Anna", "rank": 7})]


async def test_pairs_in_an_async_session(async_engine: AsyncEngine, hooks: Hooks) -> None:
    maker = await made(async_engine, hooks)
    seen: list[Any] = []

    @hooks.after("link", Person.clubs)
    async def note(change: Any, session: AsyncSession) -> None:
        seen.append((change.subject_key, change.object_key))

    async with maker() as session:
        session.add_all([Person(id=1, name="Anna"), Club(id=1, name="chess")])
        await session.flush()
        await session.execute(insert(membership).values(person_id=1, club_id=1))
    assert seen == [(1, 1)]


async def test_statements_in_async_hooks(async_engine: AsyncEngine, hooks: Hooks) -> None:
    maker = await made(async_engine, hooks)
    causes: list[Any] = []

    @hooks.after("insert", Person)
    async def found(change: Change[Person], session: AsyncSession) -> None:
        await session.execute(insert(Club), [{"name": change.new["name"]}])

    @hooks.after("insert", Club)
    async def note(change: Change[Club]) -> None:
        causes.append((change.new["name"], change.cause.name if change.cause else None, change.depth))

    async with maker() as session:
        await session.execute(insert(Person), [{"name": "Anna"}])
        await session.commit()
    assert causes == [("Anna", "found", 1)]


def test_async_hooks_in_a_sync_session_are_refused_before_anything_is_sent(
    hooks: Hooks, session: Session, sent: Sent
) -> None:
    @hooks.after("insert", Person)
    async def late(change: Change[Person]) -> None:
        raise AssertionError

    session.connection()
    sent.clear()
    with pytest.raises(AsyncHookError, match="late"):
        session.execute(insert(Person), [{"name": "Anna"}])
    with pytest.raises(AsyncHookError, match="late"):
        session.execute(insert(Person.__table__).values(name="Anna"))  # type: ignore[arg-type]
    assert sent.writes == []


async def test_large_statements_are_read_some_rows_at_a_time(
    async_engine: AsyncEngine, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 10)
    maker = await made(async_engine, hooks)
    told: list[int] = []

    @hooks.before("update", Person)
    async def look(changes: list[Change[Person]], session: AsyncSession) -> None:
        told.append(len(changes))
        if len(told) == 2:
            await session.execute(update(Club).values(name="meanwhile"))

    async with maker() as session:
        await session.execute(insert(Person), [{"id": n, "name": "x", "age": n} for n in range(1, 36)])
        await session.execute(update(Person).values(age=Person.age + 1))
        assert told == [10, 10, 10, 5]
        assert (await session.scalars(select(Person.age).order_by(Person.id))).all() == list(range(2, 37))
        await session.commit()


async def test_an_entity_that_is_not_loaded_is_asked_for_by_name(async_engine: AsyncEngine, hooks: Hooks) -> None:
    maker = await made(async_engine, hooks)
    named: list[tuple[int, int]] = []

    @hooks.after("update", Person, category="by name")
    async def by_name(change: Change[Person], entity: Person) -> None:
        named.append((entity.age, change.new["age"]))

    @hooks.after("update", Person, category="by attribute")
    async def by_attribute(change: Change[Person]) -> None:
        named.append((change.entity.age, change.new["age"]))

    async with maker() as session:
        await session.execute(insert(Person), [{"id": 1, "name": "Anna", "age": 30}])
        await session.commit()
    older = update(Person).values(age=Person.age + 1)
    async with maker() as session:
        with hooks.allow_all_but("by attribute"):
            await session.execute(older)
        assert named == [(31, 31)]
        await session.rollback()
    async with maker() as session:
        with hooks.allow_all_but("by name"), pytest.raises(PhaseError, match="Ask for it by name"):
            await session.execute(older)
        await session.rollback()
        person = await session.get_one(Person, 1)
        with hooks.allow_all_but("by name"):
            await session.execute(older)
        assert (named.pop(), person.age) == ((31, 31), 31)
