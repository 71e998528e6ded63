"""One number switches all processes: reading it is all that a transaction pays for."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, insert, select, text, update
from sqlalchemy.orm import Session

from hookline import Hooks, UnhookedWriteWarning
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations
from hookline.sqlalchemy import attach, transaction
from tests.registrations.conftest import House, house_on
from tests.registrations.schema import Base, Carrier, Consignment
from tests.registrations.sent import about_registrations, sent


def test_a_transaction_that_writes_asks_for_the_number_once(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
        with sent(engine) as statements:
            session.add(Carrier(id=1, name="Post"))
            session.flush()
            session.add(Consignment(id=2))
            session.flush()
            session.execute(update(Consignment).values(status="sent"))
            session.execute(insert(Carrier.__table__).values(id=2, name="Bird"))
            session.commit()
    assert about_registrations(statements) == ["SELECT generation"]


def test_rows_are_read_when_the_number_has_moved_and_only_those_that_changed(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "insert", Consignment)

    def write(number: int) -> list[str]:
        with house.sessions() as session, sent(engine) as statements:
            session.add(Consignment(id=number))
            session.commit()
        return about_registrations(statements)

    assert write(1) == ["SELECT generation", "SELECT registration"]
    assert write(2) == ["SELECT generation"]
    other = registrations.add("whisper", "after", "insert", Consignment)
    assert write(3) == ["SELECT generation", "SELECT history", "SELECT registration"]
    registrations.remove(other)
    house.taken()
    assert write(4) == ["SELECT generation", "SELECT history", "SELECT registration"]
    assert write(5) == ["SELECT generation"]
    assert house.taken() == [("insert", 4), ("insert", 5)]


def test_reading_asks_for_nothing(house: House, registrations: DatabaseRegistrations, engine: Engine) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    with house.sessions() as session, sent(engine) as statements:
        session.scalars(select(Consignment)).all()
        session.execute(text("SELECT count(*) FROM shipping")).all()
        session.get(Consignment, 1)
        transaction(session)
        session.commit()
    assert about_registrations(statements) == []


def test_without_registrations_in_a_database_nothing_is_asked(house: House, engine: Engine) -> None:
    made = MemoryRegistrations()
    house.hooks.use(made)
    made.add("listen", "after", "insert", Consignment)
    with house.sessions() as session, sent(engine) as statements:
        session.add(Consignment(id=1))
        session.commit()
    assert len(statements) == 1
    assert house.taken() == [("insert", 1)]


def test_a_rule_book_without_registrations_asks_for_nothing(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    house = house_on(engine)
    with attach(house.hooks, house.sessions), house.sessions() as session, sent(engine) as statements:
        session.add(Consignment(id=1))
        session.commit()
    assert len(statements) == 1


def test_a_transaction_goes_on_with_the_registrations_that_it_began_with(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    one = registrations.add("listen", "after_commit", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.flush()
        registrations.remove(one, session=session)
        registrations.add("whisper", "after", "insert", Consignment, session=session)
        session.add(Consignment(id=2))
        session.commit()
        assert house.taken() == [("insert", 1), ("insert", 2)]
        session.add(Consignment(id=3))
        session.commit()
        assert house.taken() == [("whisper", 3)]


def test_a_transaction_that_only_adds_a_registration_begins_with_what_was_there(
    house: House, registrations: DatabaseRegistrations
) -> None:
    with house.sessions() as session:
        registrations.add("listen", "after", "insert", Consignment, session=session)
        session.add(Consignment(id=1))
        session.commit()
        assert house.taken() == []
        session.add(Consignment(id=2))
        session.commit()
        assert house.taken() == [("insert", 2)]


def test_others_wait_for_the_next_transaction_too(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    if engine.dialect.name == "sqlite":
        return  # there is one writer at a time
    with house.sessions() as before, house.sessions() as after:
        before.add(Consignment(id=1))
        before.flush()
        registrations.add("listen", "after", "insert", Consignment)
        after.add(Consignment(id=2))
        after.commit()
        before.add(Consignment(id=3))
        before.commit()
        assert house.taken() == [("insert", 2)]
        before.add(Consignment(id=4))
        before.commit()
        assert house.taken() == [("insert", 4)]


def test_what_was_rolled_back_was_never_there(house: House, registrations: DatabaseRegistrations) -> None:
    with house.sessions() as session:
        registrations.add("listen", "after", "insert", Consignment, session=session)
        session.rollback()
        session.add(Consignment(id=1))
        session.commit()
    assert house.taken() == []
    assert registrations.list() == []
    assert registrations.history() == []


def test_a_savepoint_takes_its_registrations_with_it(house: House, registrations: DatabaseRegistrations) -> None:
    with house.sessions() as session:
        registrations.add("listen", "after", "insert", Consignment, session=session)
        with session.begin_nested() as savepoint:
            registrations.add("whisper", "after", "insert", Consignment, session=session)
            savepoint.rollback()
        session.commit()
        session.add(Consignment(id=1))
        session.commit()
    assert house.taken() == [("insert", 1)]
    assert [one.callback for one in registrations.list()] == ["listen"]


def test_what_was_rolled_back_by_others_leaves_nothing_behind(house: House, engine: Engine) -> None:
    """Sessions within a transaction of somebody else's see its registrations, and forget them."""
    made = DatabaseRegistrations(engine)
    made.create_tables()
    house.hooks.use(made)
    made.add("whisper", "after", "update", Consignment)

    def write(bind: Any, number: int) -> list[Any]:
        with Session(bind, join_transaction_mode="create_savepoint") as session, attach(house.hooks, session):
            session.add(Consignment(id=number))
            session.commit()
        return house.taken()

    with engine.connect() as connection:
        made.add("listen", "after", "insert", Consignment, session=connection)
        assert write(connection, 1) == [("insert", 1)]
        connection.rollback()
    made.add("listen to all", "after", "insert", Consignment)  # the same number again
    assert write(engine, 2) == [[("insert", 2)]]


def test_a_migration_that_made_empty_tables_is_enough(house: House, engine: Engine) -> None:
    made = DatabaseRegistrations(engine)
    made.metadata.create_all(engine)
    house.hooks.use(made)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
        made.add("listen", "after", "insert", Consignment)
        session.add(Consignment(id=2))
        session.commit()
    assert house.taken() == [("insert", 2)]


def test_the_tables_may_be_declared_among_those_of_the_application(engine: Engine) -> None:
    application = MetaData()
    made = DatabaseRegistrations(engine, metadata=application, table="bound")
    assert sorted(application.tables) == ["bound", "bound_generation", "bound_history"]
    made.create_tables()
    Hooks().use(made)


def test_raw_sql_that_goes_around_a_registration_is_known(house: House, registrations: DatabaseRegistrations) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    write = text("INSERT INTO shipping (id, kind, status) VALUES (1, 'normal', 'packed')")
    with house.sessions() as session:
        with pytest.warns(UnhookedWriteWarning, match="hook 'listen #1'"):
            session.execute(write)
        session.rollback()
