"""Async sessions: sync and async hooks in every phase; async hooks in sync sessions are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import AsyncHookError, Hooks, Operation, PhaseError, ValidationError
from hookline.sqlalchemy import attach, transaction


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "purchase"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(default=0)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer | None] = relationship(back_populates="orders")


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


async def made(engine: AsyncEngine, hooks: Hooks) -> async_sessionmaker[AsyncSession]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    maker = async_sessionmaker(engine, expire_on_commit=False)
    attach(hooks, maker)
    return maker


async def test_12_async_hooks_run_in_every_phase(async_engine: AsyncEngine, hooks: Hooks) -> None:
    seen: list[Any] = []

    @hooks.before("insert", Order)
    async def before(change: Any, session: AsyncSession) -> None:
        await asyncio.sleep(0)
        count = len((await session.scalars(select(Order))).all())
        seen.append(("before", count, isinstance(session, AsyncSession)))
        change.new["total"] += 1

    @hooks.check("save", Order)
    async def check(change: Any) -> None:
        await asyncio.sleep(0)
        if change.new["total"] > 100:
            raise ValidationError(change.entity, {"total": "too much"})

    @hooks.after("insert", Order)
    async def after(changes: Any, session: AsyncSession) -> None:
        seen.append(("after", len((await session.scalars(select(Order))).all())))

    @hooks.after("insert", Order)
    def after_sync(change: Any, session: Session) -> None:
        seen.append(("sync", change.entity.customer.name, session.query(Order).count()))

    @hooks.before_commit("save", Order)
    async def before_commit(changes: Any, session: AsyncSession, tx: Any) -> None:
        session.add(Customer(name="made"))
        await session.flush()
        seen.append(("before_commit", len(tx.changes(Order))))

    @hooks.after_commit("insert", Order)
    async def after_commit(change: Any, session: AsyncSession, entity: Any) -> None:
        seen.append(("after_commit", entity.total, len((await session.scalars(select(Order))).all())))
        session.add(Customer(name="later"))

    @hooks.after_rollback("save", Order)
    async def after_rollback(changes: Any) -> None:
        await asyncio.sleep(0)
        seen.append(("after_rollback", len(changes)))

    class Task(Operation):
        async def before_commit(self, session: AsyncSession) -> None:
            await session.scalars(select(Customer))
            seen.append(("operation", self.items))

        async def after_commit(self) -> None:
            seen.append(("operation after",))

    maker = await made(async_engine, hooks)
    async with maker() as session:
        Task.of(transaction(session)).add(1)

        async def callback(session: AsyncSession) -> None:
            seen.append(("callback", isinstance(session, AsyncSession)))

        transaction(session).after_commit(callback)
        session.add(Order(total=5, customer=Customer(name="Ada")))
        await session.commit()
        assert seen == [
            ("before", 0, True), ("after", 1), ("sync", "Ada", 1), ("before_commit", 1), ("operation", [1]),
            ("after_commit", 6, 1), ("operation after",), ("callback", True),
        ]  # fmt: skip
        names = (await session.scalars(select(Customer.name).order_by(Customer.id))).all()
        assert names == ["Ada", "made", "later"]
        seen.clear()
        session.add(Order(total=500))
        with pytest.raises(ValidationError):
            await session.commit()
        await session.rollback()
        order = (await session.scalars(select(Order))).one()
        order.total = 7
        await session.flush()
        await session.rollback()
        assert seen[-1] == ("after_rollback", 1)


def test_12_in_a_sync_session_async_hooks_are_refused_at_the_first_write_by_name(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)

    @hooks.after_commit("insert", Order)
    async def notify(change: Any) -> None: ...

    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        session.add(Customer(name="fine"))
        session.commit()
        session.add(Order())
        with pytest.raises(AsyncHookError, match=r"'notify' \(after_commit\)"):
            session.flush()
        session.rollback()
        assert session.query(Order).count() == 0


def test_12_a_plain_function_that_returns_a_coroutine_is_refused_too(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)

    async def send() -> None: ...

    hooks.add(lambda change: send(), "before", "insert", Order, name="sly")
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        session.add(Order())
        with pytest.raises(AsyncHookError) as caught:
            session.flush()
    assert "hook 'sly'" in caught.value.__notes__[0]


async def test_an_async_hook_cannot_load_the_entity_by_reading_an_attribute(
    async_engine: AsyncEngine, hooks: Hooks
) -> None:
    errors: list[Any] = []
    hooks.on_error = lambda error, change, hook: errors.append(error)

    @hooks.after_commit("insert", Order)
    async def notify(change: Any) -> None:
        change.entity

    maker = await made(async_engine, hooks)
    async with maker() as session:
        session.add(Order())
        await session.commit()
    assert isinstance(errors[0], PhaseError)
    assert "async def notify(change, entity)" in str(errors[0])


async def test_other_makers_are_not_concerned(async_engine: AsyncEngine, hooks: Hooks) -> None:
    seen: list[Any] = []
    hooks.add(lambda change: seen.append(change), "after", "insert", Order, name="seen")
    await made(async_engine, hooks)
    async with async_sessionmaker(async_engine)() as session:
        session.add(Order())
        await session.commit()
    assert seen == []


async def test_single_async_sessions_and_scoped_ones(async_engine: AsyncEngine, hooks: Hooks) -> None:
    seen: list[Any] = []

    @hooks.after_commit("insert", Order)
    async def notify(change: Any, session: AsyncSession) -> None:
        seen.append((await session.get(Order, change.key)).id)

    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(async_engine) as session:
        with attach(hooks, session):
            session.add(Order())
            await session.commit()
        session.add(Order())
        await session.commit()
    assert seen == [1]
    scoped = async_scoped_session(async_sessionmaker(async_engine), scopefunc=asyncio.current_task)
    attach(hooks, scoped)
    scoped.add(Order())
    await scoped.commit()
    await scoped.remove()
    assert seen == [1, 3]


async def test_contexts_of_tasks_are_apart(async_engine: AsyncEngine, hooks: Hooks) -> None:
    seen: dict[str, str] = {}

    @hooks.before("insert", Customer, category="audit")
    async def note(change: Any, user: str) -> None:
        await asyncio.sleep(0.01)
        seen[change.new["name"]] = user

    maker = await made(async_engine, hooks)

    async def write(name: str, user: str, deny: bool) -> None:
        with hooks.context(user=user):
            async with maker() as session:
                session.add(Customer(name=name))
                if deny:
                    with hooks.deny_all_but():
                        await session.commit()
                else:
                    await session.commit()

    await write("zero", "root", False)
    if "sqlite" in str(async_engine.url):
        await write("a", "ann", False)
        await write("b", "bob", True)
    else:
        await asyncio.gather(write("a", "ann", False), write("b", "bob", True), write("c", "cid", False))
        assert seen.pop("c") == "cid"
    assert seen == {"zero": "root", "a": "ann"}
