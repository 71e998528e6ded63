"""What a user's type checker knows. Never run: `make lint` checks it, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import (
    Change,
    Delivery,
    Hook,
    Hooks,
    LinkChange,
    Operation,
    Outcome,
    Problem,
    Transaction,
    ValidationError,
    becomes,
    changed,
    from_user,
)
from hookline.durable import NatsStream, Webhook
from hookline.sqlalchemy import attach, transaction


class Base(DeclarativeBase):
    pass


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    boss: Mapped[Person | None] = relationship(foreign_keys=boss_id)


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int]


hooks = Hooks()


@hooks.before("save", Person)
def tidy_name(change: Change[Person]) -> None:
    assert_type(change.entity, Person)
    assert_type(change.model, type[Person])
    assert_type(change.event, str)
    assert_type(change.fields, frozenset[str])
    assert_type(change.cause, Hook | None)
    assert_type(change.depth, int)
    change.new["name"] = change.new["name"].strip()
    del change.new["name"]


@hooks.check("save", Person, when=changed("age") & ~becomes("name", "Methuselah") & from_user(), category="integrity")
def age_in_range(change: Change[Person]) -> None:
    old: Mapping[str, Any] = change.old
    if old.get("age") is None and not 0 <= change.new["age"] <= 120:
        raise ValidationError(change.entity, {"age": "must be between 0 and 120"})


@hooks.check("link", Company.boss)
def boss_is_adult(change: LinkChange) -> None:
    assert_type(change.relation, str)
    if change.object.age < 18:
        raise ValidationError(change.subject, {"boss": "the minimum age for a boss is 18"})


@hooks.after("update", (Person, Company), order=10, runs_before=("count",))
def both(changes: list[Change[Any]], session: Session, tx: Transaction) -> None:
    assert_type(tx.outcome, Outcome)
    assert_type(tx.added(changes[0].entity), bool)
    tx.after_commit(lambda: None)


class Count(Operation):
    order = Operation.LATE

    def before_commit(self) -> None:
        assert_type(self.tx, Transaction)


@hooks.before_commit("write", Person)
async def count(entity: Person, tx: Transaction) -> None:
    Count.of(tx).add(entity.id)
    assert_type(Count.of(tx), Count)


class Ledger:
    """A sink asks for what it needs, and is sync or async."""

    name = "the ledger"

    def deliver(self, delivery: Delivery, change: Change[Person]) -> None:
        assert_type(change.entity, Person)


assert_type(hooks.durable("insert", Person, to=Ledger()), Hook)
assert_type(hooks.durable("insert", Person, to=Webhook("https://example.com", "whsec_...", name="a partner")), Hook)
assert_type(hooks.durable("insert", Person, to=NatsStream("nats://localhost", "persons")), Hook)


# A decorator returns the function as it was.
assert_type(tidy_name(Change.__new__(Change)), None)

engine = create_engine("sqlite://")
with attach(hooks, sessionmaker(engine)), attach(hooks, Session), Session(engine) as session:
    assert_type(transaction(session), Transaction)
    assert_type(transaction(session, hooks), Transaction)

attachment = attach(hooks, async_sessionmaker(create_async_engine("sqlite+aiosqlite://")), raise_after_commit=True)
attachment.detach()


async def asynchronous(session: AsyncSession) -> None:
    assert_type(transaction(session), Transaction)


def problems(error: ValidationError) -> list[str]:
    assert_type(error.problems, tuple[Problem, ...])
    assert_type(error.by_field(), dict[str, list[str]])
    return [problem.text for problem in error.problems]
