"""What a hook is told in the worker: the change as it was committed, and the entity as it is now."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, ForeignKeyConstraint, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Change, Hooks, PhaseError, Retry, changed
from hookline.durable import Worker
from hookline.errors import ReadOnlyError
from hookline.sqlalchemy import Outbox, attach
from tests.durable.deliveries import Effect, Item, durable, made, made_async, states, work, written


def test_the_rows_are_those_of_the_commit_whatever_has_become_of_them(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    told = durable(hooks)
    with sessions() as session:
        item = Item(id=1, name="a")
        session.add(item)
        session.commit()
        item.name = "b"
        session.commit()
        item.name, item.count = "c", 5
        session.commit()
        session.delete(item)
        session.commit()
    work(hooks)
    rows = [{"id": 1, "name": name, "count": count, "owner_id": None} for name, count in (("a", 0), ("b", 0), ("c", 5))]
    assert told == [
        ("insert", 1, {}, rows[0], {"id", "name", "count"}),
        ("update", 1, rows[0], rows[1], {"name"}),
        ("update", 1, rows[1], rows[2], {"name", "count"}),
        ("delete", 1, rows[2], {}, {"id", "name", "count"}),
    ]


def test_the_entity_is_the_row_as_it_is_now_in_the_hooks_own_session(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    seen: list[Any] = []

    @hooks.durable("write", Item)
    def look(change: Change[Item], session: Session, entity: Item | None) -> None:
        same = change.event == "delete" or entity is None or session.get(Item, change.key) is entity is change.entity
        seen.append((change.event, change.key, entity and entity.name, same))

    with sessions() as session:
        first, second = Item(id=1, name="a"), Item(id=2, name="x")
        session.add_all([first, second])
        session.commit()
        first.name = "b"
        session.delete(second)
        session.commit()
    work(hooks)
    assert set(seen) == {  # on SQLite, one that meets another writer runs again
        ("delete", 2, "x", True),  # as it was
        ("insert", 1, "b", True),
        ("insert", 2, None, True),  # gone since
        ("update", 1, "b", True),
    }


def test_what_was_committed_cannot_be_edited(hooks: Hooks, sessions: Any) -> None:
    raised: list[type[BaseException]] = []

    @hooks.durable("insert", Item)
    def edit(change: Change[Item]) -> None:
        for attempt in (lambda: change.new.update(name="b"), lambda: change.new.__setitem__("name", "b")):
            try:
                attempt()
            except Exception as error:
                raised.append(type(error))

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    work(hooks)
    assert len(raised) == 2
    assert set(raised) <= {ReadOnlyError, AttributeError, TypeError}


def test_conditions_on_fields_hold_for_the_change_as_told(hooks: Hooks, sessions: Any) -> None:
    answers: list[Any] = []

    @hooks.durable("update", Item)
    def ask(change: Change[Item]) -> None:
        answers.append(
            (
                changed("name")(change),
                changed("name", "a", "b")(change),
                changed("count")(change),
                change.differs("name"),
            )
        )

    with sessions() as session:
        item = Item(id=1, name="a")
        session.add(item)
        session.commit()
        item.name = "b"
        session.commit()
        item.name = "z"
        session.commit()
    work(hooks)
    assert answers == [(True, True, False, True), (True, False, False, True)]


def test_the_delivery_says_which_it_is(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.durable("insert", Item, retry=Retry(max_attempts=3, backoff=0, jitter=0))
    def flaky(change: Change[Item], delivery: Any) -> None:
        seen.append(delivery)
        if not delivery.is_last:
            raise OSError("not yet")

    before = dt.datetime.now(dt.UTC)
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    work(hooks)
    assert [one.attempt for one in seen] == [1, 2, 3]
    assert {one.max_attempts for one in seen} == {3}
    assert len({one.id for one in seen}) == 1
    assert {one.hook for one in seen} == {"flaky"}
    assert msgspec.json.decode(seen[0].body)["new"]["name"] == "a"
    assert abs(seen[0].created_at - before) < dt.timedelta(minutes=1)
    number = written(engine)[0].id
    assert seen[0].id.endswith(f"-{number}")
    assert len(seen[0].id.removesuffix(f"-{number}")) >= 8  # what tells this database from others


def test_ids_are_of_one_database(engine: Engine, hooks: Hooks, sessions: Any, tmp_path: Any) -> None:
    from tests.sqlalchemy.databases import engine_for

    other = engine_for(f"sqlite:///{tmp_path}/other.db")
    made(other)
    ids: list[str] = []
    second = Hooks("second")
    for book in (hooks, second):
        book.add(lambda delivery: ids.append(delivery.id), "durable", "insert", Item, name="tell")
    maker = sessionmaker(other)
    attach(second, maker)
    for make in (sessions, maker):
        with make() as session:
            session.add(Item(id=1, name="a"))
            session.commit()
    for book in (hooks, second):
        work(book)
    other.dispose()
    assert len(set(ids)) == 2


def test_what_hooks_write_is_committed_with_the_mark_and_rolled_back_with_the_failure(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    @hooks.durable("insert", Item, retry=Retry(max_attempts=2, backoff=0, jitter=0))
    def effect(change: Change[Item], session: Session, delivery: Any) -> None:
        session.add(Effect(delivery=delivery.id, said=f"attempt {delivery.attempt}"))
        session.flush()
        if delivery.attempt == 1:
            raise OSError("after the write")

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        work(hooks)
        assert session.scalars(select(Effect.said)).all() == ["attempt 2"]
    assert list(states(engine).values()) == ["done"]


@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
def test_a_hook_does_not_end_the_transaction_that_marks_it_done(
    engine: Engine, hooks: Hooks, sessions: Any, ending: str
) -> None:
    raised: list[BaseException] = []

    @hooks.durable("insert", Item, retry=Retry(max_attempts=1))
    def impatient(change: Change[Item], session: Session, delivery: Any) -> None:
        session.add(Effect(delivery=delivery.id, said="early"))
        try:
            getattr(session, ending)()
        except PhaseError as error:
            raised.append(error)
            raise

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        work(hooks)
        assert [ending in str(error) for error in raised] == [True]
        assert session.scalars(select(Effect)).all() == []
    assert list(states(engine).values()) == ["dead"]


def test_hooks_that_write_in_a_worker_cause_deliveries_with_depth_and_cause(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    seen: list[Any] = []

    @hooks.durable("insert", Item)
    def chain(change: Change[Item], session: Session) -> None:
        seen.append((change.key, change.depth, change.cause and change.cause.name))
        if change.key < 3:
            session.add(Item(id=change.key + 1, name="next"))

    @hooks.durable("update", Item)
    def counted(change: Change[Item], session: Session) -> None:
        seen.append((change.key, change.depth, change.cause and change.cause.name))

    with sessions() as session:
        session.add(Item(id=1, name="first"))
        session.commit()
        work(hooks)
        assert seen == [(1, 0, None), (2, 1, "chain"), (3, 2, "chain")]
        session.execute(update(Item).values(count=1))
        session.commit()
    work(hooks)
    assert sorted(seen[3:]) == [(1, 0, None), (2, 0, None), (3, 0, None)]


@pytest.mark.parametrize("how", ["unit of work", "statement", "several"])
def test_loops_between_durable_hooks_end_and_the_last_is_dead(
    engine: Engine, sessions: Any, hooks: Hooks, how: str
) -> None:
    hooks.max_depth = 4
    runs: list[int] = []

    def again(change: Change[Item], session: Session) -> None:
        runs.append(change.depth)
        if how == "statement":
            session.execute(update(Item).where(Item.id == change.key).values(count=Item.count + 1))
        else:
            session.get_one(Item, change.key).count += 1

    def all_again(changes: list[Change[Item]], session: Session) -> None:
        again(changes[0], session)

    hooks.add(all_again if how == "several" else again, "durable", "write", Item, name="again")
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    worker = work(hooks)
    assert runs == [0, 1, 2, 3]
    assert list(states(engine).values()) == ["done"] * 4 + ["dead"]
    assert worker.progress.failed == 1  # to try it again would change nothing


def test_phases_of_the_hooks_own_transaction_run(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []
    for phase in ("before", "after", "before_commit", "after_commit"):
        hooks.add(
            lambda change, phase=phase: seen.append((phase, change.cause.name)), phase, "insert", Effect, name=phase
        )

    @hooks.durable("insert", Item)
    def effect(change: Change[Item], session: Session) -> None:
        session.add(Effect(delivery="", said=""))

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    work(hooks)
    assert seen == [(phase, "effect") for phase in ("before", "after", "before_commit", "after_commit")]


def test_the_context_of_the_worker_reaches_its_hooks(hooks: Hooks, sessions: Any) -> None:
    users: list[str] = []

    @hooks.durable("insert", Item)
    def who(change: Change[Item], user: str) -> None:
        users.append(user)

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    with hooks.context(user="the worker"):
        work(hooks)
    assert users == ["the worker"]


# -- classes that moved


def test_a_class_that_moved_to_another_module_is_found(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, by=lambda change: change.new["name"])
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    _rename(engine, "somewhere.else:Item")
    work(hooks)
    assert told == ["a"]


def test_a_class_that_is_gone_is_an_error_that_says_so(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, retry=Retry(max_attempts=1))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    _rename(engine, "somewhere.else:Gone")
    work(hooks)
    assert list(states(engine).values()) == ["dead"]
    with engine.connect() as connection:
        error = connection.scalar(select(Outbox().deliveries.c.error))
    assert "somewhere.else.Gone" in error
    assert "Import the module" in error


def _rename(engine: Engine, name: str) -> None:
    table = Outbox().deliveries
    with engine.begin() as connection:
        body = msgspec.json.decode(connection.scalar(select(table.c.body)))
        connection.execute(update(table).values(body=msgspec.json.encode({**body, "model": name}).decode()))


def test_columns_that_are_gone_and_new_ones_do_no_harm(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, by=lambda change: (dict(change.new), change.new["count"]))
    with sessions() as session:
        session.add(Item(id=1, name="a", count=4))
        session.commit()
    table = Outbox().deliveries
    with engine.begin() as connection:
        body = msgspec.json.decode(connection.scalar(select(table.c.body)))
        body["new"].pop("count")  # written before the column was there
        body["new"]["gone"] = 1
        connection.execute(update(table).values(body=msgspec.json.encode(body).decode()))
    work(hooks)
    assert told == [({"id": 1, "name": "a", "owner_id": None, "count": 4}, 4)]


# -- inheritance, keys of several columns


def test_subclasses_and_keys_of_several_columns(engine: Engine, hooks: Hooks) -> None:
    class OwnBase(DeclarativeBase):
        pass

    class Animal(OwnBase):
        __tablename__ = "animal"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        farm: Mapped[str] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str]

    class Dog(Animal):
        __tablename__ = "dog"
        __mapper_args__ = {"polymorphic_identity": "dog"}
        farm: Mapped[str] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        tricks: Mapped[int] = mapped_column(default=0)
        __table_args__ = (ForeignKeyConstraint(["farm", "number"], ["animal.farm", "animal.number"]),)

    OwnBase.metadata.create_all(engine)
    Outbox().create_tables(engine)
    maker = sessionmaker(engine)
    told: list[Any] = []

    @hooks.durable("write", Animal)
    def tell(change: Change[Any], entity: Any) -> None:
        row = change.new or change.old
        told.append((change.event, change.model.__name__, change.key, row.get("tricks"), type(entity).__name__))

    with attach(hooks, maker), maker() as session:
        dog = Dog(farm="Ферма", number=7)
        session.add_all([dog, Animal(farm="b", number=1)])
        session.commit()
        dog.tricks = 2
        session.commit()
        assert {tuple(one.lane[1]) for one in written(engine)} == {("Ферма", 7), ("b", 1)}
        work(hooks)
    assert sorted(told) == [
        ("insert", "Animal", ("b", 1), None, "Animal"),
        ("insert", "Dog", ("Ферма", 7), 0, "Dog"),
        ("update", "Dog", ("Ферма", 7), 2, "Dog"),
    ]


# -- async


def test_async_hooks_of_sync_sessions_run_in_the_workers_loop(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    loops: list[Any] = []

    @hooks.durable("insert", Item)
    async def later(change: Change[Item], session: Session, delivery: Any) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        session.add(Effect(delivery=delivery.id, said=change.new["name"]))

    with sessions() as session:
        session.add_all([Item(id=1, name="a"), Item(id=2, name="b")])
        session.commit()
        work(hooks, concurrency=2)
        assert sorted(session.scalars(select(Effect.said))) == ["a", "b"]
    assert len(set(map(id, loops))) == 1


async def test_async_and_sync_hooks_of_async_sessions(async_engine: AsyncEngine, engine: Engine, hooks: Hooks) -> None:
    await made_async(async_engine)
    maker = async_sessionmaker(async_engine)
    attach(hooks, maker)
    seen: list[Any] = []

    @hooks.durable("write", Item)
    async def later(change: Change[Item], session: AsyncSession, entity: Any, delivery: Any) -> None:
        await asyncio.sleep(0)
        seen.append((change.event, entity and entity.name))
        session.add(Effect(delivery=delivery.id, said=f"async {change.event}"))

    @hooks.durable("insert", Item)
    def plainly(change: Change[Item], session: Session, delivery: Any) -> None:
        session.add(Effect(delivery=delivery.id, said="sync"))

    @hooks.durable("insert", Effect)
    async def without_the_database(changes: list[Change[Effect]]) -> None:
        seen.append(("effects", len(changes)))

    async with maker() as session:
        session.add(Item(id=1, name="a"))
        await session.commit()
        await session.execute(update(Item).values(name="b"))
        await session.commit()
        await Worker(hooks, concurrency=1).serve(until_idle=True)
        said = (await session.scalars(select(Effect.said).order_by(Effect.said))).all()
    assert said == ["async insert", "async update", "sync"]  # once, though on SQLite a hook may have to run again
    assert set(seen) == {("effects", 1), ("insert", "b"), ("update", "b")}
    assert set(states(engine).values()) == {"done"}


@pytest.mark.parametrize("error", [asyncio.CancelledError, TimeoutError, GeneratorExit])
async def test_whatever_an_async_hook_raises_is_an_attempt(
    async_engine: AsyncEngine, engine: Engine, hooks: Hooks, error: type[BaseException]
) -> None:
    await made_async(async_engine)
    maker = async_sessionmaker(async_engine)
    attach(hooks, maker)

    @hooks.durable("insert", Item, retry=Retry(max_attempts=2, backoff=0, jitter=0, on=Exception))
    async def cancelled(change: Change[Item], session: AsyncSession) -> None:
        session.add(Effect(delivery="", said=""))
        await session.flush()
        raise error

    async with maker() as session:
        session.add(Item(id=1, name="a"))
        await session.commit()
        worker = Worker(hooks, concurrency=1)
        await asyncio.wait_for(worker.serve(until_idle=True), 20)
        assert (await session.scalars(select(Effect))).all() == []
    assert worker.progress.done == 0
    assert list(states(engine).values()) == ["dead"]


def test_a_delivery_that_was_told_in_bulk_is_told_in_full(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    """A bulk statement reads only what it touches; a delivery has the whole rows."""
    told = durable(hooks, "write")
    with sessions() as session:
        session.execute(insert(Item), [{"id": 1, "name": "a"}])
        session.commit()
        session.execute(update(Item).values(name="b"))
        session.commit()
        session.execute(delete(Item))
        session.commit()
    work(hooks)
    row = {"id": 1, "name": "a", "count": 0, "owner_id": None}
    assert [one[2:4] for one in told] == [({}, row), (row, {**row, "name": "b"}), ({**row, "name": "b"}, {})]
