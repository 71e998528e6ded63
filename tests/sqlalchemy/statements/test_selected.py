"""INSERT .. SELECT: the rows are known before they are written, and sent as they were asked for."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import cast, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Person, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

numbers = itertools.count(100)


class Numbered(Base):
    __tablename__ = "numbered"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    number: Mapped[int] = mapped_column(default=lambda: next(numbers))


@every_way
def test_selected_rows_are_told_of_before_and_after(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)
    before, after, net = logged(hooks, "before", Club), logged(hooks, "after", Club), committed(hooks, Club)
    sent.clear()
    source = select(Person.name, Person.age).order_by(Person.id)
    result = send(session, way, insert(target(way, Club)).from_select(["name", "size"], source))
    assert result.rowcount == 2
    assert len(sent.writes) == 1
    assert " SELECT person.name, person.age FROM person" in sent.writes[0]
    session.commit()
    told = [{"name": "Anna", "size": 30}, {"name": "Ben", "size": 40}]
    assert [row[2] for row in before] == told
    assert sorted(row[2]["name"] for row in after) == ["Anna", "Ben"]
    assert sorted(after, key=repr) == net
    assert sorted(row[2]["id"] for row in after) == [1, 2]


@every_way
def test_rows_that_hooks_edit_are_sent_as_they_are_now(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("insert", Club)
    def loud(change: Change[Club]) -> None:
        if change.new["size"] > 35:
            change.new["name"] = change.new["name"].upper()

    log = logged(hooks, "after", Club)
    sent.clear()
    source = select(Person.name, Person.age).order_by(Person.id)
    send(session, way, insert(target(way, Club)).from_select(["name", "size"], source))
    assert sorted(session.execute(select(Club.name, Club.size)).all()) == [("Anna", 30), ("BEN", 40)]
    assert sorted((row[2]["name"], row[2]["size"]) for row in log) == [("Anna", 30), ("BEN", 40)]
    # To learn the keys of rows in their order, SQLAlchemy sends each by itself on SQLite.
    assert len(sent.writes) == (2 if session.get_bind().dialect.name == "sqlite" else 1)


@every_way
def test_python_defaults_are_computed_for_each_row(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Numbered)
    send(session, way, insert(target(way, Numbered)).from_select(["name"], select(Person.name)))
    stored = session.execute(select(Numbered.name, Numbered.number)).all()
    assert sorted(stored) == sorted((row[2]["name"], row[2]["number"]) for row in log)
    assert len({number for _, number in stored}) == 2


@every_way
def test_volatile_values_are_told_and_checked_as_they_were_written(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    checked: list[Any] = []

    @hooks.check("insert", Club)
    def note(change: Change[Club]) -> None:
        checked.append((change.new["name"], change.new["size"]))

    log = logged(hooks, "after", Club)
    chance = cast(func.random() * 1_000_000, Club.size.type) % 1_000_000
    send(session, way, insert(target(way, Club)).from_select(["name", "size"], select(Person.name, chance)))
    stored = session.execute(select(Club.name, Club.size)).all()
    assert sorted((row[2]["name"], row[2]["size"]) for row in log) == sorted(stored)
    assert set(stored) <= set(checked)


def test_a_late_check_refuses_what_came_out_otherwise(hooks: Hooks, session: Session) -> None:
    people(session, **{f"p{n}": n for n in range(30)})
    checked: list[int] = []

    @hooks.check("insert", Club)
    def first_look_only(change: Change[Club]) -> None:
        checked.append(change.new["size"])
        if len(checked) > 30:
            raise ValidationError(change.entity, {"size": "came out otherwise"})

    chance = cast(func.random() * 1_000_000, Club.size.type) % 1_000_000
    statement = insert(Club).from_select(["name", "size"], select(Person.name, chance))
    with pytest.raises(ValidationError), session.begin_nested():
        session.execute(statement)
    assert session.scalars(select(Club)).all() == []


@every_way
def test_returning_gives_the_user_what_was_asked_for(hooks: Hooks, session: Session, way: str) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Club)
    statement: Any = insert(target(way, Club)).from_select(["name"], select(Person.name).order_by(Person.id))
    found = send(session, way, statement.returning(Club.name, Club.id)).all()
    assert sorted(found) == sorted((row[2]["name"], row[2]["id"]) for row in log)
    assert sorted(name for name, _ in found) == ["Anna", "Ben"]


def test_returning_entities(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Club)
    statement = insert(Club).from_select(["name"], select(Person.name)).returning(Club)
    (one,) = session.scalars(statement).all()
    assert (one.name, one.size, one in session) == ("Anna", 0, True)
    assert log == [("insert", "Club", {"id": 1, "name": "Anna", "size": 0})]


def test_a_scalar_default_is_part_of_the_row(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "check", Club)
    session.execute(insert(Club).from_select(["name"], select(Person.name)))
    assert log == [("insert", "Club", {"name": "Anna", "size": 0})]


def test_nothing_is_selected(hooks: Hooks, session: Session) -> None:
    log, net = logged(hooks, "after", Club), committed(hooks, Club)
    result: Any = session.execute(insert(Club).from_select(["name"], select(Person.name)))
    session.execute(insert(Numbered).from_select(["name"], select(Person.name)))
    session.commit()
    assert (result.rowcount, log, net) == (0, [], [])


def test_nothing_is_selected_of_a_table_with_python_defaults(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Numbered)
    result: Any = session.execute(insert(Numbered).from_select(["name"], select(Person.name)))
    assert (result.rowcount, log) == (0, [])
    assert session.scalars(select(Numbered)).all() == []


def test_refused_rows_are_not_sent(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.check("insert", Club)
    def never(change: Change[Club]) -> None:
        raise ValidationError(change.entity, {"name": "no"})

    sent.clear()
    with pytest.raises(ValidationError) as caught:
        session.execute(insert(Club).from_select(["name"], select(Person.name)))
    assert len(caught.value.problems) == 2
    assert sent.writes == []


def test_rows_of_the_same_values(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Club)
    session.execute(insert(Club).from_select(["name"], select(func.lower("X")).select_from(Person)))
    assert sorted(row[2]["id"] for row in log) == [1, 2]
