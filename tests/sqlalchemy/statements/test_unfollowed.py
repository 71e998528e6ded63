"""Statements that cannot be told exactly: by policy they are warned of, refused or let through, never half followed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from hookline import BypassError, Hooks, UnhookedWriteWarning
from tests.sqlalchemy.recording import logged
from tests.sqlalchemy.statements.schema import Base, Person, people

__all__ = ["Base"]

table: Any = Person.__table__

CASES: dict[str, Any] = {
    "a prefix of an update": lambda session: session.execute(update(Person).prefix_with("/* x */").values(age=1)),
    "a prefix of a delete": lambda session: session.execute(delete(Person).prefix_with("/* x */")),
    "a prefix of an insert": lambda session: session.execute(
        insert(table).prefix_with("/* x */").values(id=9, name="x")
    ),
    "parameter sets that concern one row": lambda session: session.execute(
        update(table).where(table.c.id >= bindparam("low")).values(age=bindparam("n")),
        [{"low": 1, "n": 5}, {"low": 2, "n": 6}],
    ),
    "a list of rows with one key twice": lambda session: session.execute(
        update(Person), [{"id": 1, "age": 5}, {"id": 1, "age": 6}]
    ),
    "the older method with one key twice": lambda session: session.bulk_update_mappings(
        Person, [{"id": 1, "age": 5}, {"id": 1, "age": 6}]
    ),
}
every_case = pytest.mark.parametrize("case", CASES)


def stored(session: Session) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(select(table.c.id, table.c.name, table.c.age).order_by("id"))]


@every_case
def test_refuse_sends_nothing(hooks: Hooks, session: Session, case: str) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "before", Person, bypass="refuse")
    with pytest.raises(BypassError, match="cannot be followed"):
        CASES[case](session)
    session.rollback()  # as after any error in the older methods
    assert stored(session) == [(1, "Anna", 30), (2, "Ben", 40)]
    assert log == []


@every_case
def test_warn_sends_it_and_runs_no_hook(hooks: Hooks, session: Session, case: str) -> None:
    people(session, Anna=30, Ben=40)
    logs = [logged(hooks, phase, Person) for phase in ("before", "check", "after", "after_commit")]
    with pytest.warns(UnhookedWriteWarning, match="cannot be followed"):
        CASES[case](session)
    session.commit()
    assert stored(session) != [(1, "Anna", 30), (2, "Ben", 40)]
    assert logs == [[], [], [], []]


@every_case
def test_allow_sends_it_without_a_word(hooks: Hooks, session: Session, case: str) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person, bypass="allow")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CASES[case](session)
    assert stored(session) != [(1, "Anna", 30), (2, "Ben", 40)]
    assert log == []


def test_parameter_sets_that_concern_different_rows_are_followed(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    statement = update(table).where(table.c.id == bindparam("which")).values(age=bindparam("n"))
    session.execute(statement, [{"which": 1, "n": 5}, {"which": 2, "n": 6}, {"which": 7, "n": 8}])
    assert len(log) == 2


def test_a_refused_statement_leaves_the_session_usable(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Person, bypass="refuse")
    with pytest.raises(BypassError):
        session.execute(delete(Person).prefix_with("/* x */"))
    session.execute(update(Person).values(age=31))
    session.commit()
    assert log == [("update", "Person", {"age": (30, 31)})]


def test_conditions_beside_a_list_of_rows(hooks: Hooks, session: Session) -> None:
    """They are followed as the statements that SQLAlchemy makes of them."""
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    session.execute(
        update(Person).where(Person.name != "Ben"),
        [{"id": 1, "age": 5}, {"id": 2, "age": 6}],
        execution_options={"synchronize_session": None},
    )
    assert log == [("update", "Person", {"age": (30, 5)})]


def test_conditions_with_parameters_of_many_executions(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    connection = session.connection()
    statement = update(table).where(table.c.name == bindparam("who")).values(age=table.c.age + bindparam("more"))
    connection.execute(statement, [{"who": "Anna", "more": 5}, {"who": "Ben", "more": 6}])
    assert log == [("update", "Person", {"age": (30, 35)}), ("update", "Person", {"age": (40, 46)})]
