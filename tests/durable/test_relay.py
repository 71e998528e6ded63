"""What others write, through triggers and the relay, to durable hooks: in the order of commits, once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Change, Hooks, becomes
from hookline.durable import Worker
from hookline.sqlalchemy import Attachment, Outbox, attach, capture
from tests.sqlalchemy.patience import patient

__all__ = ["patient"]

pytestmark = pytest.mark.usefixtures("patient")


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    shop_id: Mapped[int | None] = mapped_column(ForeignKey("shop.id"))


Told = list[tuple[str, Any, dict[str, Any], dict[str, Any]]]


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(bypass="capture")


@pytest.fixture
def told(hooks: Hooks) -> Told:
    """What a durable hook on orders was told."""
    told: Told = []

    @hooks.durable("write", Order)
    def tell(change: Change[Order]) -> None:
        assert change.door == "captured"
        old, new = ({n: row[n] for n in change.fields if n in row} for row in (change.old, change.new))
        told.append((change.event, change.key, old, new))

    return told


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Iterator[sessionmaker[Session]]:
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)
    orders = capture(Order, Shop)
    orders.install(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker, capture=orders):
        yield maker


@pytest.fixture
def others(sessions: Any, database: Any) -> Iterator[Engine]:
    """An engine that no hook knows of, as another program has it."""
    engine = create_engine(database.url)
    yield engine
    engine.dispose()


def write(engine: Engine, *statements: str) -> None:
    """One transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM hookline_delivery")).scalar_one())


def test_what_another_program_writes_is_delivered_with_old_and_new_values(
    hooks: Hooks, told: Told, others: Engine
) -> None:
    write(others, "INSERT INTO orders VALUES (1, 'new', NULL)")
    write(others, "UPDATE orders SET status = 'paid' WHERE id = 1")
    write(others, "DELETE FROM orders WHERE id = 1")
    assert Worker(hooks).run_until_idle() == 3
    assert told == [
        ("insert", 1, {}, {"id": 1, "status": "new"}),
        ("update", 1, {"status": "new"}, {"status": "paid"}),
        ("delete", 1, {"id": 1, "status": "paid"}, {}),
    ]


def test_a_transaction_of_others_is_told_of_as_its_net_changes(
    hooks: Hooks, told: Told, others: Engine, database: Any
) -> None:
    write(
        others,
        "INSERT INTO orders VALUES (1, 'new', NULL)",
        "UPDATE orders SET status = 'paid' WHERE id = 1",
        "INSERT INTO orders VALUES (2, 'new', NULL)",
        "DELETE FROM orders WHERE id = 2",
    )
    Worker(hooks).run_until_idle()
    events = [row[0] for row in sorted(told, key=lambda row: row[1])]  # rows run side by side, each in order
    if database.kind == "postgresql":
        assert told == [("insert", 1, {}, {"id": 1, "status": "paid"})]
    else:  # which does not tell transactions apart
        assert events == ["insert", "update", "insert", "delete"]


def test_conditions_and_links_hold_for_others_too(hooks: Hooks, others: Engine) -> None:
    paid: list[int] = []
    linked: list[Any] = []
    hooks.add(lambda change: paid.append(change.key), "durable", "update", Order, name="p", when=becomes("status", "x"))
    hooks.add(lambda change: linked.append(change.key), "durable", "link", Order.shop_id, name="l")
    write(others, "INSERT INTO shop VALUES (7)", "INSERT INTO orders VALUES (1, 'new', 7), (2, 'new', NULL)")
    write(others, "UPDATE orders SET status = 'x' WHERE id = 2")
    write(others, "UPDATE orders SET shop_id = 7 WHERE id = 2")
    Worker(hooks).run_until_idle()
    assert paid == [2]
    assert sorted(linked) == [(1, 7), (2, 7)]


def test_the_log_is_empty_afterwards(hooks: Hooks, told: Told, others: Engine, engine: Engine) -> None:
    write(others, "INSERT INTO shop VALUES (1)", "INSERT INTO orders VALUES (1, 'new', 1)")
    Worker(hooks).run_until_idle()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM hookline_capture")).scalar_one() == 0
    assert len(told) == 1


def test_what_a_session_was_told_of_itself_is_not_relayed_again(hooks: Hooks, sessions: Any, engine: Engine) -> None:
    doors: list[str] = []
    hooks.add(lambda change: doors.append(change.door), "durable", "insert", Order, name="doors")
    with sessions.begin() as session:
        session.add(Order(id=1, status="new"))
        session.execute(text("INSERT INTO orders VALUES (2, 'new', NULL)"))
    assert waiting(engine) == 2
    Worker(hooks).run_until_idle()
    assert doors == ["unit of work", "captured"]


def test_a_relay_that_dies_leaves_everything_for_the_next_one(
    hooks: Hooks, told: Told, others: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(others, "INSERT INTO orders VALUES (1, 'new', NULL)")
    store = hooks.store()
    attachment: Attachment = store._attachment
    assert attachment.capture is not None
    with monkeypatch.context() as patch:

        def die(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(attachment.capture, "forget", die)
        with pytest.raises(KeyboardInterrupt):
            store.relay(10)
    assert waiting(engine) == 0
    assert store.relay(10) == 1
    assert store.relay(10) == 0
    assert waiting(engine) == 1


def test_many_relays_at_once_deliver_each_change_once(hooks: Hooks, told: Told, others: Engine, engine: Engine) -> None:
    for number in range(20):
        write(others, f"INSERT INTO orders VALUES ({number}, 'new', NULL)")
    store = hooks.store()
    found: list[int] = []

    def relay(_: int) -> None:
        while sum(found) < 20:  # one at a time may: the others find nothing
            found.append(store.relay(3))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(relay, range(4)))
    assert sum(found) == 20
    assert waiting(engine) == 20


def test_a_transaction_that_commits_late_is_neither_skipped_nor_overtaken(
    hooks: Hooks, told: Told, others: Engine, database: Any
) -> None:
    if database.kind == "sqlite":
        write(others, "INSERT INTO orders VALUES (1, 'late', NULL)")  # one writer at a time: nobody can be late
        write(others, "INSERT INTO orders VALUES (2, 'early', NULL)")
        assert hooks.store().relay(10) == 2
        return
    with others.connect() as late:
        late.execute(text("INSERT INTO orders VALUES (1, 'late', NULL)"))
        write(others, "INSERT INTO orders VALUES (2, 'early', NULL)")
        assert hooks.store().relay(10) == 0  # the late one began first, and may still commit first
        late.commit()
    assert hooks.store().relay(10) == 2
    Worker(hooks).run_until_idle()
    assert sorted(row[1] for row in told) == [1, 2]


def test_a_worker_looks_for_what_nobody_calls_for(hooks: Hooks, others: Engine) -> None:
    from threading import Event

    came = Event()
    hooks.add(lambda change: came.set(), "durable", "insert", Order, name="came")
    with Worker(hooks, poll=60):
        write(others, "INSERT INTO orders VALUES (1, 'new', NULL)")
        assert came.wait(20)


def test_rows_of_no_interest_are_dropped(hooks: Hooks, told: Told, others: Engine, engine: Engine) -> None:
    write(others, "INSERT INTO shop VALUES (1), (2), (3)")
    assert hooks.store().relay(10) == 3
    assert waiting(engine) == 0
