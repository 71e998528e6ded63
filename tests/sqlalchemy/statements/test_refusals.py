"""What is refused, by hooks or by the database: nothing of it is written, and the session goes on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed
from tests.sqlalchemy.statements.schema import Base, Club, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


def paths(error: ValidationError) -> set[tuple[Any, str, str]]:
    return {
        (getattr(problem.entity, "name", problem.entity), problem.field, problem.code) for problem in error.problems
    }


@pytest.fixture
def grown(hooks: Hooks) -> None:
    @hooks.check("save", Person)
    def grown(change: Change[Person]) -> None:
        if change.new["age"] < 18:
            raise ValidationError(change.entity, {"age": "too young"})


@every_way
def test_all_refusals_are_gathered_and_nothing_is_sent(grown: None, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40, Cleo=80)
    sent.clear()
    with pytest.raises(ValidationError) as caught:
        send(session, way, update(target(way, Person)).values(age=Person.age - 30))
    assert {(one, field) for one, field, _ in paths(caught.value)} == {("Anna", "age"), ("Ben", "age")}
    assert sent.writes == []


@every_way
def test_the_session_is_usable_after_rollback(grown: None, hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    log = committed(hooks, Person)
    with pytest.raises(ValidationError):
        send(session, way, update(target(way, Person)).values(age=3))
    session.rollback()
    send(session, way, update(target(way, Person)).values(age=33))
    session.commit()
    assert log == [("update", "Person", {"age": (30, 33)})]


@every_way
def test_a_savepoint_takes_the_refused_statement_with_it(grown: None, hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    log = committed(hooks, Person, Club)
    session.execute(insert(Club).values(name="chess"))
    with pytest.raises(ValidationError), session.begin_nested():
        session.execute(insert(Club).values(name="golf"))
        send(session, way, update(target(way, Person)).values(age=3))
    send(session, way, update(target(way, Person)).values(age=33))
    session.commit()
    assert log == [
        ("insert", "Club", {"id": 1, "name": "chess", "size": 0}),
        ("update", "Person", {"age": (30, 33)}),
    ]


@every_way
def test_a_unique_violation_of_an_update_is_told_by_field(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Person(id=1, name="Anna", email="a@b"), Person(id=2, name="Ben"))
    hooks.add(lambda change: None, "check", "save", Person, name="nothing")
    with pytest.raises(ValidationError) as caught, session.begin_nested():
        send(session, way, update(target(way, Person)).where(Person.id == 2).values(email="a@b"))
    assert paths(caught.value) == {("Ben", "email", "unique")}
    assert isinstance(caught.value.__cause__, Exception)


@every_way
def test_a_unique_violation_of_an_insert_is_told_by_field(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Person(id=1, name="Anna", email="a@b"))
    hooks.add(lambda change: None, "check", "save", Person, name="nothing")
    with pytest.raises(ValidationError) as caught, session.begin_nested():
        send(session, way, insert(target(way, Person)), [{"id": 2, "name": "Ben", "email": "a@b"}])
    assert {(field, code) for _, field, code in paths(caught.value)} == {("email", "unique")}


@every_way
def test_a_check_constraint_is_told_by_field(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    hooks.add(lambda change: None, "check", "save", Person, name="nothing")
    with pytest.raises(ValidationError) as caught, session.begin_nested():
        send(session, way, update(target(way, Person)).values(age=200))
    assert paths(caught.value) == {("Anna", "age", "check")}


@every_way
def test_a_not_null_violation_is_told_by_field(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    hooks.add(lambda change: None, "check", "save", Person, name="nothing")
    with pytest.raises(ValidationError) as caught, session.begin_nested():
        send(session, way, update(target(way, Person)).values(name=None))
    assert {(field, code) for _, field, code in paths(caught.value)} == {("name", "not_null")}


@every_way
def test_a_foreign_key_violation_of_a_delete_is_a_validation_error(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Person(id=1, name="Anna"), Person(id=2, name="Ben", boss_id=1))
    hooks.add(lambda change: None, "check", "delete", Person, name="nothing")
    with pytest.raises(ValidationError) as caught, session.begin_nested():
        send(session, way, delete(target(way, Person)).where(Person.id == 1))
    assert {code for _, _, code in paths(caught.value)} == {"foreign_key"}
    assert len(session.scalars(select(Person)).all()) == 2


@every_way
def test_a_violation_of_an_unhooked_table_stays_what_it_is(hooks: Hooks, session: Session, way: str) -> None:
    hooks.add(lambda change: None, "check", "save", Club, name="nothing")
    with pytest.raises(IntegrityError), session.begin_nested():
        send(session, way, insert(target(way, Person)).values(name=None))
    session.execute(insert(Club).values(name="chess"))
    with pytest.raises(IntegrityError), session.begin_nested():
        send(session, way, insert(target(way, Person)).values(name=None))


@every_way
def test_what_failed_is_not_told_after(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Person(id=1, name="Anna", email="a@b"), Person(id=2, name="Ben"))
    log = committed(hooks, Person)
    ben = session.get_one(Person, 2)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.entity.name = "edited"

    with pytest.raises(ValidationError), session.begin_nested():
        send(session, way, update(target(way, Person)).where(Person.id == 2).values(email="a@b"))
    assert (ben.name, ben.email) == ("Ben", None)
    send(session, way, update(target(way, Person)).where(Person.id == 1).values(age=4))
    session.commit()
    assert log == [("update", "Person", {"age": (0, 4), "name": ("Anna", "edited")})]


def test_a_programmers_error_in_a_hook_comes_out_as_it_is(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30)

    @hooks.before("update", Person)
    def broken(change: Change[Person]) -> None:
        raise LookupError("broken")

    sent.clear()
    with pytest.raises(LookupError, match="broken"):
        session.execute(update(Person).values(age=4))
    assert sent.writes == []
