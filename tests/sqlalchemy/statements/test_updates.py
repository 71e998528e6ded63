"""UPDATE by criteria: old and new values of all rows, whoever computes them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, case, func, literal_column, select, text, update
from sqlalchemy.orm import Session

from hookline import Change, Hooks
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import door, every_way, send, target

__all__ = ["Base"]


@every_way
def test_each_row_is_told_of_with_old_and_new_values(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40, Cleo=50)
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after")]
    net = committed(hooks, Person)
    result = send(session, way, update(target(way, Person)).where(Person.age > 35).values(age=45))
    assert result.rowcount == 2
    session.commit()
    told = [("update", "Person", {"age": (40, 45)}), ("update", "Person", {"age": (50, 45)})]
    for log in (*logs, net):
        assert sorted(log, key=repr) == told


@every_way
def test_a_change_says_which_door_it_came_through(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    doors: list[str] = []

    @hooks.after("update", Person)
    def note(change: Change[Person]) -> None:
        doors.append(change.door)

    send(session, way, update(target(way, Person)).values(age=1))
    assert doors == [door(way)]


@every_way
def test_values_that_the_database_computes_from_the_row_are_known_before(
    hooks: Hooks, session: Session, way: str
) -> None:
    people(session, Anna=30, Ben=40)
    before, after = logged(hooks, "before", Person), logged(hooks, "after", Person)
    send(session, way, update(target(way, Person)).values(age=Person.age + 1, name=func.upper(Person.name)))
    told = [
        ("update", "Person", {"age": (30, 31), "name": ("Anna", "ANNA")}),
        ("update", "Person", {"age": (40, 41), "name": ("Ben", "BEN")}),
    ]
    assert sorted(before, key=repr) == sorted(after, key=repr) == told


@every_way
def test_values_from_subqueries_are_known_before(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    fill(session, Club(id=1, name="chess", size=12))
    log = logged(hooks, "check", Person)
    size = select(Club.size).where(Club.id == Person.id).scalar_subquery()
    send(session, way, update(target(way, Person)).where(Person.id.in_(select(Club.id))).values(age=size))
    assert log == [("update", "Person", {"age": (30, 12)})]


def test_values_from_the_same_table_are_those_before_the_update(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    other = Person.__table__.alias()
    log = logged(hooks, "after", Person)
    highest = select(func.max(other.c.age)).scalar_subquery()
    session.execute(update(Person).values(age=highest + Person.id))
    assert sorted(log, key=repr) == [
        ("update", "Person", {"age": (30, 41)}),
        ("update", "Person", {"age": (40, 42)}),
    ]


@every_way
def test_a_volatile_value_is_written_as_it_was_checked(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    seen: dict[int, int] = {}

    @hooks.check("update", Person)
    def note(change: Change[Person]) -> None:
        seen[change.key] = change.new["age"]

    chance = (func.random() * 1000000).cast(Person.age.type) % 50 + 100  # no age that anybody has
    send(session, way, update(target(way, Person)).values(age=chance))
    stored = dict(map(tuple, session.execute(select(Person.id, Person.age))))
    assert stored == seen


def test_a_moment_of_the_database_is_written_as_it_was_checked(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    seen: list[str] = []

    @hooks.check("update", Person)
    def note(change: Change[Person]) -> None:
        seen.append(change.new["name"])

    session.execute(update(Person).values(name=func.current_timestamp().cast(Person.name.type)))
    assert session.scalars(select(Person.name)).all() == seen


def test_a_literal_column_is_computed_by_the_database(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Person)
    session.execute(update(Person).values({"age": literal_column("age * 2"), "name": text("name || '!'")}))
    assert log == [("update", "Person", {"age": (30, 60), "name": ("Anna", "Anna!")})]


def test_a_case_over_rows(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    session.execute(update(Person).values(age=case((Person.name == "Ben", 1), else_=Person.age)))
    assert log == [("update", "Person", {"age": (40, 1)})]


def test_none_is_a_value(hooks: Hooks, session: Session) -> None:
    fill(session, Person(id=1, name="Anna", email="a@b"), Person(id=2, name="Ben"))
    log = logged(hooks, "after", Person)
    session.execute(update(Person).values(email=None))
    assert log == [("update", "Person", {"email": ("a@b", None)})]


def test_ordered_values(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Person)
    session.execute(update(Person).ordered_values((Person.name, "x"), (Person.age, Person.age + 1)))
    assert log == [("update", "Person", {"age": (30, 31), "name": ("Anna", "x")})]


def test_parameters_of_one_execution(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    table = Person.__table__
    statement = update(table).where(table.c.id == bindparam("which")).values(age=bindparam("new_age"))  # type: ignore[arg-type]
    session.execute(statement, {"which": 2, "new_age": 5})
    assert log == [("update", "Person", {"age": (40, 5)})]


@pytest.mark.parametrize("way", ["core", "connection"])
def test_parameters_of_many_executions(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40, Cleo=50)
    log = logged(hooks, "after", Person)
    table: Any = Person.__table__
    statement = update(table).where(table.c.id == bindparam("which")).values(age=bindparam("new_age"))
    sent.clear()
    result = send(session, way, statement, [{"which": 2, "new_age": 5}, {"which": 1, "new_age": 6}])
    assert log == [("update", "Person", {"age": (40, 5)}), ("update", "Person", {"age": (30, 6)})]
    assert len(sent.writes) == 1
    assert result.rowcount == 2
    assert session.execute(select(table.c.id, table.c.age).order_by("id")).all() == [(1, 6), (2, 5), (3, 50)]


def test_parameters_name_columns(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Person)
    session.connection().execute(update(Person.__table__), {"age": 3})  # type: ignore[arg-type]
    assert log == [("update", "Person", {"age": (30, 3)})]


def test_rows_that_stay_as_they_are_fire_nothing(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after", "after_commit")]
    result: Any = session.execute(update(Person).values(age=Person.age))
    session.execute(update(Person).where(Person.id == 1).values(age=30))
    session.commit()
    assert result.rowcount == 2
    assert logs == [[], [], [], []]


def test_no_row_matches(hooks: Hooks, session: Session, sent: Sent) -> None:
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after", "after_commit")]
    result: Any = session.execute(update(Person).where(Person.id == 5).values(age=1))
    session.commit()
    assert result.rowcount == 0
    assert logs == [[], [], [], []]
    assert len(sent.writes) == 1


@every_way
def test_returning_gives_the_user_what_was_asked_for(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    statement: Any = update(target(way, Person)).where(Person.id == 2).values(age=Person.age + 1)
    rows = send(session, way, statement.returning(Person.name, Person.age)).all()
    assert rows == [("Ben", 41)]
    assert log == [("update", "Person", {"age": (40, 41)})]


def test_returning_entities(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Person)
    one = session.scalars(update(Person).values(age=31).returning(Person)).one()
    assert (one.name, one.age, one in session) == ("Anna", 31, True)
    assert log == [("update", "Person", {"age": (30, 31)})]


def test_an_unedited_statement_is_sent_as_it_was_written(
    hooks: Hooks, session: Session, sent: Sent, engine: Engine
) -> None:
    people(session, Anna=30, Ben=40)
    statement = update(Person).where(Person.id < 9).values(age=Person.age + 1)
    sent.clear()
    session.execute(statement)
    plain = sent.writes
    hooks.add(lambda change: None, "before", "update", Person, name="nothing")
    hooks.add(lambda change: None, "after", "update", Person, name="nothing either")
    sent.clear()
    session.execute(statement)
    assert sent.writes == plain
    assert len(sent.reads) == 1
    assert len(sent) == (3 if engine.dialect.name == "sqlite" else 2)


def test_a_key_that_is_updated(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    session.execute(update(Person).values(id=Person.id + 10))
    session.execute(update(Person).values(age=31))
    session.commit()
    assert log == [("update", "Person", {"id": (1, 11)}), ("update", "Person", {"age": (30, 31)})]
    assert net == [("update", "Person", {"age": (30, 31), "id": (1, 11)})]


def test_a_hundred_thousand_rows(hooks: Hooks, session: Session, sent: Sent) -> None:
    table: Any = Person.__table__
    session.execute(table.insert(), [{"id": n, "name": "x", "age": n % 100} for n in range(100_000)])
    session.commit()
    sizes: list[int] = []
    total = 0

    @hooks.after("update", Person)
    def count(changes: list[Change[Person]]) -> None:
        nonlocal total
        sizes.append(len(changes))
        total += sum(change.new["age"] - change.old["age"] for change in changes)

    sent.clear()
    session.execute(update(Person).values(age=Person.age + 1))
    assert sum(sizes) == total == 100_000
    assert len(sent.writes) == len(sent.reads) == 1
