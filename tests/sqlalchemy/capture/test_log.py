"""Who reads what from the log, and when it is gone."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, insert, text, update
from sqlalchemy.orm import Session

from hookline import CaptureError
from hookline.sqlalchemy import Capture, Captured, capture

from .schema import Base, Employee, Person, Tag, add_tags, entries, installed, keys, person_tag


@pytest.fixture
def tags(engine: Engine) -> Capture:
    return installed(engine)


@pytest.fixture
def connection(engine: Engine, tags: Capture) -> Iterator[Connection]:
    with engine.connect() as connection, connection.begin():
        tags.begin(connection)
        yield connection


def test_it_is_taken_once_and_is_gone(connection: Connection, tags: Capture) -> None:
    assert tags.take(connection) == []
    add_tags(connection, 1, 2)
    assert keys(tags.take(connection)) == [1, 2]
    assert tags.take(connection) == []
    add_tags(connection, 3)
    assert keys(tags.take(connection)) == [3]
    assert entries(connection) == 0


def test_nothing_to_take_costs_a_query(connection: Connection, tags: Capture, engine: Engine) -> None:
    from sqlalchemy import event

    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *rest: sent.append(statement))
    tags.take(connection)
    (query,) = sent
    assert query.startswith("SELECT")


def test_a_savepoint_that_is_rolled_back_takes_its_own_with_it(connection: Connection, tags: Capture) -> None:
    add_tags(connection, 1)
    with connection.begin_nested():
        add_tags(connection, 2)
    savepoint = connection.begin_nested()
    add_tags(connection, 3)
    savepoint.rollback()
    assert keys(tags.take(connection)) == [1, 2]


def test_what_was_taken_in_a_savepoint_comes_back_when_it_is_rolled_back(connection: Connection, tags: Capture) -> None:
    add_tags(connection, 1)
    savepoint = connection.begin_nested()
    assert keys(tags.take(connection)) == [1]
    savepoint.rollback()
    assert keys(tags.take(connection)) == [1]


def test_a_rolled_back_transaction_leaves_nothing(engine: Engine, tags: Capture) -> None:
    with engine.connect() as connection:
        with connection.begin() as transaction:
            tags.begin(connection)
            add_tags(connection, 1)
            transaction.rollback()
        with connection.begin():
            tags.begin(connection)
            assert tags.take(connection) == []
            assert tags.waiting(connection) == []


def test_what_the_same_connection_committed_earlier_is_not_its_own_any_more(engine: Engine, tags: Capture) -> None:
    with engine.connect() as connection:
        for number in (1, 2):
            with connection.begin():
                tags.begin(connection)
                add_tags(connection, number)
        with connection.begin():
            tags.begin(connection)
            add_tags(connection, 3)
            assert keys(tags.take(connection)) == [3]
            assert keys(tags.waiting(connection)) == [1, 2]


def test_what_others_left_is_not_taken(engine: Engine, connection: Connection, tags: Capture) -> None:
    with engine.begin() as other:
        add_tags(other, 1)
    add_tags(connection, 2)
    assert keys(tags.waiting(connection)) == [1]
    assert keys(tags.take(connection)) == [2]
    assert keys(tags.waiting(connection)) == [1]


def test_another_process_writes(engine: Engine, tags: Capture) -> None:
    """One that knows nothing of this library, nor of SQLAlchemy."""
    if engine.dialect.name == "sqlite":
        connect = f"import sqlite3; c = sqlite3.connect({engine.url.database!r})"
    else:
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connect = f"import psycopg; c = psycopg.connect({url!r})"
    program = f"{connect}; c.execute(\"INSERT INTO tag VALUES (7, 'Привет')\"); c.commit(); c.close()"
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
    with engine.begin() as connection:
        tags.begin(connection)
        assert tags.take(connection) == []
        (one,) = tags.waiting(connection)
        assert (one.operation, one.old, one.new) == ("insert", None, {"id": 7, "label": "Привет"})
        assert abs(one.at - dt.datetime.now(dt.UTC)) < dt.timedelta(hours=1)
        tags.forget(connection, [one])
        assert tags.waiting(connection) == []
        assert entries(connection) == 0


def test_a_limit_of_what_waits(engine: Engine, tags: Capture) -> None:
    for number in range(1, 4):
        with engine.begin() as connection:
            add_tags(connection, number)
    with engine.begin() as connection:
        tags.begin(connection)
        assert keys(tags.waiting(connection, limit=2)) == [1, 2]


def test_pruning_goes_by_age(engine: Engine, tags: Capture) -> None:
    with engine.begin() as connection:
        add_tags(connection, 1, 2)
    earlier = "now() - interval '2 hours'" if engine.dialect.name == "postgresql" else "datetime('now', '-2 hours')"
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE hookline_capture SET at = {earlier}"))  # as if it had been then
        add_tags(connection, 3)
    with engine.begin() as connection:
        tags.begin(connection)
        assert tags.prune(connection, dt.timedelta(hours=3)) == 0
        assert tags.prune(connection, dt.timedelta(hours=1)) == 2
        assert keys(tags.waiting(connection)) == [3]
        assert tags.prune(connection, dt.timedelta(0)) == 1
        assert entries(connection) == 0
        assert tags.prune(connection, dt.timedelta(0)) == 0


def test_the_order_is_that_of_the_statements_across_tables(engine: Engine) -> None:
    everything = installed(engine, Person, Tag)
    with Session(engine) as session:
        connection = session.connection()
        everything.begin(connection)
        session.execute(text("INSERT INTO person (id, kind, name) VALUES (1, 'person', 'Ann')"))
        add_tags(connection, 1)
        connection.execute(insert(person_tag), {"person_id": 1, "tag_id": 1})
        session.add(Employee(id=2, name="Bob", salary=10))
        session.flush()
        session.execute(update(Person).where(Person.id == 1).values(name="Anna"))
        assert [(one.table.name, one.operation, one.key) for one in everything.take(connection)] == [
            ("person", "insert", (1,)),
            ("tag", "insert", (1,)),
            ("person_tag", "insert", (1, 1)),
            ("person", "insert", (2,)),
            ("employee", "insert", (2,)),
            ("person", "update", (1,)),
        ]


def test_two_captures_take_only_their_own(engine: Engine) -> None:
    people, tags = capture(Person.__table__, log="people_log"), capture(Tag.__table__)
    Base.metadata.create_all(engine)
    for one in (people, tags):
        one.install(engine)
    with engine.begin() as connection:
        people.begin(connection)
        tags.begin(connection)
        add_tags(connection, 1)
        connection.execute(insert(Person.__table__), {"id": 1, "name": "Ann", "kind": "person"})
        assert [one.table.name for one in people.take(connection)] == ["person"]
        assert [one.table.name for one in tags.take(connection)] == ["tag"]
    people.remove(engine)
    tags.check(engine)


# -- PostgreSQL: several at once


def postgresql_only(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite lets one transaction write at a time")


def test_two_transactions_at_once_take_their_own(engine: Engine, tags: Capture) -> None:
    postgresql_only(engine)
    with engine.connect() as one, engine.connect() as two, one.begin(), two.begin():
        add_tags(one, 1)
        add_tags(two, 2)
        add_tags(one, 3)
        assert keys(tags.take(two)) == [2]
        assert keys(tags.take(one)) == [1, 3]


def test_a_late_committer_is_not_skipped(engine: Engine, tags: Capture) -> None:
    postgresql_only(engine)
    with engine.connect() as late, engine.connect() as early, engine.connect() as relay:
        slow = late.begin()
        add_tags(late, 1)
        with early.begin():
            add_tags(early, 2)
        with relay.begin():
            assert keys(tags.waiting(relay)) == []  # 2 is committed, but its turn is after 1's
        slow.commit()
        with relay.begin():
            assert keys(tags.waiting(relay)) == [1, 2]


def test_a_row_is_given_in_the_order_of_its_changes(engine: Engine, tags: Capture) -> None:
    """Whatever order the transactions began to write in, and so got their numbers."""
    postgresql_only(engine)
    with engine.connect() as one, engine.connect() as two, engine.connect() as other, engine.connect() as relay:

        def given() -> list[tuple[str, str]]:
            with relay.begin():
                found = [c for c in tags.waiting(relay) if c.key == (1,) and c.old]
                return [(c.old["label"], c.new["label"]) for c in found if c.old and c.new]

        with one.begin():
            add_tags(one, 1)
        first, third, second = one.begin(), other.begin(), two.begin()
        for number, connection in ((10, one), (30, other), (20, two)):
            add_tags(connection, number)  # so each has its number now
        two.execute(text("UPDATE tag SET label = 'second' WHERE id = 1"))
        second.commit()
        one.execute(text("UPDATE tag SET label = 'third' WHERE id = 1"))
        first.commit()
        # The later change is of the older transaction, which the open one does not hold back.
        assert given() == []
        third.commit()
        assert given() == [("t1", "second"), ("second", "third")]


# -- SQLite: whose rows are whose


def sqlite_only(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's transactions have names")


def test_taking_without_beginning_is_an_error(engine: Engine, tags: Capture) -> None:
    sqlite_only(engine)
    with engine.connect() as connection:
        with connection.begin():
            tags.begin(connection)
            assert tags.take(connection) == []
        with connection.begin():  # another one
            for ask in (tags.take, tags.waiting):
                with pytest.raises(CaptureError, match=r"capture\.begin"):
                    ask(connection)


def test_beginning_takes_no_lock(engine: Engine, tags: Capture) -> None:
    sqlite_only(engine)
    for _ in range(2):  # when the connection's tables are made, and when they are there
        with engine.connect() as one, one.begin():
            tags.begin(one)
            with engine.begin() as two:
                two.execute(text("INSERT INTO tag (label) VALUES ('two')"))
            # With a view of the database from before, this would fail: it is old.
            one.execute(text("INSERT INTO tag (label) VALUES ('one')"))
            assert [change.new["label"] for change in tags.take(one) if change.new] == ["one"]


def test_beginning_where_nothing_is_installed_does_nothing(engine: Engine) -> None:
    tags = installed(engine)
    tags.remove(engine)
    with engine.begin() as connection:
        tags.begin(connection)


def test_others_may_remove_and_install_the_log(engine: Engine, tags: Capture) -> None:
    sqlite_only(engine)
    with engine.connect() as connection:
        with connection.begin():
            tags.begin(connection)
            add_tags(connection, 1)
            tags.take(connection)
        other = sqlite3.connect(str(engine.url.database))
        other.executescript(";".join(tags.removal_ddl("sqlite")))
        with connection.begin():
            tags.begin(connection)
            add_tags(connection, 2)
        other.executescript(";".join(tags.ddl("sqlite")))
        other.close()
        with connection.begin():
            tags.begin(connection)
            add_tags(connection, 3)
            assert keys(tags.take(connection)) == [3]


def test_a_key_is_the_old_one_of_an_update(connection: Connection, tags: Capture) -> None:
    add_tags(connection, 1)
    tags.take(connection)
    connection.execute(update(Tag).values(id=5))
    (one,) = tags.take(connection)
    assert isinstance(one, Captured)
    assert (one.key, one.table) == ((1,), Tag.__table__)
    assert one.transaction is None if connection.dialect.name == "sqlite" else one.transaction
