"""Ten thousand registrations for objects of one class: a write looks at those of its own object."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from hookline import Condition
from hookline.registrations import About, DatabaseRegistrations, MemoryRegistrations, data_condition
from tests.registrations.conftest import House
from tests.registrations.schema import Consignment
from tests.registrations.sent import about_registrations, sent

MANY = 10_000
asked: list[Any] = []


class Counted(Condition):
    def __call__(self, change: Any) -> bool:
        asked.append(change.key)
        return True


@data_condition("counted")
def counted(given: Any, about: About) -> Condition:
    return Counted()


def fill(registrations: DatabaseRegistrations, engine: Engine) -> None:
    """Ten thousand rows like one that was added, but for their keys."""
    table = registrations.metadata.tables["hookline_registration"]
    with engine.begin() as connection:
        row = connection.execute(select(table)).mappings().one()
        rows = [{**row, "id": number, "key": f"[{number}]"} for number in range(2, MANY + 1)]
        connection.execute(insert(table), rows)


def write_some(house: House) -> None:
    with house.sessions() as session:
        boxes = [Consignment(id=number) for number in (5, MANY, MANY + 1)]
        session.add_all(boxes)
        session.commit()
        asked.clear()
        for box in boxes:
            box.status = "sent"
        session.commit()
    assert asked == [5, MANY]
    assert house.taken() == [("update", 5), ("update", MANY)]
    assert len(list(house.hooks.sources.known())) == MANY + 1  # and the one that cleans up
    assert len(house.hooks.known_plan.hooks) == 2


def test_each_change_asks_the_conditions_of_its_own_object_only(
    house: House, registrations: DatabaseRegistrations, engine: Engine
) -> None:
    registrations.add("listen", "after", "update", Consignment, key=1, when={"counted": True})
    fill(registrations, engine)
    write_some(house)


def test_in_memory_likewise(house: House) -> None:
    registrations = MemoryRegistrations()
    house.hooks.use(registrations)
    for number in range(1, MANY + 1):
        registrations.add("listen", "after", "update", Consignment, key=number, when={"counted": True})
    write_some(house)


@pytest.mark.parametrize("several", [50])
def test_one_more_does_not_read_all_of_them_again(
    house: House, registrations: DatabaseRegistrations, several: int
) -> None:
    engine = house.sessions.kw["bind"]
    with house.sessions() as session:
        for number in range(1, several):
            registrations.add("listen", "after", "update", Consignment, key=number, session=session)
        session.commit()
        session.add(Consignment(id=1))
        session.commit()
        before = house.hooks["listen #7"]
        registrations.add("listen", "after", "update", Consignment, key=several)
        with sent(engine) as statements:
            session.add(Consignment(id=2))
            session.commit()
        assert about_registrations(statements) == ["SELECT generation", "SELECT history", "SELECT registration"]
        assert house.hooks["listen #7"] is before
        assert f"listen #{several}" in [hook.name for hook in house.hooks.sources.known()]
