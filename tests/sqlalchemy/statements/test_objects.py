"""The session's objects after a statement: right, however they are synchronized."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.statements.schema import Base, Person, people
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]

every_synchronization = pytest.mark.parametrize("how", ["auto", "evaluate", "fetch", False])


def execute(session: Session, statement: Any, how: Any) -> None:
    session.execute(statement, execution_options={"synchronize_session": how})


@every_synchronization
@pytest.mark.parametrize("touching", [False, True])
def test_objects_show_the_edited_values(hooks: Hooks, session: Session, how: Any, touching: bool) -> None:
    people(session, Anna=30, Ben=40)
    anna, ben = session.get_one(Person, 1), session.get_one(Person, 2)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if touching:
            change.entity.age += change.key
        else:
            change.new["age"] += change.key

    execute(session, update(Person).values(age=5), how)
    assert (anna.age, ben.age) == (6, 7)
    assert not session.dirty


@every_synchronization
def test_objects_show_edits_of_columns_that_the_statement_does_not_set(
    hooks: Hooks, session: Session, how: Any
) -> None:
    people(session, Anna=30, Ben=40)
    anna = session.get_one(Person, 1)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["name"] = f"{change.new['name']}{change.new['age']}"

    execute(session, update(Person).values(age=5), how)
    assert (anna.name, anna.age) == ("Anna5", 5)


@pytest.mark.parametrize("how", ["auto", "fetch"])
def test_objects_show_what_the_database_computed(hooks: Hooks, session: Session, how: Any) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    hooks.add(lambda change: None, "after", "update", Person, name="nothing")
    execute(session, update(Person).values(age=func.abs(Person.age - 100)), how)
    assert anna.age == 70


@every_synchronization
def test_after_hooks_see_synchronized_objects(hooks: Hooks, session: Session, how: Any) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    seen: list[Any] = []

    @hooks.after("update", Person)
    def note(change: Change[Person]) -> None:
        seen.append((change.entity is anna, change.entity.age, change.old["age"]))

    execute(session, update(Person).values(age=5), how)
    assert seen[0][0] is True
    assert seen[0][2] == 30
    if how is not False:
        assert seen[0][1] == 5


def test_pending_edits_of_an_object_are_flushed_before_a_statement_of_the_orm(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    told: list[Any] = []

    @hooks.after("update", Person)
    def note(change: Change[Person]) -> None:
        told.append((change.door, sorted(change.fields)))

    anna.name = "Ann"
    session.execute(update(Person).values(age=5))
    assert told == [("unit of work", ["name"]), ("ORM bulk", ["age"])]
    assert (anna.name, anna.age) == ("Ann", 5)


@every_way
def test_what_was_pending_before_stays_pending_without_autoflush(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    hooks.add(lambda change: None, "before", "update", Person, name="nothing")
    with session.no_autoflush:
        anna.name = "Ann"
        send(session, way, update(target(way, Person)).values(age=5))
        assert anna in session.dirty
        assert session.scalar(select(Person.__table__.c.name)) == "Anna"
    session.flush()
    assert session.scalar(select(Person.__table__.c.name)) == "Ann"
    session.expire_all()
    assert (anna.name, anna.age) == ("Ann", 5)


@every_way
def test_after_a_refusal_objects_show_what_is_in_the_database(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    anna = session.get_one(Person, 1)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.entity.name = "edited"

    @hooks.check("update", Person)
    def refuse(change: Change[Person]) -> None:
        raise ValidationError(change.entity, {"age": "no"})

    with pytest.raises(ValidationError):
        send(session, way, update(target(way, Person)).values(age=5))
    assert (anna.name, anna.age) == ("Anna", 30)
    assert not session.dirty
    session.commit()
    assert (anna.name, anna.age) == ("Anna", 30)


@pytest.mark.parametrize("how", ["auto", "evaluate", "fetch"])
def test_deleted_objects_leave_the_session(hooks: Hooks, session: Session, how: Any) -> None:
    people(session, Anna=30, Ben=40)
    anna, ben = session.get_one(Person, 1), session.get_one(Person, 2)
    hooks.add(lambda change: None, "before", "delete", Person, name="nothing")
    execute(session, delete(Person).where(Person.age > 35), how)
    assert anna in session
    assert ben not in session


def test_the_entity_of_a_row_that_is_not_inserted_yet_is_a_stand_in(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    seen: list[Any] = []

    @hooks.before("insert", Person)
    def before(change: Change[Person]) -> None:
        seen.append((change.entity.name, change.entity in session, change.entity.boss.name))

    @hooks.after("insert", Person)
    def after(change: Change[Person]) -> None:
        seen.append((change.entity.name, change.entity in session, change.entity.boss.name))

    session.execute(insert(Person), [{"id": 2, "name": "Ben", "boss_id": 1}])
    assert seen == [("Ben", False, "Anna"), ("Ben", True, "Anna")]
