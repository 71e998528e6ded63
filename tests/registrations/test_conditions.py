"""Conditions as data mean what those of code mean, with values of the fields' types."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pytest

from hookline import Condition, ConditionDataError, DuplicateHookError, Hooks, becomes
from hookline.registrations import About, MemoryRegistrations, data_condition
from hookline.registrations.binding import Binder
from tests.registrations.conftest import House
from tests.registrations.schema import Consignment, Speed


@data_condition("arrives at")
def arrives(given: Any, about: About) -> Condition:
    if not isinstance(given, str):
        raise ConditionDataError(f"'arrives at' takes a state, not {given!r}.")
    return becomes("status", about.value("status", given))


SENT = {"becomes": {"status": "sent"}}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"changed": ["status"]}, True),
        ({"changed": "status"}, True),
        ({"changed": ["due", "speed", "price"]}, True),
        ({"changed": ["kind", "carrier_id"]}, False),
        ({"changed": ["kind", "carrier_id", "status"]}, True),
        ({"was": {"status": "packed"}}, True),
        ({"was": {"status": "packed", "speed": "fast"}}, False),
        (SENT, True),
        ({"becomes": {"status": "sent", "speed": "fast"}}, True),
        ({"becomes": {"speed": "F"}}, True),
        ({"becomes": {"due": "2025-01-31"}}, True),
        ({"becomes": {"due": dt.date(2025, 1, 31)}}, True),
        ({"becomes": {"price": "9.5"}}, True),
        ({"becomes": {"price": 9.5}}, True),
        ({"becomes": {"price": decimal.Decimal("9.50")}}, True),
        ({"was": {"price": None}}, True),
        ({"from_user": True}, True),
        ({"from_user": False}, False),
        ({"not": SENT}, False),
        ({"all": [SENT, {"from_user": True}]}, True),
        ({"all": [SENT, {"from_user": False}]}, False),
        ({"any": [{"not": SENT}, {"from_user": True}]}, True),
        ({"arrives at": "sent"}, True),
        ({"not": {"arrives at": "lost"}}, True),
    ],
)
def test_conditions_hold_or_not(house: House, either: Any, when: Any, holds: bool) -> None:
    one = either.add("listen", "after", "update", Consignment, when=when)
    assert either.get(one.id).when == one.when
    with house.sessions() as session:
        box = Consignment(id=1)
        session.add(box)
        session.commit()
        box.status, box.speed = "sent", Speed.fast
        box.due, box.price = dt.date(2025, 1, 31), decimal.Decimal("9.5")
        session.commit()
    assert house.taken() == ([("update", 1)] if holds else [])


def test_a_name_for_data_is_given_once() -> None:
    with pytest.raises(DuplicateHookError, match="condition 'changed' for data already"):
        data_condition("changed")(lambda given, about: becomes("status", given))


def test_a_condition_of_somebody_elses_refuses_what_it_cannot_read(house: House) -> None:
    made = MemoryRegistrations()
    house.hooks.use(made)
    with pytest.raises(ConditionDataError, match="'arrives at' takes a state, not 5"):
        made.add("listen", "after", "update", Consignment, when={"arrives at": 5})


def test_conditions_are_explained_like_those_of_code(house: House) -> None:
    made = MemoryRegistrations()
    house.hooks.use(made)
    made.add("listen", "after", "update", Consignment, key=4, when=SENT)
    made.add("whisper", "after", "update", Consignment, key=5)
    change = {"old": {"status": "packed"}, "new": {"status": "lost"}}
    said = house.hooks.explain("update", Consignment, phase="after", key=4, **change)
    (line,) = [one for one in said if one.reasons[1:]]
    assert str(line) == (
        "does not run: hook 'listen #1' (after)\n    update of Consignment 4\n"
        "    does not hold: becomes('status', 'sent') (status: 'packed' -> 'lost')"
    )
    assert house.hooks.explain("update", Consignment, phase="after", key=5, **change).runs == ["whisper #2"]
    unasked = str(house.hooks.explain("update", Consignment, phase="after", **change))
    assert (
        "hook 'listen #1 and 1 more' (after)\n    for single objects, and no key was given: explain(..., key=...)"
        in unasked
    )


def test_a_binder_knows_when_what_was_broken_may_be_whole() -> None:
    hooks = Hooks()
    binder = Binder(hooks)
    before = binder.epoch
    hooks.callback(print)
    assert binder.epoch != before
