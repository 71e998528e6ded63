"""Registrations of an object go with it, in the same transaction; those of an object whose key changes follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from hookline.registrations import DatabaseRegistrations
from tests.registrations.conftest import House
from tests.registrations.schema import Consignment, Express, Seat


def by_session(session: Session) -> None:
    session.delete(session.get_one(Consignment, 1))


def by_criteria(session: Session) -> None:
    session.execute(delete(Consignment).where(Consignment.id == 1))


def by_core(session: Session) -> None:
    table: Any = Consignment.__table__
    session.connection().execute(delete(table).where(table.c.id == 1))


def by_query(session: Session) -> None:
    session.query(Consignment).filter_by(id=1).delete()


def add_two(house: House) -> None:
    with house.sessions() as session:
        session.add_all([Consignment(id=1), Express(id=2), Seat(hall="A", number=1)])
        session.commit()


@pytest.mark.parametrize("door", [by_session, by_criteria, by_core, by_query])
def test_a_deleted_object_takes_its_registrations_with_it(
    house: House, either: Any, door: Callable[[Session], None]
) -> None:
    add_two(house)
    gone = [either.add("listen", "after", "update", Consignment, key=1, enabled=on) for on in (True, False)]
    kept = [
        either.add("listen", "after", "update", Consignment, key=2),
        either.add("listen", "after", "update", Consignment),
        either.add("listen", "after", "update", Seat, key=("A", 1)),
    ]
    with house.sessions() as session:
        door(session)
        session.commit()
    assert either.list() == kept
    entries = [entry for entry in either.history() if entry.action == "removed"]
    assert [(entry.registration, entry.by, entry.why) for entry in entries] == [
        (one, None, "its object was deleted") for one in gone
    ]


def test_a_registration_hears_of_the_deletion_that_ends_it(house: House, either: Any) -> None:
    add_two(house)
    for phase in ("before", "after", "before_commit", "after_commit"):
        either.add("listen", phase, "delete", Consignment, key=1)
    with house.sessions() as session:
        by_session(session)
        session.commit()
    assert house.taken() == [("delete", 1)] * 4
    assert either.list() == []


def test_an_object_that_is_not_deleted_in_the_end_keeps_them(house: House, either: Any) -> None:
    add_two(house)
    one = either.add("listen", "after", "update", Consignment, key=1)
    with house.sessions() as session:
        by_session(session)
        session.rollback()
        with session.begin_nested() as savepoint:
            by_session(session)
            session.flush()
            savepoint.rollback()
        session.commit()
    assert either.list() == [one]


def test_the_registrations_of_an_object_of_a_subclass_go_under_whichever_class_they_were_added(
    house: House, either: Any
) -> None:
    add_two(house)
    either.add("listen", "after", "update", Consignment, key=2)
    either.add("listen", "after", "update", Express, key=2)
    with house.sessions() as session:
        session.delete(session.get_one(Express, 2))
        session.commit()
    assert either.list() == []


def test_keys_of_several_columns(house: House, either: Any) -> None:
    add_two(house)
    either.add("listen", "after", "update", Seat, key=("A", 1))
    with house.sessions() as session:
        session.delete(session.get_one(Seat, ("A", 1)))
        session.commit()
    assert either.list() == []


def test_registrations_follow_an_object_whose_key_changes(house: House, either: Any) -> None:
    add_two(house)
    one = either.add("listen", "after", "update", Seat, key=("A", 1))
    with house.sessions() as session:
        session.get_one(Seat, ("A", 1)).number = 2
        session.commit()
        assert house.taken() == [("update", ("A", 2))]
        session.execute(update(Seat).values(taken=True))
        session.commit()
        assert house.taken() == [("update", ("A", 2))]
    assert either.get(one.id).key == ("A", 2)
    assert [entry.action for entry in either.history(one)] == ["added", "moved"]


def test_they_go_in_the_transaction_itself(house: House, registrations: DatabaseRegistrations) -> None:
    add_two(house)
    registrations.add("listen", "after", "update", Consignment, key=1)
    seen = []

    @house.hooks.before_commit("delete", Consignment, order=99)
    def look(change: Any, session: Session) -> None:
        seen.append(len(registrations.list(session=session)))

    with house.sessions() as session:
        by_session(session)
        session.flush()
        assert len(registrations.list(session=session)) == 1
        session.commit()
    assert seen == [0]
