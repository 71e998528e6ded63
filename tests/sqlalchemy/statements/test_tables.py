"""What a statement can be about: several tables, aliases, CTEs, schemas, tables that are not mapped."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    column,
    delete,
    event,
    insert,
    select,
    table,
    text,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    mapped_column,
    sessionmaker,
    with_loader_criteria,
)

from hookline import BypassError, Change, Hooks
from tests.sqlalchemy.recording import Log, committed, logged
from tests.sqlalchemy.statements.schema import fill
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target


class Base(DeclarativeBase):
    pass


class Firm(Base):
    __tablename__ = "firm"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(default=0)


class Worker(Base):
    __tablename__ = "worker"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pay: Mapped[int] = mapped_column(default=0)
    firm_id: Mapped[int | None] = mapped_column(ForeignKey("firm.id"))


class Посёлок(Base):
    __tablename__ = "посёлок"
    код: Mapped[int] = mapped_column(primary_key=True)
    имя: Mapped[str] = mapped_column("название")
    жители: Mapped[int] = mapped_column(default=0)


unmapped = Table("unmapped", Base.metadata, Column("id", Integer, primary_key=True), Column("name", String))
keyless = Table("keyless", Base.metadata, Column("name", String))


def firms(session: Session) -> None:
    fill(session, Firm(id=1, name="acme", size=10), Firm(id=2, name="best", size=20))
    fill(
        session,
        Worker(id=1, name="ann", firm_id=1),
        Worker(id=2, name="ben", firm_id=2),
        Worker(id=3, name="cy", firm_id=2),
    )


# -- several tables


@every_way
def test_update_from_another_table(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    firms(session)
    before, log = logged(hooks, "before", Worker), logged(hooks, "after", Worker)
    sent.clear()
    statement = update(target(way, Worker)).where(Worker.firm_id == Firm.id, Firm.size > 15).values(pay=Firm.size * 2)
    if way == "orm":
        statement = statement.execution_options(synchronize_session=False)
    send(session, way, statement)
    told = [("update", "Worker", {"pay": (0, 40)})] * 2
    assert before == log == told
    assert len(sent.writes) == 1
    assert session.scalars(select(Worker.pay).order_by(Worker.id)).all() == [0, 40, 40]


def test_update_from_another_table_with_edits(hooks: Hooks, session: Session, sent: Sent) -> None:
    firms(session)

    @hooks.before("update", Worker)
    def edit(change: Change[Worker]) -> None:
        change.new["pay"] += change.key

    sent.clear()
    worker, firm = Worker.__table__, Firm.__table__
    session.execute(update(worker).where(worker.c.firm_id == firm.c.id).values(pay=firm.c.size))  # type: ignore[arg-type]
    assert len(sent.writes) == 1
    assert session.scalars(select(Worker.pay).order_by(Worker.id)).all() == [11, 22, 23]


def test_an_ambiguous_update_from_is_not_half_followed(hooks: Hooks, session: Session) -> None:
    firms(session)
    logged(hooks, "after", Firm, bypass="refuse")
    worker, firm = Worker.__table__, Firm.__table__
    statement = update(firm).where(worker.c.firm_id == firm.c.id).values(size=worker.c.id)  # type: ignore[arg-type]
    with pytest.raises(BypassError, match="several rows of other tables"):
        session.execute(statement)
    assert session.scalars(select(Firm.size).order_by(Firm.id)).all() == [10, 20]


def test_an_update_from_matching_several_rows_alike_is_followed(hooks: Hooks, session: Session) -> None:
    firms(session)
    log = logged(hooks, "after", Firm)
    worker, firm = Worker.__table__, Firm.__table__
    session.execute(update(firm).where(worker.c.firm_id == firm.c.id).values(size=firm.c.size + 1))  # type: ignore[arg-type]
    assert log == [("update", "Firm", {"size": (10, 11)}), ("update", "Firm", {"size": (20, 21)})]


def test_delete_using(hooks: Hooks, session: Session, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no DELETE .. USING")
    firms(session)
    log = logged(hooks, "after", Worker)
    session.execute(
        delete(Worker)
        .where(Worker.firm_id == Firm.id, Firm.name == "best")
        .execution_options(synchronize_session=False)
    )
    assert [row[2]["name"] for row in log] == ["ben", "cy"]


@every_way
def test_a_cte(hooks: Hooks, session: Session, way: str) -> None:
    firms(session)
    log = logged(hooks, "after", Worker)
    big = select(Firm.id).where(Firm.size > 15).cte("big")
    statement = update(target(way, Worker)).where(Worker.firm_id.in_(select(big.c.id))).values(pay=1)
    send(session, way, statement)
    assert log == [("update", "Worker", {"pay": (0, 1)})] * 2


def test_a_cte_that_is_added(hooks: Hooks, session: Session) -> None:
    firms(session)
    log = logged(hooks, "after", Worker)
    big = select(Firm.id).where(Firm.size > 15).cte("big")
    statement = update(Worker.__table__).add_cte(big).where(text("firm_id IN (SELECT id FROM big)")).values(pay=1)  # type: ignore[arg-type]
    session.execute(statement)
    assert log == [("update", "Worker", {"pay": (0, 1)})] * 2


def test_a_cte_of_an_insert(hooks: Hooks, session: Session) -> None:
    fill(session, Firm(id=1, name="acme", size=10), Firm(id=2, name="best", size=20))
    log = logged(hooks, "after", Worker)
    big = select(Firm.name).where(Firm.size > 15).cte("big")
    session.execute(insert(Worker).from_select(["name"], select(big.c.name)))
    assert [row[2]["name"] for row in log] == ["best"]


def test_a_cte_that_writes_is_not_silent(hooks: Hooks, session: Session, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no CTEs that write")
    firms(session)
    logged(hooks, "after", Worker, bypass="refuse")
    gone = delete(Worker).where(Worker.id == 1).returning(Worker.name).cte("gone")
    with pytest.raises(BypassError):
        session.execute(select(gone.c.name))
    with pytest.raises(BypassError):
        session.execute(insert(unmapped).from_select(["name"], select(gone.c.name)))
    with pytest.raises(BypassError):
        session.execute(update(Firm).where(Firm.name.in_(select(gone.c.name))).values(size=1))
    assert len(session.scalars(select(Worker)).all()) == 3


def test_a_correlated_subquery_in_a_delete(hooks: Hooks, session: Session) -> None:
    firms(session)
    log = logged(hooks, "after", Worker)
    small = select(Firm.id).where(Firm.id == Worker.firm_id, Firm.size < 15).exists()
    session.execute(delete(Worker).where(small))
    assert [row[2]["name"] for row in log] == ["ann"]


def test_with_loader_criteria(hooks: Hooks, session: Session) -> None:
    firms(session)
    log = logged(hooks, "after", Worker)
    only = with_loader_criteria(Worker, Worker.firm_id == 2)
    session.execute(update(Worker).values(pay=1).options(only))
    session.execute(delete(Worker).where(Worker.id < 3).options(only))
    assert [row[0] for row in log] == ["update", "update", "delete"]
    assert session.scalars(select(Worker.name).order_by(Worker.id)).all() == ["ann", "cy"]


def test_loader_criteria_that_a_listener_adds(hooks: Hooks, session: Session) -> None:
    firms(session)
    log = logged(hooks, "after", Worker)

    @event.listens_for(session, "do_orm_execute")
    def only(state: Any) -> None:
        if state.is_update:
            state.statement = state.statement.options(with_loader_criteria(Worker, Worker.firm_id == 2))

    session.execute(update(Worker).values(pay=1))
    assert session.scalars(select(Worker.pay).order_by(Worker.id)).all() == [0, 1, 1]
    assert log == [("update", "Worker", {"pay": (0, 1)})] * 2


# -- targets


def test_an_aliased_target_is_followed_or_said(hooks: Hooks, session: Session, engine: Engine) -> None:
    firms(session)
    logged(hooks, "after", Worker, bypass="refuse")
    other = aliased(Worker)
    with pytest.raises(BypassError):
        session.execute(update(other).values(pay=1), execution_options={"synchronize_session": False})
    with pytest.raises(BypassError):
        session.execute(update(Worker.__table__.alias()).values(pay=1))  # type: ignore[arg-type]
    assert session.scalars(select(Worker.pay)).all() == [0, 0, 0]


def test_tables_that_are_not_mapped_are_left_alone(hooks: Hooks, session: Session, sent: Sent) -> None:
    logged(hooks, "before")
    logged(hooks, "after", Worker)
    session.connection()
    sent.clear()
    session.execute(insert(unmapped), [{"name": "a"}, {"name": "b"}])
    session.execute(update(unmapped).values(name="c"))
    session.execute(delete(unmapped))
    session.execute(insert(keyless).values(name="a"))
    session.execute(update(keyless).values(name="b"))
    session.execute(delete(keyless))
    assert len(sent) == 6


def test_a_table_of_the_same_name_in_other_metadata_is_not_silent(hooks: Hooks, session: Session) -> None:
    firms(session)
    logged(hooks, "after", Worker, bypass="refuse")
    other = Table("worker", MetaData(), Column("id", Integer, primary_key=True), Column("pay", Integer))
    light = table("worker", column("id"), column("pay"))
    for one in (other, light):
        for statement in (update(one).values(pay=1), delete(one), insert(one).values(id=9)):
            with pytest.raises(BypassError):
                session.execute(statement)
    assert session.scalars(select(Worker.pay)).all() == [0, 0, 0]


def test_a_table_in_a_schema(hooks: Hooks, engine: Engine) -> None:
    class Own(DeclarativeBase):
        pass

    class Item(Own):
        __tablename__ = "item"
        __table_args__ = {"schema": "store"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def attach_database(connection: Any, _: Any) -> None:
            connection.execute("ATTACH ':memory:' AS store")

    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA IF EXISTS store CASCADE"))
            connection.execute(text("CREATE SCHEMA store"))
        Own.metadata.create_all(connection)
        connection.commit()
        maker = sessionmaker(connection, join_transaction_mode="control_fully")
        from hookline.sqlalchemy import attach

        log = Log()
        with attach(hooks, maker), maker() as session:
            session.execute(insert(Item), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
            session.commit()
            log = logged(hooks, "after", Item)

            @hooks.before("update", Item)
            def edit(change: Change[Item]) -> None:
                change.new["name"] += str(change.key)

            session.execute(update(Item).where(Item.id > 0).values(name="c"))
            session.execute(delete(Item.__table__).where(Item.id == 1))  # type: ignore[arg-type]
            session.commit()
        assert log == [
            ("update", "Item", {"name": ("a", "c1")}),
            ("update", "Item", {"name": ("b", "c2")}),
            ("delete", "Item", {"id": 1, "name": "c1"}),
        ]
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA store CASCADE"))
            connection.commit()


# -- names


@every_way
def test_cyrillic_names_and_values(hooks: Hooks, session: Session, way: str) -> None:
    имя = "имя" if way == "orm" else "название"
    log, net = logged(hooks, "after", Посёлок), committed(hooks, Посёлок)

    @hooks.before("save", Посёлок)
    def edit(change: Change[Посёлок]) -> None:
        change.new["имя"] += f" №{change.new['код']}"

    send(session, way, insert(target(way, Посёлок)), [{"код": 1, имя: "Ёлки"}, {"код": 2, имя: "Палки"}])
    send(session, way, update(target(way, Посёлок)).values({имя: "Пень", "жители": Посёлок.жители + 1}))
    rows: Any = send(session, way, delete(target(way, Посёлок)).returning(Посёлок.имя)).all()
    assert sorted(rows) == [("Пень №1",), ("Пень №2",)]
    session.commit()
    assert log == [
        ("insert", "Посёлок", {"жители": 0, "имя": "Ёлки №1", "код": 1}),
        ("insert", "Посёлок", {"жители": 0, "имя": "Палки №2", "код": 2}),
        ("update", "Посёлок", {"жители": (0, 1), "имя": ("Ёлки №1", "Пень №1")}),
        ("update", "Посёлок", {"жители": (0, 1), "имя": ("Палки №2", "Пень №2")}),
        ("delete", "Посёлок", {"жители": 1, "имя": "Пень №1", "код": 1}),
        ("delete", "Посёлок", {"жители": 1, "имя": "Пень №2", "код": 2}),
    ]
    assert net == []
