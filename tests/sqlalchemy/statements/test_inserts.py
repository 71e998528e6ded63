"""INSERT of given rows: with keys, defaults, and what the database fills in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Line, Person, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]

ANNA = ("insert", "Person", {"age": 3, "id": 1, "name": "Anna", "rank": 7})
BEN = ("insert", "Person", {"age": 0, "id": 2, "name": "Ben", "rank": 7})


def as_many_as_sqlalchemy_needs(session: Session, rows: int = 2) -> int:
    """To tell the keys of several rows in their order; it does not trust SQLite with that."""
    return 1 if session.get_bind().dialect.name == "postgresql" else rows


@every_way
def test_one_row_by_values(hooks: Hooks, session: Session, way: str) -> None:
    before, after, net = logged(hooks, "before", Person), logged(hooks, "after", Person), committed(hooks, Person)
    result = send(session, way, insert(target(way, Person)).values(name="Anna", age=3))
    assert tuple(result.inserted_primary_key) == (1,)
    assert result.rowcount == 1
    session.commit()
    assert before == [("insert", "Person", {"age": 3, "name": "Anna"})]
    assert after == net == [ANNA]


@every_way
def test_many_rows_by_parameters(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    session.connection()
    sent.clear()
    result = send(session, way, insert(target(way, Person)), [{"name": "Anna", "age": 3}, {"name": "Ben", "age": 0}])
    if way != "orm":
        assert result.rowcount == 2
    assert len(sent.writes) == as_many_as_sqlalchemy_needs(session)
    session.commit()
    assert log == [ANNA, BEN]
    assert net == [BEN, ANNA]


@every_way
def test_many_rows_by_values(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    log = logged(hooks, "after", Person)
    send(session, way, insert(target(way, Person)).values([{"name": "Anna", "age": 3}, {"name": "Ben", "age": 0}]))
    assert log == [ANNA, BEN]
    assert len(sent.writes) == as_many_as_sqlalchemy_needs(session)


@every_way
def test_rows_without_the_columns_that_have_defaults(hooks: Hooks, session: Session, way: str) -> None:
    check, after = logged(hooks, "check", Club), logged(hooks, "after", Club)
    send(session, way, insert(target(way, Club)), [{"name": "chess"}, {"name": "golf"}])
    assert check == [("insert", "Club", {"name": "chess", "size": 0}), ("insert", "Club", {"name": "golf", "size": 0})]
    assert [row[2]["id"] for row in after] == [1, 2]


@every_way
@pytest.mark.parametrize("several", [False, True])
def test_returning_gives_the_user_what_was_asked_for(hooks: Hooks, session: Session, way: str, several: bool) -> None:
    log = logged(hooks, "after", Person)
    rows = [{"name": "Anna", "age": 3}, {"name": "Ben", "age": 0}]
    statement = insert(target(way, Person)).returning(Person.name, Person.rank)
    found = send(session, way, statement, rows if several else rows[0]).all()
    assert sorted(found) == ([("Anna", 7), ("Ben", 7)] if several else [("Anna", 7)])
    assert log == ([ANNA, BEN] if several else [ANNA])


@every_way
def test_returning_of_multi_values(hooks: Hooks, session: Session, way: str) -> None:
    log = logged(hooks, "after", Person)
    statement = insert(target(way, Person)).values([{"name": "Anna", "age": 3}, {"name": "Ben", "age": 0}])
    found = send(session, way, statement.returning(Person.id, Person.name)).mappings().all()
    assert [dict(row) for row in found] == [{"id": 1, "name": "Anna"}, {"id": 2, "name": "Ben"}]
    assert log == [ANNA, BEN]


def test_returning_entities_in_the_order_of_the_parameters(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    rows = [{"name": f"p{n}", "age": n} for n in range(20)]
    found = session.scalars(insert(Person).returning(Person, sort_by_parameter_order=True), rows).all()
    assert [one.name for one in found] == [row[2]["name"] for row in log] == [f"p{n}" for n in range(20)]
    assert all(one in session for one in found)
    assert [one.id for one in found] == [row[2]["id"] for row in log]


@every_way
def test_values_that_the_database_computes(hooks: Hooks, session: Session, way: str) -> None:
    log = logged(hooks, "after", Person)
    send(session, way, insert(target(way, Person)).values(name=func.lower("ANNA"), age=literal(1) + 2))
    assert [(row[2]["name"], row[2]["age"]) for row in log] == [("anna", 3)]


def test_a_value_from_a_subquery(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    log = logged(hooks, "after", Club)
    count = select(func.count()).select_from(Person).scalar_subquery()
    session.execute(insert(Club).values(name="all", size=count))
    assert log == [("insert", "Club", {"id": 1, "name": "all", "size": 1})]


def test_different_expressions_in_rows_of_one_statement(hooks: Hooks, session: Session, sent: Sent) -> None:
    log = logged(hooks, "after", Club)
    session.execute(
        insert(Club.__table__).values([{"name": func.lower("A"), "size": 1}, {"name": func.upper("b"), "size": 2}])  # type: ignore[arg-type]
    )
    assert [(row[2]["name"], row[2]["size"]) for row in log] == [("a", 1), ("B", 2)]
    assert len(sent.writes) == 1


def test_values_by_position(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Club)
    session.execute(insert(Club.__table__).values((4, "chess", 2)))  # type: ignore[arg-type]
    session.execute(insert(Club.__table__).values([(5, "golf", 3), (6, "go", 4)]))  # type: ignore[arg-type]
    assert [tuple(row[2].values()) for row in log] == [(4, "chess", 2), (5, "golf", 3), (6, "go", 4)]


def test_composite_keys(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Line)
    session.execute(insert(Line), [{"order_no": 1, "number": 1}, {"order_no": 1, "number": 2, "amount": 5}])
    assert [row[2] for row in log] == [
        {"amount": 1, "number": 1, "order_no": 1},
        {"amount": 5, "number": 2, "order_no": 1},
    ]


def test_rows_with_different_columns_by_the_orm(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    session.execute(insert(Person), [{"name": "Anna", "age": 3}, {"name": "Ben", "email": "b@c"}, {"name": "Cleo"}])
    assert [(row[2]["id"], row[2]["name"], row[2]["age"], row[2].get("email")) for row in log] == [
        (1, "Anna", 3, None),
        (2, "Ben", 0, "b@c"),
        (3, "Cleo", 0, None),
    ]


def test_sql_expressions_as_values_of_the_orm(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    rows = [{"name": "Anna"}, {"name": "Ben"}]
    session.execute(insert(Person).values(age=select(func.count()).select_from(Club).scalar_subquery() + 5), rows)
    assert [(row[2]["name"], row[2]["age"]) for row in log] == [("Anna", 5), ("Ben", 5)]


def test_empty_list_of_the_orm(hooks: Hooks, session: Session) -> None:
    logged(hooks, "after", Club)
    log = logged(hooks, "after", Person)
    session.bulk_insert_mappings(Person, [])  # type: ignore[arg-type]
    assert log == []


@every_way
def test_what_is_refused_is_not_sent_and_all_refusals_are_gathered(
    hooks: Hooks, session: Session, sent: Sent, way: str
) -> None:
    @hooks.check("insert", Person)
    def grown(change: Change[Person]) -> None:
        if change.new["age"] < 18:
            raise ValidationError(change.entity, {"age": f"{change.new['name']} is too young"})

    session.connection()
    sent.clear()
    rows = [{"name": "Anna", "age": 3}, {"name": "Ben", "age": 20}, {"name": "Cleo", "age": 4}]
    with pytest.raises(ValidationError) as caught:
        send(session, way, insert(target(way, Person)), rows)
    assert [str(problem.message) for problem in caught.value.problems] == ["Anna is too young", "Cleo is too young"]
    assert sent.writes == []
    assert session.scalars(select(Person)).all() == []


def test_check_hooks_of_server_defaults_run_as_soon_as_they_are_known(hooks: Hooks, session: Session) -> None:
    seen: list[Any] = []

    @hooks.check("insert", Person)
    def ranked(change: Change[Person]) -> None:
        seen.append((change.new["name"], change.new["rank"]))
        if change.new["rank"] == 7 and change.new["name"] == "Ben":
            raise ValidationError(change.entity, {"rank": "too high"})

    session.execute(insert(Person), [{"name": "Anna"}])
    assert seen == [("Anna", 7)]
    with pytest.raises(ValidationError), session.begin_nested():
        session.execute(insert(Person), [{"name": "Ben"}])
    assert session.scalars(select(Person.name)).all() == ["Anna"]


def test_rows_without_any_value(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "before", Club)

    @hooks.before("insert", Club)
    def named(change: Change[Club]) -> None:
        change.new["name"] = "nameless"

    session.execute(insert(Club))
    session.execute(insert(Club.__table__))  # type: ignore[arg-type]
    assert len(log) == 2
    assert session.scalars(select(Club.name)).all() == ["nameless", "nameless"]
