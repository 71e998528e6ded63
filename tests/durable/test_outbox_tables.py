"""The tables of an outbox: where they are, what happens without them, and looking after what is in them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, inspect, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from hookline import Hooks, RegistrationError, Retry
from hookline.durable import Worker
from hookline.errors import DeliveryError, OutboxError, UnknownFieldError
from hookline.sqlalchemy import Outbox, attach
from tests.durable.deliveries import Base, Item, Tag, durable, events, made, states, work, written
from tests.sqlalchemy.databases import engine_for


def test_without_tables_durable_hooks_are_refused_when_they_are_attached(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)
    durable(hooks)
    with pytest.raises(OutboxError, match=r"hookline_delivery.*create_tables"):
        attach(hooks, sessionmaker(engine))
    maker = sessionmaker(engine)
    Outbox().create_tables(engine)
    with attach(hooks, maker), maker() as session:  # nothing of the failure is left
        session.add(Item(id=1, name="a"))
        session.commit()
    assert events(engine) == [("tell", "insert", 1)]


def test_without_tables_durable_hooks_are_refused_when_they_are_registered_later(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        with pytest.raises(OutboxError, match="hookline_delivery"):
            durable(hooks)
        assert "tell" not in [hook.name for hook in hooks]
        session.add(Item(id=1, name="a"))
        session.commit()
        Outbox().create_tables(engine)
        durable(hooks)
        session.add(Item(id=2, name="b"))
        session.commit()
    assert events(engine) == [("tell", "insert", 2)]


def test_outdated_tables_are_named_with_what_they_lack(engine: Engine, hooks: Hooks) -> None:
    made(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE hookline_delivery DROP COLUMN worker"))
        connection.execute(text("DROP TABLE hookline_attempt"))
    durable(hooks)
    with pytest.raises(OutboxError, match=r"the column hookline_delivery\.worker, the table hookline_attempt missing"):
        attach(hooks, sessionmaker(engine))


async def test_for_async_engines_this_is_said_when_the_first_transaction_begins(
    async_engine: AsyncEngine, hooks: Hooks
) -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    durable(hooks)
    maker = async_sessionmaker(async_engine)
    attach(hooks, maker)
    async with maker() as session:
        session.add(Item(id=1, name="a"))
        with pytest.raises(OutboxError, match="hookline_delivery"):
            await session.commit()
        await session.rollback()
    with pytest.raises(OutboxError, match="hookline_delivery"):
        await Worker(hooks).serve(until_idle=True)
    async with async_engine.begin() as connection:
        await connection.run_sync(Outbox().create_tables)
    async with maker() as session:
        session.add(Item(id=1, name="a"))
        await session.commit()


def test_no_durable_hook_no_tables(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    assert "hookline_delivery" not in inspect(engine).get_table_names()


@pytest.mark.parametrize("target", ["scoped_session", "session", "class"])
def test_any_kind_of_session_delivers_and_has_workers(engine: Engine, hooks: Hooks, target: str) -> None:
    made(engine)
    told = durable(hooks, by=lambda change: change.key)

    class Own(Session):
        pass

    own = sessionmaker(engine, class_=Own)
    things: dict[str, Any] = {"scoped_session": scoped_session(own), "session": own(), "class": Own}
    session = own() if target == "class" else things[target]
    with attach(hooks, things[target]):
        session.add(Item(id=1, name="a"))
        session.commit()
        session.close()
        assert events(engine) == [("tell", "insert", 1)]
        if target != "class":  # a class does not say which engine
            work(hooks)
            assert told == [1]


def test_the_tables_of_an_application_can_hold_them(engine: Engine, hooks: Hooks) -> None:
    metadata = MetaData()
    outbox = Outbox("app_", metadata=metadata)
    Base.metadata.create_all(engine)
    metadata.create_all(engine)
    assert {"app_delivery", "app_attempt", "app_origin"} <= set(inspect(engine).get_table_names())
    told = durable(hooks, by=lambda change: change.key)
    maker = sessionmaker(engine)
    with attach(hooks, maker, outbox=outbox), maker() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        assert events(engine, outbox) == [("tell", "insert", 1)]
        work(hooks)
    assert told == [1]


def test_a_schema_of_its_own(engine: Engine, hooks: Hooks, tmp_path: Any) -> None:
    if engine.dialect.name == "sqlite":
        engine = engine_for(f"sqlite:///{tmp_path}/main.db")
        from sqlalchemy import event

        file = f"{tmp_path}/other.db"
        event.listen(engine, "connect", lambda connection, _: connection.execute(f"ATTACH '{file}' AS jobs"))
    else:
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA IF EXISTS jobs CASCADE"))
            connection.execute(text("CREATE SCHEMA jobs"))
    outbox = Outbox(schema="jobs")
    Base.metadata.create_all(engine)
    outbox.create_tables(engine)
    told: list[Any] = []
    retry = Retry(max_attempts=2, backoff=0, jitter=0)

    @hooks.durable("insert", Item, retry=retry)
    def tell(change: Any, delivery: Any, session: Session) -> None:
        told.append((change.key, delivery.attempt))
        session.get(Item, change.key)
        if delivery.attempt == 1:
            raise OSError

    maker = sessionmaker(engine)
    with attach(hooks, maker, outbox=outbox), maker() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        work(hooks)
    assert told == [(1, 1), (1, 2)]
    assert "hookline_delivery" not in inspect(engine).get_table_names()
    engine.dispose()


def test_a_worker_of_several_attachments_must_be_told_which(engine: Engine, hooks: Hooks, tmp_path: Any) -> None:
    other = engine_for(f"sqlite:///{tmp_path}/other.db")
    told = durable(hooks, by=lambda change: change.new["name"])
    with pytest.raises(RegistrationError, match="attach"):
        Worker(hooks)
    attachments = []
    for one, name in ((engine, "first"), (other, "second")):
        made(one)
        maker = sessionmaker(one)
        attachments.append(attach(hooks, maker))
        with maker() as session:
            session.add(Item(id=1, name=name))
            session.commit()
    with pytest.raises(RegistrationError, match="whose deliveries"):
        Worker(hooks)
    work(hooks, of=attachments[1])
    assert told == ["second"]
    work(hooks, of=attachments[0])
    assert told == ["second", "first"]
    other.dispose()


# -- looking after them


def _some(sessions: Any, number: int) -> None:
    with sessions() as session:
        session.add_all([Item(id=n, name="a") for n in range(1, number + 1)])
        session.commit()


def test_the_dead_are_retried_by_hand(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    broken, told = [True], []

    @hooks.durable("insert", Item, retry=Retry(max_attempts=2, backoff=0, jitter=0))
    def send(change: Any, delivery: Any) -> None:
        if broken:
            raise OSError
        told.append((change.key, delivery.attempt))

    _some(sessions, 2)
    work(hooks)
    tending = hooks.store().tending
    with engine.begin() as connection:
        dead = [one.id for one in tending.list(connection, state="dead")]
        assert len(dead) == 2
        assert tending.retry(connection, dead) == 2
    broken.clear()
    work(hooks)
    assert sorted(told) == [(1, 1), (2, 1)]
    with engine.begin() as connection:
        assert tending.retry(connection, dead) == 0  # they are done
        assert len(tending.show(connection, dead[0]).history) == 2


def test_what_is_cancelled_never_runs_and_lets_others_pass(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, by=lambda change: (change.key, change.event))
    _some(sessions, 2)
    with sessions() as session:
        session.get_one(Item, 1).name = "b"
        session.commit()
    tending = hooks.store().tending
    with engine.begin() as connection:
        first = min(states(engine))
        assert tending.cancel(connection, [first]) == 1
    work(hooks)
    assert sorted(told) == [(1, "update"), (2, "insert")]
    with engine.begin() as connection:
        assert tending.cancel(connection, list(states(engine))) == 0
        assert [(one.hook, one.state, one.number) for one in tending.counts(connection)] == [
            ("tell", "done", 2), ("tell", "cancelled", 1),
        ]  # fmt: skip
        assert tending.retry(connection, [first]) == 1  # one may change one's mind
    work(hooks)
    assert told[-1] == (1, "insert")


def test_what_runs_is_neither_cancelled_nor_retried(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    _some(sessions, 1)
    store = hooks.store()
    (claim,) = store.take("one", ["tell"], 10, 60)
    with engine.begin() as connection:
        assert store.tending.cancel(connection, [claim.id]) == 0
        assert store.tending.retry(connection, [claim.id]) == 0
    assert list(states(engine).values()) == ["running"]


def test_what_ended_long_ago_is_pruned_with_its_attempts(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    failed: list[Any] = []

    @hooks.durable("insert", Item, retry=Retry(max_attempts=2, backoff=0, jitter=0))
    def send(change: Any, delivery: Any) -> None:
        if delivery.attempt == 1 or change.key == 3:
            failed.append(change.key)
            raise OSError

    _some(sessions, 4)
    work(hooks)
    tending, table = hooks.store().tending, Outbox().deliveries
    with engine.begin() as connection:
        assert tending.prune(connection, dt.timedelta(hours=1)) == 0
        old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
        ids = [one.id for one in written(connection)]
        connection.execute(update(table).where(table.c.id.in_(ids[:3])).values(ended_at=old))
        assert tending.prune(connection, dt.timedelta(hours=1)) == 2
        assert [one.id for one in written(connection)] == ids[2:]  # one is dead, one is young
        assert connection.scalar(text("SELECT count(*) FROM hookline_attempt")) == 3
        assert tending.prune(connection, dt.timedelta(0), ["dead"]) == 1
        with pytest.raises(DeliveryError, match="Only deliveries"):
            tending.prune(connection, dt.timedelta(0), ["pending"])
        with pytest.raises(DeliveryError, match="no state"):
            tending.prune(connection, dt.timedelta(0), ["canceled"])


def test_counts_say_how_old_the_oldest_is(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    _some(sessions, 3)
    table = Outbox().deliveries
    with engine.begin() as connection:
        old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
        connection.execute(update(table).where(table.c.id == min(states(engine))).values(created_at=old))
    with engine.connect() as connection:
        (count,) = hooks.store().tending.counts(connection)
    assert (count.hook, count.state, count.number) == ("tell", "pending", 3)
    assert 7100 < count.oldest < 7300


# -- several engines


def test_of_several_engines_each_has_the_deliveries_of_its_own_changes(
    engine: Engine, hooks: Hooks, tmp_path: Any
) -> None:
    class OtherBase(DeclarativeBase):
        pass

    class Note(OtherBase):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)

    other = engine_for(f"sqlite:///{tmp_path}/other.db")
    made(engine)
    OtherBase.metadata.create_all(other)
    Outbox().create_tables(other)
    durable(hooks, "insert", (Item, Note))
    maker = sessionmaker(binds={Base: engine, OtherBase: other})
    with attach(hooks, maker), maker() as session:
        session.add_all([Item(id=1, name="a"), Note(id=2)])
        session.commit()
    assert events(engine) == [("tell", "insert", 1)]
    assert events(other) == [("tell", "insert", 2)]
    other.dispose()


def test_a_key_that_is_no_field_is_refused_when_the_hook_is_registered(engine: Engine, hooks: Hooks) -> None:
    made(engine)
    with attach(hooks, sessionmaker(engine)), pytest.raises(UnknownFieldError, match="no field 'shop'"):
        hooks.add(lambda change: None, "durable", "insert", Item, name="wrong", key="shop")


def test_a_database_that_no_durable_hook_is_about_needs_no_outbox(hooks: Hooks, tmp_path: Path) -> None:
    one, other = (create_engine(f"sqlite:///{tmp_path / name}") for name in ("one", "other"))
    Base.metadata.create_all(one)
    Base.metadata.create_all(other)
    Outbox().create_tables(one)
    told: list[int] = []
    hooks.add(lambda change: told.append(change.key), "durable", "insert", Item, name="items")
    sessions = sessionmaker[Session](binds={Item: one, Tag: other})
    with attach(hooks, sessions):
        with sessions.begin() as session:
            session.add_all([Item(id=1, name="in one"), Tag(id=1)])
        assert Worker(hooks).run_until_idle() == 1
    assert told == [1]
    one.dispose()
    other.dispose()


def test_a_worker_says_so_if_deliveries_are_in_several_databases(hooks: Hooks, tmp_path: Path) -> None:
    one, other = (create_engine(f"sqlite:///{tmp_path / name}") for name in ("one", "other"))
    for engine in (one, other):
        Base.metadata.create_all(engine)
        Outbox().create_tables(engine)
    hooks.add(lambda change: None, "durable", "insert", (Item, Tag), name="both")
    sessions = sessionmaker[Session](binds={Item: one, Tag: other})
    with attach(hooks, sessions), pytest.raises(OutboxError, match="several databases"):
        Worker(hooks).run_until_idle()
    one.dispose()
    other.dispose()
