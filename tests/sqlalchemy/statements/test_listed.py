"""Lists of rows for the ORM: ``update(Model)`` by primary key, and ``values()`` beside a list."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Line, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent

__all__ = ["Base"]


def ages(session: Session) -> list[tuple[str, int]]:
    return [tuple(row) for row in session.execute(select(Person.name, Person.age).order_by(Person.id))]


def test_each_row_is_told_of_with_old_and_new_values(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30, Ben=40, Cleo=50)
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after")]
    net = committed(hooks, Person)
    sent.clear()
    session.execute(update(Person), [{"id": 1, "age": 31}, {"id": 2, "age": 41}])
    assert len(sent.writes) == 1
    assert len(sent.reads) == 1
    session.commit()
    for log in (*logs, net):
        assert log == [("update", "Person", {"age": (30, 31)}), ("update", "Person", {"age": (40, 41)})]


def test_one_row_without_a_list(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += 1

    log = logged(hooks, "after", Person)
    session.execute(update(Person), {"id": 1, "age": 31, "name": "Ann"})
    assert log == [("update", "Person", {"age": (30, 32), "name": ("Anna", "Ann")})]


def test_rows_with_different_columns(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    session.execute(update(Person), [{"id": 1, "age": 31}, {"id": 2, "name": "Benny"}])
    assert log == [("update", "Person", {"age": (30, 31)}), ("update", "Person", {"name": ("Ben", "Benny")})]


def test_edits(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    ben = session.get_one(Person, 2)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.entity.age += 100
        if change.key == 2:
            change.new["email"] = "b@c"

    log = logged(hooks, "after", Person)
    session.execute(update(Person), [{"id": 1, "age": 1}, {"id": 2, "age": 2}])
    assert ages(session) == [("Anna", 101), ("Ben", 102)]
    assert (ben.age, ben.email) == (102, "b@c")
    assert log == [
        ("update", "Person", {"age": (30, 101)}),
        ("update", "Person", {"age": (40, 102), "email": (None, "b@c")}),
    ]


def test_dropped_edits(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 1:
            del change.new["age"]

    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    session.execute(update(Person), [{"id": 1, "age": 1}, {"id": 2, "age": 2}])
    session.commit()
    assert ages(session) == [("Anna", 30), ("Ben", 2)]
    assert log == net == [("update", "Person", {"age": (40, 2)})]


def test_refusals_are_gathered_and_nothing_is_sent(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.check("update", Person)
    def refuse(change: Change[Person]) -> None:
        raise ValidationError(change.entity, {"age": "no"})

    sent.clear()
    with pytest.raises(ValidationError) as caught:
        session.execute(update(Person), [{"id": 1, "age": 1}, {"id": 2, "age": 2}])
    assert len(caught.value.problems) == 2
    assert sent.writes == []


def test_composite_keys(hooks: Hooks, session: Session) -> None:
    fill(session, Line(order_no=1, number=1), Line(order_no=1, number=2))
    log = logged(hooks, "after", Line)
    session.execute(update(Line), [{"order_no": 1, "number": 2, "amount": 9}])
    assert log == [("update", "Line", {"amount": (1, 9)})]


def test_a_row_that_is_not_there_is_sqlalchemys_error(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = committed(hooks, Person)
    with pytest.raises(StaleDataError), session.begin_nested():
        session.execute(update(Person), [{"id": 1, "age": 1}, {"id": 5, "age": 2}])
    session.commit()
    assert log == []


def test_rows_that_stay_as_they_are_fire_nothing(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after", "after_commit")]
    session.execute(update(Person), [{"id": 1, "age": 30}])
    session.commit()
    assert logs == [[], [], [], []]


def test_values_beside_the_list_are_part_of_each_row(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    session.execute(update(Person).values(age=5), [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Benny"}])
    assert log == [
        ("update", "Person", {"age": (30, 5), "name": ("Anna", "Ann")}),
        ("update", "Person", {"age": (40, 5), "name": ("Ben", "Benny")}),
    ]


def test_values_that_the_database_computes_beside_the_list(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    checked, log = logged(hooks, "check", Person), logged(hooks, "after", Person)
    session.execute(update(Person).values(age=Person.age + 1), [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Ben"}])
    told = [
        ("update", "Person", {"age": (30, 31), "name": ("Anna", "Ann")}),
        ("update", "Person", {"age": (40, 41)}),
    ]
    assert log == checked == told
    assert ages(session) == [("Ann", 31), ("Ben", 41)]


def test_values_beside_the_list_of_an_insert_can_be_edited(hooks: Hooks, session: Session) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        if change.new["name"] == "Ben":
            change.new["age"] = 6

    rows = [{"name": "Anna"}, {"name": "Ben"}]
    session.execute(insert(Person).values(age=5), rows)
    assert ages(session) == [("Anna", 5), ("Ben", 6)]


def test_an_expression_beside_the_list_of_an_insert(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    rows = [{"name": "Anna"}, {"name": "Ben"}]
    found = session.scalars(insert(Person).values(age=func.abs(-5)).returning(Person.age), rows).all()
    assert found == [5, 5]
    assert [row[2]["age"] for row in log] == [5, 5]


def test_a_thousand_rows(hooks: Hooks, session: Session, sent: Sent) -> None:
    session.execute(insert(Person), [{"id": n, "name": "x", "age": 0} for n in range(1200)])
    session.commit()
    seen: list[Any] = []

    @hooks.after("update", Person)
    def note(changes: list[Change[Person]]) -> None:
        seen.append((len(changes), sum(change.new["age"] for change in changes)))

    sent.clear()
    session.execute(update(Person), [{"id": n, "age": 1} for n in range(1200)])
    assert seen == [(1200, 1200)]
    assert len(sent.writes) == 1
