"""``Query.update``, ``Query.delete``, and the older bulk methods of a session."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Person, people

__all__ = ["Base"]


def stored(session: Session) -> list[tuple[Any, ...]]:
    table: Any = Person.__table__
    return [tuple(row) for row in session.execute(select(table.c.name, table.c.age, table.c.email).order_by("id"))]


def test_query_update(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    log = logged(hooks, "after", Person)
    assert session.query(Person).filter(Person.age > 35).update({Person.age: Person.age + 1}) == 1
    assert session.query(Person).filter_by(name="Anna").update({"age": 3}, synchronize_session="fetch") == 1
    assert log == [("update", "Person", {"age": (40, 41)}), ("update", "Person", {"age": (30, 3)})]


def test_query_update_with_edits(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["age"] += change.key

    assert session.query(Person).update({"age": 5}) == 2
    assert [age for _, age, _ in stored(session)] == [6, 7]


def test_bulk_insert_mappings(hooks: Hooks, session: Session) -> None:
    @hooks.before("insert", Person)
    def edit(change: Change[Person]) -> None:
        change.new["name"] = change.new["name"].strip()

    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    session.bulk_insert_mappings(Person, [{"name": " Anna"}, {"name": "Ben", "age": 3}])  # type: ignore[arg-type]
    assert stored(session) == [("Anna", 0, None), ("Ben", 3, None)]
    session.commit()
    told = [{"age": 0, "id": 1, "name": "Anna", "rank": 7}, {"age": 3, "id": 2, "name": "Ben", "rank": 7}]
    assert [row[2] for row in log] == [row[2] for row in net] == told


def test_bulk_insert_mappings_gives_the_keys_back(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    rows: list[dict[str, Any]] = [{"name": "Anna"}, {"name": "Ben"}]
    session.bulk_insert_mappings(Person, rows, return_defaults=True)  # type: ignore[arg-type]
    assert [row["id"] for row in rows] == [1, 2]
    assert [row[2]["id"] for row in log] == [1, 2]


def test_bulk_insert_mappings_with_render_nulls(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    rows = [{"name": "Anna", "email": None}, {"name": "Ben", "email": "b@c"}]
    session.bulk_insert_mappings(Person, rows, render_nulls=True)  # type: ignore[arg-type]
    assert stored(session) == [("Anna", 0, None), ("Ben", 0, "b@c")]
    assert [row[2].get("email") for row in log] == [None, "b@c"]


def test_bulk_update_mappings(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        change.new["email"] = f"{change.new['name']}@x"

    log = logged(hooks, "after", Person)
    session.bulk_update_mappings(Person, [{"id": 1, "age": 31}, {"id": 2, "age": 40}])  # type: ignore[arg-type]
    assert stored(session) == [("Anna", 31, "Anna@x"), ("Ben", 40, None)]
    assert log == [("update", "Person", {"age": (30, 31), "email": (None, "Anna@x")})]


def test_bulk_save_objects_inserts_and_updates(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    session.expunge(anna)
    anna.age = 31
    log, net = logged(hooks, "after", Person), committed(hooks, Person)
    session.bulk_save_objects([anna, Person(name="Ben", id=2), Person(name="Cleo", id=3)])
    session.commit()
    assert stored(session) == [("Anna", 31, None), ("Ben", 0, None), ("Cleo", 0, None)]
    assert log == [
        ("update", "Person", {"age": (30, 31)}),
        ("insert", "Person", {"age": 0, "id": 2, "name": "Ben", "rank": 7}),
        ("insert", "Person", {"age": 0, "id": 3, "name": "Cleo", "rank": 7}),
    ]
    assert len(net) == 3


def test_bulk_save_objects_gives_the_keys_back(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Person)
    anna, ben = Person(name="Anna"), Person(name="Ben")
    session.bulk_save_objects([anna, ben], return_defaults=True)
    assert (anna.id, ben.id) == (1, 2)
    assert len(log) == 2


@pytest.mark.parametrize("changed_only", [True, False])
def test_bulk_save_objects_with_update_changed_only(hooks: Hooks, session: Session, changed_only: bool) -> None:
    people(session, Anna=30)
    anna = session.get_one(Person, 1)
    session.expunge(anna)
    session.query(Person).update({"name": "Ann"})
    anna.age = 31
    log = logged(hooks, "after", Person)
    session.bulk_save_objects([anna], update_changed_only=changed_only)
    assert stored(session) == [("Ann" if changed_only else "Anna", 31, None)]
    fields: dict[str, Any] = {"age": (30, 31)} if changed_only else {"age": (30, 31), "name": ("Ann", "Anna")}
    assert log == [("update", "Person", fields)]


def test_refusals_of_the_older_methods_send_nothing(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)

    @hooks.check("save", Person)
    def refuse(change: Change[Person]) -> None:
        raise ValidationError(change.entity, {"": "no"})

    for save in (
        lambda: session.bulk_insert_mappings(Person, [{"name": "Ben"}]),  # type: ignore[arg-type]
        lambda: session.bulk_update_mappings(Person, [{"id": 1, "age": 5}]),  # type: ignore[arg-type]
        lambda: session.bulk_save_objects([Person(name="Ben")]),
    ):
        with pytest.raises(ValidationError):
            save()
    assert stored(session) == [("Anna", 30, None)]


def test_constraints_of_the_older_methods_are_told_by_field(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    hooks.add(lambda change: None, "check", "save", Person, name="nothing")
    with pytest.raises(ValidationError) as caught:
        session.bulk_insert_mappings(Person, [{"id": 2, "name": "Ben", "age": 200}])  # type: ignore[arg-type]
    assert [(one.field, one.code) for one in caught.value.problems] == [("age", "check")]
