"""A registration that became invalid is reported, and runs nothing; other writes go on."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hookline import BrokenRegistrationWarning
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations
from hookline.sqlalchemy import attach
from tests.registrations.conftest import House, house_on
from tests.registrations.schema import Base, Consignment

SPOILT = [
    ("callback = 'renamed'", "no callback 'renamed'"),
    ("target = 'gone.Model'", "no model or relation 'gone.Model'"),
    ("target = 'tests.registrations.schema:Consignment.gone'", "no model or relation"),
    ('condition = \'{"changed": ["gone"]}\'', "has no field 'gone'"),
    ("condition = '{'", "dict of one name"),
    ("condition = '{\"gone\": 1}'", "no condition 'gone' for data"),
    ("phase = 'gone'", "no phase 'gone'"),
    ("event = 'gone'", "no event 'gone'"),
    ('"key" = \'["seven"]\'', "is of type int"),
    ("\"key\" = '[1, 2]'", "The key of Consignment is id"),
    ("\"key\" = 'nonsense'", "is of type int"),
]


def spoil(engine: Engine, how: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE hookline_registration SET {how} WHERE id = 1")
        connection.exec_driver_sql("UPDATE hookline_registration_generation SET number = number + 1, stamp = 'by hand'")


def write(house: House, number: int) -> list[Any]:
    with house.sessions() as session:
        session.add(Consignment(id=number))
        session.commit()
    return house.taken()


@pytest.mark.parametrize(("how", "says"), SPOILT)
def test_it_is_reported_once_and_runs_nothing(
    house: House,
    registrations: DatabaseRegistrations,
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
    how: str,
    says: str,
) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    registrations.add("whisper", "after", "insert", Consignment)
    spoil(engine, how)
    with caplog.at_level(logging.WARNING), pytest.warns(BrokenRegistrationWarning, match=says) as caught:
        assert write(house, 1) == [("whisper", 1)]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert says in caplog.text
    assert [(one.registration.id, says in one.reason) for one in registrations.problems()] == [(1, True)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write(house, 2) == [("whisper", 2)]
        registrations.add("whisper", "after", "update", Consignment)  # the number moves
        assert write(house, 3) == [("whisper", 3)]


def test_disabled_it_is_listed_but_troubles_nobody(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "insert", Consignment, enabled=False)
    spoil(engine, "callback = 'renamed'")
    assert write(house, 1) == []
    assert len(registrations.problems()) == 1


def test_it_can_be_removed(house: House, registrations: DatabaseRegistrations, engine: Engine) -> None:
    registrations.add("listen", "after", "insert", Consignment, key=3)
    spoil(engine, "target = 'gone.Model'")
    registrations.disable(1)
    registrations.remove(1)
    assert registrations.list() == []
    assert registrations.problems() == []


def test_a_callback_that_is_marked_later_makes_it_whole(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    first, second = house_on(engine), house_on(engine)
    for house in (first, second):
        made = DatabaseRegistrations(engine)
        made.create_tables()
        house.hooks.use(made)
    with attach(first.hooks, first.sessions):
        first.hooks.callback(lambda change: first.heard.append("late"), name="late")
        next(iter(first.hooks.sources.all)).add("late", "after", "insert", Consignment)
    with attach(second.hooks, second.sessions):
        with pytest.warns(BrokenRegistrationWarning, match="no callback 'late'"):
            write(second, 1)
        second.hooks.callback(lambda change: second.heard.append("late"), name="late")
        assert write(second, 2) == ["late"]


def test_a_model_that_is_mapped_later_makes_it_whole(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    name = f"Later_{engine.dialect.name}"
    spoil(engine, f"target = '{__name__}:{name}'")
    with pytest.warns(BrokenRegistrationWarning):
        write(house, 1)

    class Own(DeclarativeBase):
        pass

    later = type(
        name, (Own,),
        {"__tablename__": "later", "__module__": __name__, "__qualname__": name,
         "__annotations__": {"id": Mapped[int]}, "id": mapped_column(primary_key=True)},
    )  # fmt: skip
    Own.metadata.create_all(engine)
    with house.sessions() as session:
        session.add(later(id=9))
        session.commit()
    assert house.taken() == [("insert", 9)]


def test_a_class_that_has_moved_to_another_module_is_found_by_its_name(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    spoil(engine, "target = 'moved.away:Consignment'")
    assert write(house, 1) == [("insert", 1)]


def test_nothing_is_run_that_was_not_marked(house: House, registrations: DatabaseRegistrations, engine: Engine) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    spoil(engine, "callback = 'builtins.print'")
    with pytest.warns(BrokenRegistrationWarning, match="no callback 'builtins.print'"):
        write(house, 1)


def test_in_memory_it_is_refused_when_it_is_written(house: House) -> None:
    made = MemoryRegistrations()
    house.hooks.use(made)
    made.add("listen", "after", "insert", Consignment, when=json.loads('{"changed": ["status"]}'))
    assert made.problems() == []
