"""The interface by example: the rule book that the documentation shows first, run as it stands."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from hookline import (
    Change,
    Delivery,
    Hooks,
    Operation,
    Retry,
    ValidationError,
    becomes,
    changed,
    from_user,
    was,
)
from hookline.durable import Worker
from hookline.registrations import MemoryRegistrations
from hookline.sqlalchemy import Outbox, attach, transaction


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int]


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    subsidiary_of_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    boss: Mapped[Person | None] = relationship(lazy="selectin")
    subsidiary_of: Mapped[Company | None] = relationship(remote_side=id, lazy="selectin")


class Order(Base):
    __tablename__ = "purchase"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="new")


class WriteThumbnails(Operation):
    order = Operation.LATE
    written: list[Any] = []

    def before_commit(self) -> None:
        self.written.extend(self.items)

    def revert(self) -> None:
        for item in self.items:
            self.written.remove(item)


def rule_book(seen: list[Any]) -> Hooks:
    hooks = Hooks()

    @hooks.before("save", Person)
    def tidy_name(change: Change[Person]) -> None:
        change.new["name"] = change.new["name"].strip()

    @hooks.check("save", Person, when=changed("age"), category="integrity")
    def age_in_range(change: Change[Person]) -> None:
        if not 0 <= change.new["age"] <= 120:
            raise ValidationError(change.entity, {"age": "must be between 0 and 120"})

    @hooks.check("link", Company.boss)
    def boss_is_adult(change: Any) -> None:
        if change.object.age < 18:
            raise ValidationError(change.subject, {"boss": "the minimum age for a boss is 18"})

    @hooks.before_commit("link", Company.subsidiary_of)
    def no_cycles(changes: Any) -> None:
        for change in changes:
            above, met = change.object, {change.subject}
            while above is not None:
                if above in met:
                    raise ValidationError(change.subject, {"subsidiary_of": "goes round in circles"})
                met.add(above)
                above = above.subsidiary_of

    @hooks.after_commit("insert", Order)
    async def warm_cache(change: Any, session: AsyncSession) -> None:
        seen.append((await session.scalars(select(Order.status))).all())

    @hooks.durable("update", Order, when=becomes("status", "paid"), retry=Retry(max_attempts=8))
    def send_receipt(change: Any, delivery: Delivery) -> None:
        seen.append((change.key, change.old["status"], delivery.attempt))

    @hooks.callback  # only functions marked so may be named by data
    def congratulate(change: Any) -> None:
        seen.append(f"congratulations, {change.entity.name}")

    @hooks.after("update", Order, when=was("status", "new") & becomes("status", "paid") & from_user())
    def thumbnail(change: Any, tx: Any, user: str = "nobody") -> None:
        WriteThumbnails.of(tx).add((change.key, user))

    return hooks


async def test_the_interface_by_example(async_engine: AsyncEngine) -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(Outbox().create_tables)
    seen: list[Any] = []
    WriteThumbnails.written.clear()
    hooks = rule_book(seen)
    maker = async_sessionmaker(async_engine, expire_on_commit=False)
    attach(hooks, maker)
    async with maker() as session:
        ann, kid = Person(name="  Ann ", age=40), Person(name="Kid", age=9)
        order, company = Order(), Company(name="A", boss=ann)
        session.add_all([ann, kid, order, company])
        await session.commit()
        assert (ann.name, seen) == ("Ann", [["new"]])

        with hooks.deny_all_but("integrity"):
            ann.name, ann.age = "  untidy ", 200
            with pytest.raises(ValidationError) as caught:
                await session.flush()
        assert caught.value.by_field(ann) == {"age": ["must be between 0 and 120"]}
        await session.rollback()

        for set_boss in ("boss", "boss_id"):
            await session.refresh(company)
            setattr(company, set_boss, kid if set_boss == "boss" else kid.id)
            with pytest.raises(ValidationError, match="minimum age"):
                await session.flush()
            await session.rollback()
            await session.refresh(kid)

        await session.refresh(company)
        below = Company(name="B", subsidiary_of=company)
        session.add(below)
        await session.commit()
        company.subsidiary_of = below
        with pytest.raises(ValidationError, match="circles"):
            await session.commit()

        await session.refresh(order)
        with hooks.context(user="alice"), hooks.trace() as trace:
            order.status = "paid"
            await session.flush()
            assert transaction(session).updated(order)
            await session.commit()
        assert WriteThumbnails.written == [(order.id, "alice")]
        assert [call.hook.name for call in trace] == ["thumbnail"]
        seen.clear()
        await Worker(hooks).serve(until_idle=True)
        assert seen == [(order.id, "new", 1)]
        answer = hooks.explain("update", Order, old={"status": "new"}, new={"status": "paid"}, phase="after")
        assert answer.runs == ["thumbnail"]

        registrations = MemoryRegistrations()
        hooks.use(registrations)
        registrations.add("congratulate", "after", "update", Person, instance=kid)
        kid.age, ann.age = 10, 41
        await session.flush()
        assert seen[1:] == ["congratulations, Kid"]
