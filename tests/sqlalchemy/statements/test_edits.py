"""What `before` hooks edit becomes part of the statement: one statement, whatever was edited."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from hookline import Change, Hooks, PhaseError, ReadOnlyError, UnknownFieldError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Line, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


def ages(session: Session) -> list[tuple[str, int]]:
    return [tuple(row) for row in session.execute(select(Person.name, Person.age).order_by(Person.id))]


@every_way
def test_the_same_edit_of_all_rows(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] = 99

    log = logged(hooks, "after", Person)
    sent.clear()
    result = send(session, way, update(target(way, Person)).values(age=1))
    assert result.rowcount == 2
    assert len(sent.writes) == 1
    assert ages(session) == [("Anna", 99), ("Ben", 99)]
    assert log == [("update", "Person", {"age": (30, 99)}), ("update", "Person", {"age": (40, 99)})]


@every_way
def test_an_edit_of_each_row(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40, Cleo=50)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key != 2:
            change.new["age"] = change.old["age"] * 2
            change.new["name"] = change.new["name"].upper()

    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    sent.clear()
    result = send(session, way, update(target(way, Person)).values(age=Person.age + 1))
    assert result.rowcount == 3
    assert len(sent.writes) == 1
    assert ages(session) == [("ANNA", 60), ("Ben", 41), ("CLEO", 100)]
    session.commit()
    told = [
        ("update", "Person", {"age": (30, 60), "name": ("Anna", "ANNA")}),
        ("update", "Person", {"age": (40, 41)}),
        ("update", "Person", {"age": (50, 100), "name": ("Cleo", "CLEO")}),
    ]
    assert sorted(log, key=repr) == sorted(told, key=repr) == net


@every_way
def test_an_edit_by_the_entity(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.entity.name = f"{change.entity.name}:{change.entity.age}"

    log = logged(hooks, "after", Person)
    sent.clear()
    send(session, way, update(target(way, Person)).values(age=Person.age + 1))
    assert len(sent.writes) == 1
    assert ages(session) == [("Anna:31", 31), ("Ben:41", 41)]
    assert {row[2]["name"] for row in log} == {("Anna", "Anna:31"), ("Ben", "Ben:41")}
    assert not session.dirty


@every_way
def test_a_dropped_edit(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 1:
            del change.new["age"]

    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    result = send(session, way, update(target(way, Person)).values(age=Person.age + 1))
    assert result.rowcount == 2
    assert ages(session) == [("Anna", 30), ("Ben", 41)]
    session.commit()
    assert log == net == [("update", "Person", {"age": (40, 41)})]


def test_edits_that_leave_every_row_as_it_was(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        del change.new["age"]

    logs = [logged(hooks, phase, Person) for phase in ("check", "after", "after_commit")]
    session.execute(update(Person).values(age=1))
    session.commit()
    assert ages(session) == [("Anna", 30), ("Ben", 40)]
    assert logs == [[], [], []]


def test_an_edit_of_a_column_that_the_statement_does_not_set(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 2:
            change.new["email"] = "ben@example.org"

    log = logged(hooks, "after", Person)
    sent.clear()
    session.execute(update(Person).values(age=1))
    assert len(sent.writes) == 1
    assert session.scalars(select(Person.email).order_by(Person.id)).all() == [None, "ben@example.org"]
    assert log == [
        ("update", "Person", {"age": (30, 1)}),
        ("update", "Person", {"age": (40, 1), "email": (None, "ben@example.org")}),
    ]


def test_an_edit_to_none(hooks: Hooks, session: Session) -> None:
    fill(session, Person(id=1, name="Anna", email="a@b"), Person(id=2, name="Ben", email="b@c"))

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 1:
            change.new["email"] = None

    log = logged(hooks, "after", Person)
    session.execute(update(Person).values(age=5))
    assert session.scalars(select(Person.email).order_by(Person.id)).all() == [None, "b@c"]
    assert log[0] == ("update", "Person", {"age": (0, 5), "email": ("a@b", None)})


@every_way
def test_an_edit_to_an_sql_expression_of_all_rows(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] = Person.age * 2

    log = logged(hooks, "after", Person)
    sent.clear()
    send(session, way, update(target(way, Person)).values(name="x"))
    assert len(sent.writes) == 1
    assert ages(session) == [("x", 60), ("x", 80)]
    assert [row[2]["age"] for row in log] == [(30, 60), (40, 80)]


@every_way
def test_an_edit_to_an_sql_expression_of_one_row(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 2:
            change.new["age"] = Person.age * 2

    log = logged(hooks, "after", Person)
    sent.clear()
    send(session, way, update(target(way, Person)).values(age=1))
    assert len(sent.writes) == 1
    assert ages(session) == [("Anna", 1), ("Ben", 80)]
    assert [row[2]["age"] for row in log] == [(30, 1), (40, 80)]


def test_check_hooks_see_what_before_hooks_left(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    seen: list[Any] = []

    @hooks.check("update", Person)
    def check(change: Change[Person]) -> None:
        seen.append((change.new["age"], change.entity.age, change.new["name"]))
        with pytest.raises(ReadOnlyError):
            change.new["age"] = 1

    @hooks.before("update", Person)
    def first(change: Change[Person]) -> None:
        change.new["age"] += 1

    @hooks.before("update", Person)
    def second(change: Change[Person]) -> None:
        change.entity.age *= 2

    session.execute(update(Person).values(age=Person.age + 10))
    assert seen == [(82, 82, "Anna"), (102, 102, "Ben")]


def test_an_edit_of_what_is_not_there(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["agge"] = 1

    with pytest.raises(UnknownFieldError, match="Did you mean 'age'"):
        session.execute(update(Person).values(age=1))


def test_edits_with_ordered_values(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += change.key

    session.execute(update(Person).ordered_values((Person.name, "x"), (Person.age, Person.age + 1)))
    assert ages(session) == [("x", 32), ("x", 43)]


def test_edits_with_parameters_of_many_executions(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += 100
        if change.key == 2:
            change.new["name"] = "Benny"

    log = logged(hooks, "after", Person)
    table: Any = Person.__table__
    statement = update(table).where(table.c.id == bindparam("which"))
    sent.clear()
    result: Any = session.execute(statement, [{"which": 1, "age": 5}, {"which": 2, "age": 6}])
    assert result.rowcount == 2
    assert len(sent.writes) == 1
    assert ages(session) == [("Anna", 105), ("Benny", 106)]
    assert log == [
        ("update", "Person", {"age": (30, 105)}),
        ("update", "Person", {"age": (40, 106), "name": ("Ben", "Benny")}),
    ]


@every_way
def test_returning_shows_the_edited_values(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += change.key

    statement: Any = update(target(way, Person)).values(age=1).returning(Person.name, Person.age)
    assert sorted(send(session, way, statement).all()) == [("Anna", 2), ("Ben", 3)]


def test_returning_entities_shows_the_edited_values(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    anna = session.get_one(Person, 1)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += change.key

    found = session.scalars(update(Person).values(age=1).returning(Person)).all()
    assert sorted((one.name, one.age) for one in found) == [("Anna", 2), ("Ben", 3)]
    assert anna in found


def test_edits_of_composite_keyed_rows(hooks: Hooks, session: Session, sent: Sent) -> None:
    fill(session, *(Line(order_no=o, number=n) for o in (1, 2) for n in (1, 2)))

    @hooks.before("update", Line)
    def edit(change: Change[Line]) -> None:
        if change.key != (1, 1):
            change.new["amount"] = change.old["order_no"] * 10 + change.old["number"]

    sent.clear()
    session.execute(update(Line).values(amount=0))
    assert len(sent.writes) == 1
    assert session.scalars(select(Line.amount).order_by(Line.order_no, Line.number)).all() == [0, 12, 21, 22]


def test_edits_of_two_statements_do_not_mix(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.new["name"] == f"for {change.key}":
            change.new["age"] += change.key

    session.execute(update(Person).values(age=1, name="for 1"))
    session.execute(update(Person).values(age=10, name="for 2"))
    assert ages(session) == [("for 2", 10), ("for 2", 12)]


def test_edits_of_a_set_of_changes(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, **{f"p{n}": n for n in range(100)})

    @hooks.before("update", Person)
    def edit(changes: list[Change[Person]]) -> None:
        for number, change in enumerate(changes):
            change.new["age"] = number

    sent.clear()
    session.execute(update(Person).values(age=149))
    assert len(sent.writes) == 1
    assert sorted(age for _, age in ages(session)) == list(range(100))


# -- inserts


@every_way
@pytest.mark.parametrize("several", [False, True])
def test_edits_of_rows_that_are_inserted(hooks: Hooks, session: Session, way: str, several: bool) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        change.new["name"] = change.new["name"].strip()
        change.entity.age += 1
        change.new["email"] = f"{change.new['name']}@example.org"

    log = logged(hooks, "after", Person)
    rows = [{"name": " Anna ", "age": 1}, {"name": "Ben ", "age": 2}]
    send(session, way, insert(target(way, Person)), rows if several else rows[0])
    assert ages(session) == [("Anna", 2), ("Ben", 3)][: 1 + several]
    assert [row[2]["email"] for row in log] == ["Anna@example.org", "Ben@example.org"][: 1 + several]


@every_way
def test_an_edit_of_some_rows_that_are_inserted(hooks: Hooks, session: Session, way: str) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        if change.new["name"] == "Ben":
            change.new["email"] = "b@c"

    send(session, way, insert(target(way, Person)), [{"name": "Anna"}, {"name": "Ben"}, {"name": "Cleo"}])
    found = session.execute(select(Person.name, Person.email).order_by(Person.name)).all()
    assert found == [("Anna", None), ("Ben", "b@c"), ("Cleo", None)]


@pytest.mark.parametrize("way", ["core", "connection"])
def test_an_edit_of_one_inserted_row_to_an_sql_expression(hooks: Hooks, session: Session, way: str) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        if change.new["name"] == "Ben":
            change.new["age"] = literal(40) + 2

    log = logged(hooks, "after", Person)
    send(session, way, insert(target(way, Person)), [{"name": "Anna", "age": 1}, {"name": "Ben", "age": 2}])
    assert ages(session) == [("Anna", 1), ("Ben", 42)]
    assert [row[2]["age"] for row in log] == [1, 42]


@every_way
def test_an_edit_of_all_inserted_rows_to_an_sql_expression(hooks: Hooks, session: Session, way: str) -> None:
    answer = literal(40) + 2

    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] = answer

    log = logged(hooks, "after", Person)
    send(session, way, insert(target(way, Person)), [{"name": "Anna", "age": 1}, {"name": "Ben", "age": 2}])
    assert ages(session) == [("Anna", 42), ("Ben", 42)]
    assert [row[2]["age"] for row in log] == [42, 42]


def test_a_list_of_rows_of_the_orm_cannot_hold_an_expression_in_one_row(hooks: Hooks, session: Session) -> None:
    people(session, Cleo=50)

    @hooks.before("save", Person)
    def edit(change: Change[Person]) -> None:
        if change.new["name"] == "Ben":
            change.new["age"] = literal(40) + 2

    with pytest.raises(PhaseError, match="edited 'age' to an SQL expression"):
        session.execute(insert(Person), [{"name": "Anna"}, {"name": "Ben"}])
    with pytest.raises(PhaseError, match="edited 'age' to an SQL expression"):
        session.execute(update(Person), [{"id": 1, "name": "Ben"}])
    assert ages(session) == [("Cleo", 50)]


@every_way
def test_a_server_default_set_in_some_rows(hooks: Hooks, session: Session, way: str) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        change.new["rank"] = 1 if change.new["name"] == "Ben" else 2

    log = logged(hooks, "after", Person)
    send(session, way, insert(target(way, Person)), [{"name": "Anna"}, {"name": "Ben"}])
    assert [row[2]["rank"] for row in log] == [2, 1]
    assert session.scalars(select(Person.rank).order_by(Person.name)).all() == [2, 1]


@every_way
def test_returning_of_an_edited_insert(hooks: Hooks, session: Session, way: str) -> None:
    @hooks.before("insert", Club)
    def edit(change: Change[Club]) -> None:
        change.new["name"] = change.new["name"].upper()

    statement: Any = insert(target(way, Club)).returning(Club.name, Club.size)
    rows = [{"name": "a"}, {"name": "b"}]
    assert sorted(send(session, way, statement, rows).all()) == [("A", 0), ("B", 0)]


def test_a_dropped_edit_of_an_insert(hooks: Hooks, session: Session) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        del change.new["email"]

    session.execute(insert(Person), [{"name": "Anna", "email": "a@b"}])
    session.execute(insert(Person).values(name="Ben", email="b@c"))
    assert session.scalars(select(Person.email)).all() == [None, None]


def test_a_hook_writes_other_objects_too(hooks: Hooks, session: Session) -> None:
    """They are writes of their own, with their cause."""
    people(session, Anna=30, Ben=40)
    causes: list[Any] = []

    @hooks.before("update", Person)
    def note(change: Change[Person], session: Session) -> None:
        if change.new["age"] == 1:
            session.add(Club(name=change.new["name"]))

    @hooks.after("insert", Club)
    def club(change: Change[Club]) -> None:
        causes.append((change.new["name"], change.cause.name if change.cause else None, change.depth))

    session.execute(update(Person).values(age=1))
    assert sorted(causes) == [("Anna", "note", 1), ("Ben", "note", 1)]
    assert session.scalar(select(func.count()).select_from(Club)) == 2


def test_a_hook_edits_the_entity_of_another_row_of_the_same_statement(hooks: Hooks, session: Session) -> None:
    """It is a write of its own, after the statement."""
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def promote(change: Change[Person], session: Session) -> None:
        if change.key == 1 and change.depth == 0:
            session.get_one(Person, 2).name = "Benny"

    log = logged(hooks, "after", Person)
    session.execute(update(Person).values(age=Person.age + 1))
    assert ages(session) == [("Anna", 31), ("Benny", 41)]
    assert sorted(log, key=repr) == [
        ("update", "Person", {"age": (30, 31)}),
        ("update", "Person", {"age": (40, 41)}),
        ("update", "Person", {"name": ("Ben", "Benny")}),
    ]


def test_the_desk_of_edits_can_be_used_twice(hooks: Hooks, session: Session, engine: Engine) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += change.key

    for _ in range(3):
        session.execute(update(Person).values(age=Person.age + 1))
        session.commit()
    with session.begin_nested() as savepoint:
        session.execute(update(Person).values(age=Person.age + 1))
        savepoint.rollback()
    session.execute(update(Person).values(age=Person.age + 1))
    assert ages(session) == [("Anna", 38), ("Ben", 52)]
