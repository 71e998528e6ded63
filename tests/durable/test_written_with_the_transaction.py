"""One delivery per hook and net change, written in the transaction itself, through whichever door it came."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, Table, delete, event, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from hookline import Change, DuplicateHookError, Hooks, ValidationError, becomes, from_user
from hookline.sqlalchemy import attach, capture
from tests.durable.deliveries import (
    Base,
    Item,
    Outbox,
    Owner,
    Tag,
    durable,
    events,
    item_tag,
    made,
    made_async,
    work,
    written,
)


def test_one_row_for_each_hook_and_net_change(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, "write", name="first")
    durable(hooks, "insert", name="second")
    with sessions() as session:
        one, two = Item(id=1, name="a"), Item(id=2, name="b")
        session.add_all([one, two])
        session.flush()
        one.name = "c"
        session.flush()
        assert events(session.connection()) == []  # they come with the commit, not with the flush
        session.commit()
        two.name = "d"
        session.commit()
    assert sorted(events(engine)) == [
        ("first", "insert", 1), ("first", "insert", 2), ("first", "update", 2),
        ("second", "insert", 1), ("second", "insert", 2),
    ]  # fmt: skip
    bodies = {(one.hook, one.body["event"], one.body["new"]["id"]): one.body["new"]["name"] for one in written(engine)}
    assert bodies["first", "insert", 1] == "c"


def test_05_no_net_change_no_delivery(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    with sessions() as session:
        item = Item(id=1, name="a")
        session.add(item)
        session.commit()
        item.name = "b"
        session.flush()
        item.name = "a"
        session.commit()  # there and back
        item.name = "a"
        session.commit()  # no difference
        gone = Item(id=2, name="gone")
        session.add(gone)
        session.flush()
        session.delete(gone)
        session.commit()  # insert and delete
        session.scalars(select(Item)).all()
        session.commit()  # read only
    assert events(engine) == [("tell", "insert", 1)]


def test_05_every_step_for_those_that_ask(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, net=False, by=lambda change: (change.event, change.old.get("name"), change.new.get("name")))
    with sessions() as session:
        item = Item(id=1, name="a")
        session.add(item)
        session.flush()
        for name in ("b", "c"):
            item.name = name
            session.flush()
        session.delete(item)
        session.commit()
    assert len(written(engine)) == 4
    work(hooks)
    assert told == [("insert", None, "a"), ("update", "a", "b"), ("update", "b", "c"), ("delete", "c", None)]


@pytest.mark.parametrize(
    "names", [["id"], ["id", "имя", "first name", "from"], ["id", 'a "quoted" one', "back\\slash"]]
)
def test_a_row_is_told_whatever_its_columns_are_called(engine: Engine, hooks: Hooks, names: list[str]) -> None:
    class Own(DeclarativeBase):
        pass

    columns = [Column(name, Integer, primary_key=name == "id") for name in names]
    model = type(f"Odd{len(names)}", (Own,), {"__table__": Table("odd", Own.metadata, *columns)})
    Own.metadata.create_all(engine)
    Outbox().create_tables(engine)
    told = durable(hooks, target=model)
    sessions = sessionmaker(engine)
    with attach(hooks, sessions), sessions() as session:
        one = model(**dict.fromkeys(names, 1))
        session.add_all([one, model(id=2)])  # of this one, hardly anything is given
        session.commit()
        for name in names[1:]:
            setattr(one, name, 5)
        session.commit()
        session.delete(one)
        session.commit()
        work(hooks)
    Own.metadata.drop_all(engine)
    first, last = dict.fromkeys(names, 1), {**dict.fromkeys(names, 5), "id": 1}
    assert told == [
        ("insert", 1, {}, first, set(names)),
        ("insert", 2, {}, {**dict.fromkeys(names), "id": 2}, {"id"}),
        *[("update", 1, first, last, set(names[1:]))][: len(names) - 1],
        ("delete", 1, last, {}, set(names)),
    ]


def test_large_rows_are_written_in_several_statements_and_in_order(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, name="first")
    durable(hooks, name="second")
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.extend([statement] if statement.startswith("INSERT INTO hookline_delivery") else [])

    sizes = [400_000, 1_500_000, 10, 700_000, 299_000, 20]
    with sessions() as session:
        session.add_all(Item(id=number, name="я\n" * (size // 2)) for number, size in enumerate(sizes, start=1))
        session.commit()
    found = written(engine)
    assert [(one.hook, one.lane[1][0], len(one.body["new"]["name"])) for one in found] == [
        (hook, number, size) for hook in ("first", "second") for number, size in enumerate(sizes, start=1)
    ]
    assert len(statements) == (1 if engine.dialect.name == "sqlite" else 10)  # most rows need one of their own


@pytest.mark.parametrize("end", ["rollback", "close", "refused"])
def test_what_is_rolled_back_is_not_delivered(engine: Engine, hooks: Hooks, sessions: Any, end: str) -> None:
    durable(hooks)

    @hooks.before_commit("insert", Item)
    def refuse(change: Change[Item]) -> None:
        if end == "refused":
            raise ValidationError(change.entity, "no")

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.flush()
        if end == "refused":
            with pytest.raises(ValidationError):
                session.commit()
        else:
            getattr(session, end)()
        session.rollback()
        session.add(Owner(id=1))
        session.commit()
    assert written(engine) == []


def test_08_a_rolled_back_savepoint_takes_its_deliveries_with_it(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    with sessions() as session:
        outer = Item(id=1, name="outer")
        session.add(outer)
        session.flush()
        with session.begin_nested() as savepoint:
            session.add(Item(id=2, name="inner"))
            outer.name = "changed inside"
            session.flush()
            savepoint.rollback()
        with session.begin_nested():
            session.add(Item(id=3, name="kept"))
        session.commit()
    assert events(engine) == [("tell", "insert", 1), ("tell", "insert", 3)]
    assert written(engine)[0].body["new"]["name"] == "outer"


def test_06_no_row_no_commit(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    ends: list[str] = []
    hooks.add(lambda change: ends.append("committed"), "after_commit", "insert", Item, name="committed")
    hooks.add(lambda change: ends.append("rolled back"), "after_rollback", "insert", Item, name="rolled back")
    with sessions() as session:
        session.add(Owner(id=1))
        session.commit()  # the tables were there
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE hookline_delivery RENAME TO elsewhere"))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        with pytest.raises(DBAPIError, match="hookline_delivery"):
            session.commit()
        session.rollback()
        assert session.scalars(select(Item.id)).all() == []
    assert ends == ["rolled back"]
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO hookline_delivery"))
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    assert events(engine) == [("tell", "insert", 1)]


def test_a_commit_that_the_database_refuses_has_no_deliveries(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks)
    if engine.dialect.name == "postgresql":
        deferred = "ALTER TABLE item ALTER CONSTRAINT item_owner_id_fkey DEFERRABLE INITIALLY DEFERRED"
    else:
        deferred = "PRAGMA defer_foreign_keys = ON"
    with sessions() as session:
        hooks.bypass = "allow"
        session.execute(text(deferred))
        session.execute(insert(Item).values(id=1, name="a", owner_id=99))
        with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
            session.commit()
        session.rollback()
    assert written(engine) == []


# -- doors


def test_bulk_and_core_statements_write_deliveries(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, by=lambda change: (change.event, change.key, change.old.get("name"), change.new.get("name")))
    with sessions() as session:
        session.execute(insert(Item), [{"id": n, "name": f"n{n}"} for n in (1, 2, 3)])
        session.commit()
        session.execute(update(Item).where(Item.id < 3).values(name=Item.name + "!"))
        session.commit()
        session.execute(update(Item), [{"id": 3, "name": "by key"}])
        session.commit()
        session.execute(delete(Item).where(Item.id == 1))
        session.commit()
        session.connection().execute(Item.__table__.insert().values(id=4, name="core"))  # type: ignore[attr-defined]
        session.commit()
        session.query(Item).filter_by(id=4).update({"name": "query"})
        session.commit()
        session.bulk_insert_mappings(Item, [{"id": 5, "name": "old bulk"}])
        session.commit()
    work(hooks)
    assert {key: [one for one in told if one[1] == key] for key in range(1, 6)} == {
        1: [("insert", 1, None, "n1"), ("update", 1, "n1", "n1!"), ("delete", 1, "n1!", None)],
        2: [("insert", 2, None, "n2"), ("update", 2, "n2", "n2!")],
        3: [("insert", 3, None, "n3"), ("update", 3, "n3", "by key")],
        4: [("insert", 4, None, "core"), ("update", 4, "core", "query")],
        5: [("insert", 5, None, "old bulk")],
    }


def test_an_upsert_says_what_it_was(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    told = durable(hooks, by=lambda change: (change.event, change.key, change.new["name"]))
    make = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        given = make(Item).values([{"id": 1, "name": "b", "count": 0}, {"id": 2, "name": "b", "count": 0}])
        session.execute(given.on_conflict_do_update(index_elements=["id"], set_={"name": given.excluded.name}))
        session.commit()
    work(hooks)
    assert told[0] == ("insert", 1, "a")
    assert sorted(told[1:]) == [("insert", 2, "b"), ("update", 1, "b")]


def test_with_capture_raw_sql_and_cascades_are_delivered(engine: Engine, hooks: Hooks) -> None:
    made(engine)
    maker = sessionmaker(engine)
    hooks.bypass = "capture"
    told = durable(hooks, by=lambda change: (change.event, change.key, change.old.get("name"), change.new.get("name")))
    capturing = capture(Item, Owner)
    capturing.install(engine)
    with attach(hooks, maker, capture=capturing), maker() as session:
        session.add(Owner(id=1, items=[Item(id=1, name="a")]))
        session.commit()
        session.execute(text("UPDATE item SET name = 'raw' WHERE id = 1"))
        session.execute(text("INSERT INTO item (id, name, count) VALUES (2, 'raw too', 0)"))
        session.commit()
        session.delete(session.get_one(Owner, 1))  # the database deletes its item
        session.commit()
        session.execute(text("UPDATE item SET name = 'undone'"))
        session.rollback()
        work(hooks)
    assert told[0] == ("insert", 1, None, "a")
    assert sorted(told[1:3]) == [("insert", 2, None, "raw too"), ("update", 1, "a", "raw")]
    assert told[3:] == [("delete", 1, "raw", None)]


def test_links_are_delivered_with_the_side_that_the_hook_named(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    def ends(change: Any) -> Any:
        return change.event, change.relation, change.subject_key, change.object_key, type(change.subject).__name__

    near = durable(hooks, "link", Item.tags, name="near", by=ends)
    far = durable(hooks, "link", Tag.items, name="far", by=ends)
    gone = durable(hooks, "unlink", Item.tags, name="gone", by=ends)
    owned = durable(hooks, "link", Item.owner_id, name="owned", by=ends)
    with sessions() as session:
        item = Item(id=1, name="a", owner=Owner(id=7))
        item.tags.append(Tag(id=5))
        session.add(item)
        session.commit()
        item.tags.clear()
        session.commit()
        session.execute(item_tag.insert().values(item_id=1, tag_id=5))
        session.commit()
        session.execute(item_tag.delete())
        session.execute(item_tag.insert().values(item_id=1, tag_id=5))
        session.commit()  # there and back
    work(hooks)
    assert near == [("link", "tags", 1, 5, "Item")] * 2
    assert far == [("link", "items", 5, 1, "Tag")] * 2
    assert gone == [("unlink", "tags", 1, 5, "Item")]
    assert [one[:1] + one[2:] for one in owned] == [("link", 1, 7, "Item")]
    lanes = [one.lane for one in written(engine) if one.hook == "near"]
    assert lanes[0] == lanes[1]


# -- sets


def test_a_hook_of_several_gets_one_delivery_per_transaction(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    sizes: list[Any] = []

    @hooks.durable("write", Item)
    def several(changes: list[Change[Item]], delivery: Any) -> None:
        sizes.append((len(changes), {change.event for change in changes}, changes[0].key, changes[-1].key))

    with sessions() as session:
        session.execute(insert(Item), [{"id": n, "name": "a"} for n in range(1, 2502)])
        session.commit()
        session.execute(update(Item).where(Item.id <= 3).values(name="b"))
        session.execute(delete(Item).where(Item.id == 2501))
        session.commit()
    assert [len(one.body) for one in written(engine)] == [1000, 1000, 501, 4]
    assert {one.lane for one in written(engine)} == {""}
    work(hooks)
    assert sizes == [
        (1000, {"insert"}, 1, 1000), (1000, {"insert"}, 1001, 2000), (501, {"insert"}, 2001, 2501),
        (4, {"update", "delete"}, 1, 2501),
    ]  # fmt: skip


def test_a_hook_of_several_with_a_key_gets_one_delivery_per_key(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    @hooks.durable("insert", Item, key="owner_id")
    def several(changes: list[Change[Item]]) -> None: ...

    with sessions() as session:
        session.add_all([Owner(id=1), Owner(id=2)])
        session.flush()
        session.add_all([Item(id=n, name="a", owner_id=1 + n % 2) for n in range(1, 6)])
        session.commit()
    assert sorted((one.lane, [row["new"]["id"] for row in one.body]) for one in written(engine)) == [
        (1, [2, 4]),
        (2, [1, 3, 5]),
    ]


# -- keys, conditions, categories


def test_the_lane_is_the_row_or_what_key_says(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, name="row")
    durable(hooks, name="field", key="name")
    durable(hooks, name="function", key=lambda change: {"even": change.key % 2 == 0})
    with sessions() as session:
        item = Item(id=1, name="старый")
        session.add(item)
        session.commit()
        item.name = "new"
        session.commit()
        session.delete(item)
        session.commit()
    lanes: dict[str, list[Any]] = {}
    for one in written(engine):
        lanes.setdefault(one.hook, []).append(one.lane)
    assert lanes == {
        "row": [["Item", [1]]] * 3,
        "field": ["старый", "new", "new"],
        "function": [{"even": False}] * 3,
    }


def test_conditions_are_asked_at_the_commit_and_of_the_net_change(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, "update", when=becomes("name", "paid"))
    with sessions() as session:
        items = [Item(id=n, name="new") for n in (1, 2, 3)]
        session.add_all(items)
        session.commit()
        for item in items:
            item.name = "paid"
        session.flush()
        items[1].name = "cancelled"
        items[2].name = "new"
        session.commit()
    assert events(engine) == [("tell", "update", 1)]


def test_a_condition_is_not_asked_again_in_the_worker(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    open_for = {"items"}
    told = durable(hooks, "insert", when=lambda change: bool(open_for), by=lambda change: change.key)
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        open_for.clear()
        session.add(Item(id=2, name="b"))
        session.commit()
    work(hooks)
    assert told == [1]


def test_categories_that_are_off_at_the_write_or_the_commit_deliver_nothing(
    engine: Engine, hooks: Hooks, sessions: Any
) -> None:
    durable(hooks, name="mail", category="notification")
    durable(hooks, name="books", category="integrity")
    with sessions() as session:
        with hooks.allow_all_but("notification"):
            session.add(Item(id=1, name="a"))
            session.commit()
        with hooks.allow_all_but("notification"):
            session.add(Item(id=2, name="b"))
            session.flush()
        session.commit()
        session.add(Item(id=3, name="c"))
        with hooks.deny_all_but("notification"):
            session.commit()
    assert sorted(events(engine)) == [
        ("books", "insert", 1),
        ("books", "insert", 2),
        ("mail", "insert", 3),
    ]


def test_who_caused_it_is_kept(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, "insert", name="users own", when=from_user())
    causes = durable(
        hooks, "insert", name="all", by=lambda change: (change.key, change.depth, change.cause and change.cause.name)
    )

    @hooks.after("insert", Item)
    def another(change: Change[Item], session: Any) -> None:
        if change.depth == 0:
            session.add(Item(id=change.key + 100, name="caused"))

    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    assert sorted(events(engine)) == [("all", "insert", 1), ("all", "insert", 101), ("users own", "insert", 1)]
    work(hooks)
    assert sorted(causes) == [(1, 0, None), (101, 1, "another")]


# -- async sessions


async def test_async_sessions_write_deliveries(async_engine: AsyncEngine, engine: Engine, hooks: Hooks) -> None:
    await made_async(async_engine)
    maker = async_sessionmaker(async_engine)
    durable(hooks)
    with attach(hooks, maker):
        async with maker() as session:
            item = Item(id=1, name="a")
            session.add(item)
            await session.commit()
            await session.execute(update(Item).values(count=Item.count + 1))
            await session.commit()
            async with session.begin_nested() as savepoint:
                session.add(Item(id=2, name="b"))
                await session.flush()
                await savepoint.rollback()
            await session.commit()
            session.add(Item(id=3, name="c"))
            await session.flush()
            await session.rollback()
    assert events(engine) == [("tell", "insert", 1), ("tell", "update", 1)]
    assert written(engine)[1].body["old"] == {"count": 0}


def test_two_rule_books_each_write_their_own(engine: Engine) -> None:
    made(engine)
    first, second = Hooks("first"), Hooks("second")
    other = Outbox("other_")
    other.create_tables(engine)
    told, told_too = durable(first, name="one"), durable(second, name="two")
    maker = sessionmaker(engine)
    with attach(first, maker), attach(second, maker, outbox=other), maker() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
        assert events(engine) == [("one", "insert", 1)]
        assert events(engine, other) == [("two", "insert", 1)]
        work(first)
        assert (len(told), len(told_too)) == (1, 0)
        work(second)
        assert (len(told), len(told_too)) == (1, 1)


def test_two_rule_books_of_one_outbox_have_no_durable_hooks_of_one_name(engine: Engine) -> None:
    made(engine)
    Outbox("other_").create_tables(engine)
    first, second, maker = Hooks("first"), Hooks("second"), sessionmaker(engine)
    durable(first)
    attached = attach(first, maker)
    durable(second)
    with pytest.raises(DuplicateHookError, match=r"'tell' \(durable\) in <Hooks 'first': 1>.*hookline_delivery"):
        attach(second, maker)
    attach(second, maker, outbox=Outbox("other_")).detach()
    second.remove("tell")
    attach(second, maker)
    with pytest.raises(DuplicateHookError):
        durable(second)
    assert len(second) == 0
    second.add(first["tell"].function, "durable", "insert", Item)  # the same function: whoever runs it is right
    second.add(lambda change: None, "after_commit", "insert", Item, name="not durable")
    first.add(lambda change: None, "after_commit", "insert", Item, name="not durable")
    attached.detach()
    durable(second, name="tell anew")


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned round"])
def test_what_one_rule_book_writes_before_the_commit_the_other_delivers(engine: Engine, turned: bool) -> None:
    made(engine)
    telling, writing = Hooks("telling"), Hooks("writing")
    durable(telling, "insert", Item)

    @writing.before_commit("insert", Owner)
    def write_more(change: Change[Owner], session: Any) -> None:
        session.add(Item(id=change.key, name="late"))

    maker = sessionmaker(engine)
    for book in (writing, telling) if turned else (telling, writing):
        attach(book, maker)
    with maker() as session:
        session.add(Owner(id=1))
        session.commit()
        assert session.scalars(select(Item.id)).all() == [1]
    assert events(engine) == [("tell", "insert", 1)]


def test_a_failure_of_the_second_rule_book_takes_the_deliveries_of_the_first_with_it(engine: Engine) -> None:
    made(engine)
    first, second = Hooks("first"), Hooks("second")
    durable(first)

    @second.before_commit("insert", Item)
    def refuse(change: Change[Item]) -> None:
        raise ValidationError(change.entity, "no")

    maker = sessionmaker(engine)
    with attach(first, maker), attach(second, maker), maker() as session:
        session.add(Item(id=1, name="a"))
        with pytest.raises(ValidationError):
            session.commit()
    assert written(engine) == []


def test_sqlalchemy_sees_no_writes_of_its_own_in_the_outbox(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    """A hook for everything is about everything that is mapped, and the outbox is not."""
    seen: list[str] = []
    hooks.add(lambda change: seen.append(change.model.__name__), "after", "write", name="all")
    durable(hooks, "write", None)
    with sessions() as session:
        session.add(Item(id=1, name="a"))
        session.commit()
    work(hooks)
    assert seen == ["Item"]
    assert events(engine) == [("tell", "insert", 1)]


def test_a_commit_without_deliveries_sends_nothing_to_the_outbox(engine: Engine, hooks: Hooks, sessions: Any) -> None:
    durable(hooks, "delete")
    sent: list[str] = []
    with sessions() as session:
        session.add(Owner(id=1))
        session.commit()  # the tables are looked at once
        event.listen(engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
        session.add(Item(id=1, name="a"))
        session.commit()
    assert sent
    assert not [statement for statement in sent if "hookline" in statement or "pg_notify" in statement]
    assert Base.metadata.tables.keys().isdisjoint({"hookline_delivery"})
