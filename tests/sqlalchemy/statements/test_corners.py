"""Corners where a statement does more than it says: computed columns, triggers, translated schemas, moved keys."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from sqlalchemy import (
    Computed,
    Engine,
    FetchedValue,
    ForeignKey,
    Identity,
    Integer,
    bindparam,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from hookline import BypassError, Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import fill
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int] = mapped_column(default=0)
    double: Mapped[int] = mapped_column(Computed("price * 2", persisted=True))
    slug: Mapped[str] = mapped_column(default=func.lower("SLUG"))
    label: Mapped[str | None] = mapped_column(default=lambda context: f"<{context.get_current_parameters()['name']}>")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("item.id", onupdate="CASCADE"))
    parent: Mapped[Item | None] = relationship(remote_side=id)


class Touched(Base):
    __tablename__ = "touched"
    id: Mapped[int] = mapped_column(Integer, Identity(start=10), primary_key=True)
    name: Mapped[str]
    touches: Mapped[int] = mapped_column(server_default=text("0"), server_onupdate=FetchedValue())


class Tagged(Base):
    __tablename__ = "tagged"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    mark: Mapped[str] = mapped_column(
        default="", onupdate=lambda context: f"<{context.get_current_parameters()['name']}>"
    )


@event.listens_for(Touched.__table__, "after_create")
def _trigger(table: Any, connection: Any, **_: Any) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(
            text(
                "CREATE TRIGGER touch AFTER UPDATE OF name ON touched BEGIN"
                " UPDATE touched SET touches = touches + 1 WHERE id = NEW.id; END"
            )
        )
        return
    connection.execute(
        text(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.touches = OLD.touches + 1; RETURN NEW; END $$"
        )
    )
    connection.execute(text("CREATE TRIGGER touch BEFORE UPDATE ON touched FOR EACH ROW EXECUTE FUNCTION touch()"))


@every_way
def test_computed_columns_follow_an_update(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Item(id=1, name="a", price=5))
    checked: list[Any] = []

    @hooks.check("update", Item)
    def check(change: Change[Item]) -> None:
        checked.append((change.old["double"], change.new["double"]))

    log, net = logged(hooks, "after", Item), committed(hooks, Item)
    send(session, way, update(target(way, Item)).values(price=7))
    session.commit()
    assert log == net == [("update", "Item", {"double": (10, 14), "price": (5, 7)})]
    assert checked == [(10, 14)]


def test_computed_columns_do_not_make_a_change_of_none(hooks: Hooks, session: Session) -> None:
    fill(session, Item(id=1, name="a", price=5))
    logs = [logged(hooks, phase, Item) for phase in ("before", "check", "after", "after_commit")]
    session.execute(update(Item).values(price=5))
    session.commit()
    assert logs == [[], [], [], []]


def test_computed_columns_follow_what_hooks_edit(hooks: Hooks, session: Session) -> None:
    fill(session, Item(id=1, name="a", price=5))

    @hooks.before("update", Item)
    def edit(change: Change[Item]) -> None:
        change.new["price"] = 9

    log = logged(hooks, "after", Item)
    session.execute(update(Item).values(name="b"))
    assert log == [("update", "Item", {"double": (10, 18), "name": ("a", "b"), "price": (5, 9)})]


@every_way
def test_computed_columns_and_sql_defaults_of_an_insert(hooks: Hooks, session: Session, way: str) -> None:
    log = logged(hooks, "after", Item)
    send(session, way, insert(target(way, Item)), [{"name": "a", "price": 5}, {"name": "b"}])
    assert [row[2] for row in log] == [
        {"double": 10, "id": 1, "label": "<a>", "name": "a", "price": 5, "slug": "slug"},
        {"double": 0, "id": 2, "label": "<b>", "name": "b", "price": 0, "slug": "slug"},
    ]


@every_way
def test_computed_columns_of_selected_rows(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Item(id=1, name="a", price=5))
    log = logged(hooks, "after", Item)
    source = select(Item.id + 1, Item.name, Item.price)
    send(session, way, insert(target(way, Item)).from_select(["id", "name", "price"], source))
    assert log == [("insert", "Item", {"double": 10, "id": 2, "label": "<a>", "name": "a", "price": 5, "slug": "slug"})]


@every_way
def test_what_a_trigger_sets_is_told_where_the_column_says_so(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Touched(name="a"))
    log = logged(hooks, "after", Touched)
    send(session, way, update(target(way, Touched)).values(name="b"))
    assert log == [("update", "Touched", {"name": ("a", "b"), "touches": (0, 1)})]


def test_what_a_trigger_sets_is_told_of_lists_of_rows(hooks: Hooks, session: Session) -> None:
    fill(session, Touched(name="a"))
    key = session.scalars(select(Touched.id)).one()
    log = logged(hooks, "after", Touched)
    session.execute(update(Touched), [{"id": key, "name": "b"}])
    assert log == [("update", "Touched", {"name": ("a", "b"), "touches": (0, 1)})]


@every_way
def test_identity_keys(hooks: Hooks, session: Session, way: str) -> None:
    log = logged(hooks, "after", Touched)
    send(session, way, insert(target(way, Touched)), [{"name": "a"}, {"name": "b"}])
    keys = session.scalars(select(Touched.id).order_by(Touched.id)).all()
    assert [row[2]["id"] for row in log] == keys


def test_an_onupdate_that_needs_its_context_is_not_half_followed(hooks: Hooks, session: Session) -> None:
    fill(session, Tagged(id=1, name="a"))
    logged(hooks, "after", Tagged, bypass="refuse")
    with pytest.raises(BypassError, match="needs the context of its execution"):
        session.execute(update(Tagged).values(name="b"))
    assert session.scalars(select(Tagged.name)).all() == ["a"]


def test_a_translated_schema_is_read_where_it_is_written(hooks: Hooks, session: Session, engine: Engine) -> None:
    connection = session.connection()
    if engine.dialect.name == "sqlite":
        session.commit()
        connection = session.connection()
        connection.exec_driver_sql("CREATE TEMPORARY TABLE tagged (id INTEGER PRIMARY KEY, name TEXT, mark TEXT)")
        connection.exec_driver_sql("INSERT INTO temp.tagged VALUES (1, 'there', '')")
        connection.exec_driver_sql("INSERT INTO main.tagged VALUES (1, 'here', '')")
        there = "temp"
    else:
        connection.exec_driver_sql("CREATE SCHEMA there")
        connection.exec_driver_sql("CREATE TABLE there.tagged AS SELECT 1 AS id, 'there' AS name, '' AS mark")
        there = "there"
    log = logged(hooks, "after", Tagged, bypass="refuse")
    statement = delete(Tagged).execution_options(schema_translate_map={None: there}, synchronize_session=False)
    try:
        session.execute(statement)
    except BypassError:
        assert log == []
    else:
        assert [row[2]["name"] for row in log] == ["there"]
    session.rollback()


@every_way
def test_keys_that_hooks_edit(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Tagged(id=1, name="a"), Tagged(id=2, name="b"))

    @hooks.before("save", Item)
    def renumber(change: Change[Item]) -> None:
        change.new["id"] = change.new["price"] + 100

    log = logged(hooks, "after", Item)
    send(
        session,
        way,
        insert(target(way, Item)),
        [{"id": 1, "name": "a", "price": 1}, {"id": 2, "name": "b", "price": 2}],
    )
    send(session, way, update(target(way, Item)).values(price=Item.price + 10))
    session.commit()
    assert [row[2]["id"] for row in log] == [101, 102, (101, 111), (102, 112)]
    assert session.scalars(select(Item.id).order_by(Item.id)).all() == [111, 112]


def test_a_relationship_that_a_before_hook_sets(hooks: Hooks, session: Session) -> None:
    """It is a write of its own, after the statement."""
    fill(session, Item(id=1, name="a"), Item(id=2, name="b"))

    @hooks.before("update", Item)
    def adopt(change: Change[Item], session: Session) -> None:
        if change.depth == 0:
            change.entity.parent = session.get_one(Item, 1)

    session.execute(update(Item).where(Item.id == 2).values(price=5))
    assert session.execute(select(Item.price, Item.parent_id).where(Item.id == 2)).all() == [(5, 1)]
    assert not session.dirty


def test_many_rows_with_edits_of_their_own(hooks: Hooks, session: Session, sent: Sent) -> None:
    session.execute(insert(Item), [{"id": n, "name": f"n{n}"} for n in range(1, 3001)])
    session.commit()

    @hooks.before("update", Item)
    def edit(changes: list[Change[Item]]) -> None:
        for change in changes:
            change.new["price"] = change.key * 2

    sent.clear()
    session.execute(update(Item).values(price=1))
    assert len(sent.writes) == 1
    assert session.scalar(select(func.count()).where(Item.price == Item.id * 2)) == 3000


def test_many_rows_that_hooks_edit_in_a_list(hooks: Hooks, session: Session) -> None:
    @hooks.before("save", Item)
    def edit(changes: list[Change[Item]]) -> None:
        for change in changes:
            change.new["price"] += change.new["id"]

    session.execute(insert(Item), [{"id": n, "name": f"n{n}"} for n in range(1, 3001)])
    session.execute(update(Item), [{"id": n, "price": 10} for n in range(1, 3001)])
    assert session.scalar(select(func.count()).where(Item.price == Item.id + 10)) == 3000


def test_a_statement_that_failed_leaves_objects_as_they_are_in_the_database(
    hooks: Hooks, session: Session, engine: Engine
) -> None:
    if engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL aborts the transaction, and the objects with it")
    fill(session, Item(id=1, name="a"), Item(id=2, name="b"))
    one = session.get_one(Item, 1)

    @hooks.before("update", Item)
    def edit(change: Change[Item]) -> None:
        change.new["id"] = 2
        change.entity.price = 9

    with pytest.raises(ValidationError):
        session.execute(update(Item).where(Item.id == 1).values(name="c"))
    assert (one.id, one.name, one.price) == (1, "a", 0)


def test_one_condition_used_twice(hooks: Hooks, session: Session) -> None:
    fill(session, *(Item(id=n, name="a") for n in (1, 2, 3)))
    log = logged(hooks, "after", Item)
    key = bindparam("key", 2)
    session.execute(update(Item.__table__).where(Item.id >= key).values(price=key + 1))  # type: ignore[arg-type]
    session.execute(update(Item).where(Item.id.in_([1, 3])).values(name="b"))
    assert [row[2] for row in log] == [
        *[{"double": (0, 6), "price": (0, 3)}] * 2,
        *[{"name": ("a", "b")}] * 2,
    ]


def test_errors_outside_of_hooks_stay_what_they_are(hooks: Hooks, session: Session) -> None:
    logged(hooks, "after", Tagged)
    with pytest.raises((IntegrityError, ValidationError)), session.begin_nested():
        session.execute(insert(Item), [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])
    session.execute(insert(Tagged), [{"id": 1, "name": "a"}])


def test_a_statement_that_failed_keeps_no_objects_alive(hooks: Hooks, session: Session) -> None:
    """Its savepoint is over, and the keys of its rows may be given to others."""
    hooks.add(lambda change: change.entity.name, "before", "update", Item, name="look")
    session.add(Item(id=1, name="a"))
    session.commit()
    held = weakref.ref(session.get_one(Item, 1))
    with pytest.raises(ValidationError), session.begin_nested():
        session.execute(update(Item).values(name=None))
    gc.collect()
    assert held() is None
