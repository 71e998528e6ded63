"""Statements in transactions: net changes between doors, savepoints, several rule books, sessions without one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from hookline import Change, Hooks, ValidationError
from hookline.sqlalchemy import attach
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


def test_insert_by_the_unit_of_work_then_update_then_delete_is_nothing(hooks: Hooks, session: Session) -> None:
    net, steps = committed(hooks, Person), logged(hooks, "after_commit", Person, net=False)
    session.add(Person(id=1, name="Anna", age=30))
    session.flush()
    session.connection().execute(update(Person.__table__).values(age=31))  # type: ignore[arg-type]
    session.execute(delete(Person))
    session.commit()
    assert net == []
    assert [row[0] for row in steps] == ["insert", "update", "delete"]


def test_insert_by_a_statement_then_edited_as_an_object_is_one_insert(hooks: Hooks, session: Session) -> None:
    net = committed(hooks, Person)
    (anna,) = session.scalars(insert(Person).returning(Person), [{"name": "Anna"}]).all()
    anna.age = 31
    session.flush()
    session.execute(update(Person).values(name="Ann"))
    session.commit()
    assert net == [("insert", "Person", {"age": 31, "id": 1, "name": "Ann", "rank": 7})]


@every_way
def test_there_and_back_is_nothing(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    net = committed(hooks, Person)
    send(session, way, update(target(way, Person)).values(age=31))
    anna = session.get_one(Person, 1, populate_existing=True)
    anna.age = 30
    session.commit()
    assert net == []


@every_way
def test_update_then_delete_is_a_delete_with_the_first_values(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    net = committed(hooks, Person)
    send(session, way, update(target(way, Person)).values(age=31))
    send(session, way, delete(target(way, Person)))
    session.commit()
    assert [(row[0], row[2]["age"]) for row in net] == [("delete", 30)]


@every_way
def test_delete_then_insert_of_one_key_is_an_update(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Club(id=1, name="chess"))
    net = committed(hooks, Club)
    send(session, way, delete(target(way, Club)))
    send(session, way, insert(target(way, Club)), [{"id": 1, "name": "golf"}])
    session.commit()
    assert net == [("update", "Club", {"name": ("chess", "golf")})]


@every_way
def test_a_savepoint_takes_its_changes_with_it(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    net = committed(hooks, Person)
    send(session, way, update(target(way, Person)).where(Person.id == 1).values(age=31))
    with session.begin_nested() as outer:
        send(session, way, update(target(way, Person)).where(Person.id == 2).values(age=41))
        with session.begin_nested() as inner:
            send(session, way, update(target(way, Person)).values(age=1))
            inner.rollback()
        outer.commit()
    with session.begin_nested() as last:
        send(session, way, delete(target(way, Person)))
        last.rollback()
    session.commit()
    assert net == [("update", "Person", {"age": (30, 31)}), ("update", "Person", {"age": (40, 41)})]


def test_a_rollback_runs_the_hooks_of_rollbacks(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log, net = logged(hooks, "after_rollback", Person), committed(hooks, Person)
    session.execute(update(Person).values(age=31))
    session.rollback()
    assert log == [("update", "Person", {"age": (30, 31)})]
    assert net == []


def test_before_commit_may_refuse_what_statements_wrote(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)

    @hooks.before_commit("update", Person)
    def refuse(change: Change[Person]) -> None:
        raise ValidationError(change.entity, {"age": "no"})

    session.execute(update(Person).values(age=31))
    with pytest.raises(ValidationError):
        session.commit()
    assert session.scalars(select(Person.age)).all() == [30]


def test_after_commit_reads_whole_rows_of_statements(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    seen: list[Any] = []

    @hooks.after_commit("update", Person)
    def note(change: Change[Person], session: Session) -> None:
        seen.append((change.old["name"], change.new["rank"], change.entity.name, change.entity in session))

    session.execute(update(Person).values(age=31))
    session.commit()
    assert seen == [("Anna", 7, "Anna", True)]


# -- rule books


def test_two_rule_books_see_one_statement(hooks: Hooks, sessions: Any) -> None:
    other = Hooks("other")

    @hooks.before("update", Person)
    def first(change: Change[Person]) -> None:
        change.new["age"] += 1

    @other.before("update", Person)
    def second(change: Change[Person]) -> None:
        change.new["age"] *= 2

    seen: list[int] = []

    @hooks.check("update", Person)
    def check(change: Change[Person]) -> None:
        seen.append(change.new["age"])

    other.add(check, "check", "update", Person)
    logs = [logged(hooks, "after", Person), logged(other, "after", Person)]
    nets = [committed(hooks, Person), committed(other, Person)]
    with attach(other, sessions), sessions() as session:
        session.add(Person(id=1, name="Anna", age=1))
        session.commit()
        for log in (*logs, *nets):
            log.clear()
        session.execute(update(Person).values(age=10))
        session.commit()
        age = session.scalars(select(Person.age)).one()
    assert age == 22
    assert sorted(seen) == [11, 22, 22]
    told = [("update", "Person", {"age": (1, age)})]
    assert nets[0] == nets[1] == told


def test_a_session_without_a_rule_book_is_left_alone(
    hooks: Hooks, session: Session, engine: Engine, sent: Sent
) -> None:
    people(session, Anna=30)
    log = logged(hooks, "before", Person)
    session.execute(update(Person).values(age=31))
    session.commit()
    log.clear()
    sent.clear()
    with Session(engine) as plain:
        plain.execute(update(Person).values(age=32))
        plain.connection().execute(insert(Person.__table__).values(id=2, name="Ben"))  # type: ignore[arg-type]
        plain.commit()
    with engine.begin() as connection:
        connection.execute(delete(Person.__table__))  # type: ignore[arg-type]
    assert log == []
    assert len([text for text in sent.texts if text != "BEGIN"]) == 3


def test_a_detached_rule_book_sees_nothing(hooks: Hooks, engine: Engine) -> None:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    log = logged(hooks, "after", Club)
    with attach(hooks, maker), maker() as session:
        session.execute(insert(Club).values(name="a"))
        session.commit()
    with maker() as session:
        session.execute(insert(Club).values(name="b"))
        session.execute(update(Club.__table__).values(size=5))  # type: ignore[arg-type]
        session.commit()
    assert [row[2]["name"] for row in log] == ["a"]


# -- nothing is paid for nothing


@every_way
def test_statements_without_hooks_are_sent_as_they_are(
    hooks: Hooks, session: Session, engine: Engine, sent: Sent, way: str
) -> None:
    logged(hooks, "before", Club)
    logged(hooks, "after_commit", Club)

    def write(session: Session) -> list[str]:
        session.connection()
        sent.clear()
        send(session, way, insert(target(way, Person)), [{"name": "Anna"}, {"name": "Ben"}])
        send(session, way, insert(target(way, Person)).values(name="Cleo"))
        send(session, way, update(target(way, Person)).where(Person.id < 100).values(age=Person.age + 1))
        send(session, way, insert(target(way, Person)).from_select(["name"], select(Person.name)))
        send(session, way, delete(target(way, Person)).where(Person.age > 0))
        return sent.texts

    with Session(engine) as plain:
        expected = write(plain)
    assert write(session) == expected


@every_way
def test_hooks_for_other_events_cost_nothing(
    hooks: Hooks, session: Session, engine: Engine, sent: Sent, way: str
) -> None:
    logged(hooks, "before", Person, event="delete")
    logged(hooks, "after", Person, event="delete")

    def write(session: Session) -> list[str]:
        session.connection()
        sent.clear()
        send(session, way, insert(target(way, Person)), [{"name": "Anna"}, {"name": "Ben"}])
        send(session, way, update(target(way, Person)).where(Person.id < 100).values(age=Person.age + 1))
        return sent.texts

    with Session(engine) as plain:
        expected = write(plain)
    assert write(session) == expected


def test_older_methods_without_hooks_are_sent_as_they_are(
    hooks: Hooks, session: Session, engine: Engine, sent: Sent
) -> None:
    logged(hooks, "before", Club)

    def write(session: Session) -> list[str]:
        session.connection()
        sent.clear()
        session.bulk_insert_mappings(Person, [{"id": 1, "name": "Anna"}])  # type: ignore[arg-type]
        session.bulk_update_mappings(Person, [{"id": 1, "name": "Ann"}])  # type: ignore[arg-type]
        session.bulk_save_objects([Person(id=2, name="Ben")])
        return sent.texts

    with Session(engine) as plain:
        expected = write(plain)
    assert write(session) == expected


@pytest.mark.parametrize("way", ["core", "connection"])
def test_an_insert_that_two_rule_books_edit_is_told_as_it_was_written(hooks: Hooks, sessions: Any, way: str) -> None:
    other = Hooks("other")

    @hooks.before("insert", Person)
    def first(change: Change[Person]) -> None:
        change.new["age"] += 1

    @other.before("insert", Person)
    def second(change: Change[Person]) -> None:
        change.new["age"] *= 2

    logs = [logged(hooks, "after", Person), logged(other, "after", Person)]
    with attach(other, sessions), sessions() as session:
        send(session, way, insert(target(way, Person)), [{"name": "Anna", "age": 10}, {"name": "Ben", "age": 20}])
    assert logs[0] == logs[1]
    assert [row[2]["age"] for row in logs[0]] == [22, 42]


@every_way
def test_two_rule_books_see_one_insert_and_the_user_what_was_asked_for(hooks: Hooks, sessions: Any, way: str) -> None:
    other = Hooks("other")
    logs = [logged(hooks, "after", Person), logged(other, "after", Person)]
    checks = [logged(hooks, "check", Person), logged(other, "check", Person)]
    with attach(other, sessions), sessions() as session:
        one = send(session, way, insert(target(way, Person)).values(id=1, name="Anna").returning(Person.name)).all()
        rows = [{"id": 2, "name": "Ben"}, {"id": 3, "name": "Cleo"}]
        two = send(session, way, insert(target(way, Person)).values(rows).returning(Person.name)).all()
        send(session, way, insert(target(way, Person)).values([{"id": 4, "name": "Dan"}, {"id": 5, "name": "Eve"}]))
        listed = send(
            session, way, insert(target(way, Person)).returning(Person.name), [{"id": 6, "name": "Fay"}]
        ).all()
        source = select(Person.id + 6, Person.name).where(Person.id == 1)
        chosen = insert(target(way, Person)).from_select(["id", "name"], source)
        selected = send(session, way, chosen.returning(Person.name)).all()
    assert [one, two, listed, selected] == [[("Anna",)], [("Ben",), ("Cleo",)], [("Fay",)], [("Anna",)]]
    assert logs[0] == logs[1]
    assert len(checks[0]) == len(checks[1]) == 7
    assert [(row[2]["id"], row[2]["rank"]) for row in logs[0]] == [(n, 7) for n in range(1, 8)]


@pytest.mark.parametrize("way", ["statement", "older"])
@pytest.mark.parametrize("event", ["insert", "update"])
def test_a_list_of_rows_that_two_rule_books_edit_is_told_as_it_was_written(
    hooks: Hooks, sessions: Any, way: str, event: str
) -> None:
    other = Hooks("other")
    checked: list[int] = []

    @hooks.before(event, Person)
    def first(change: Change[Person]) -> None:
        change.new["age"] += 1

    @other.before(event, Person)
    def second(change: Change[Person]) -> None:
        change.new["age"] *= 2

    hooks.add(lambda change: checked.append(change.new["age"]), "check", event, Person, name="checked")
    rows = [{"id": 1, "name": "Anna", "age": 10}, {"id": 2, "name": "Ben", "age": 20}]
    logs = [logged(hooks, "after", Person), logged(other, "after", Person)]
    with attach(other, sessions), sessions() as session:
        if event == "update":
            session.execute(insert(Person), [{**row, "age": 1} for row in rows])
            session.commit()
            for log in logs:
                log.clear()
        if way == "statement":
            session.execute(insert(Person) if event == "insert" else update(Person), rows)
        elif event == "insert":
            session.bulk_insert_mappings(Person, rows)
        else:
            session.bulk_update_mappings(Person, rows)
        stored = session.scalars(select(Person.age).order_by(Person.id)).all()
    ages = [row[2]["age"] if event == "insert" else row[2]["age"][1] for row in logs[0]]
    assert logs[0] == logs[1]
    assert ages == stored
    assert set(stored) <= set(checked)
