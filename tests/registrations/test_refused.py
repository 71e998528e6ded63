"""What cannot be is refused when it is written, and the message says what can be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine

from hookline import (
    ConditionDataError,
    DuplicateHookError,
    Hooks,
    RegistrationError,
    RegistrationStoreError,
    TargetError,
    UnknownArgumentError,
    UnknownCallbackError,
    UnknownEventError,
    UnknownFieldError,
    UnknownPhaseError,
    changed,
)
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations, Registration
from tests.registrations.conftest import House
from tests.registrations.schema import Consignment, Seat, Speed


@pytest.fixture
def made(house: House) -> MemoryRegistrations:
    made = MemoryRegistrations()
    house.hooks.use(made)
    return made


def test_callbacks_that_are_not_there(made: MemoryRegistrations) -> None:
    with pytest.raises(UnknownCallbackError, match=r"no callback 'lisen'\. Did you mean 'listen'\?"):
        made.add("lisen", "after", "insert", Consignment)


def test_functions_that_are_not_marked(made: MemoryRegistrations) -> None:
    def stranger(change: Any) -> None: ...

    with pytest.raises(UnknownCallbackError, match=r"stranger is not marked.*Write @hooks.callback"):
        made.add(stranger, "after", "insert", Consignment)
    with pytest.raises(UnknownCallbackError, match=r"no callback 'os\.system'"):
        made.add("os.system", "after", "insert", Consignment)


def test_a_hook_of_code_is_no_callback(house: House, made: MemoryRegistrations) -> None:
    @house.hooks.after("insert", Consignment)
    def in_code(change: Any) -> None: ...

    with pytest.raises(UnknownCallbackError):
        made.add("in_code", "after", "insert", Consignment)


def test_two_callbacks_of_one_name() -> None:
    hooks = Hooks()
    hooks.callback(len, name="one")
    hooks.callback(len, name="one")
    with pytest.raises(DuplicateHookError, match="callback 'one' already"):
        hooks.callback(max, name="one")
    with pytest.raises(UnknownCallbackError, match="marks a function"):
        hooks.callback("name")


@pytest.mark.parametrize(
    ("phase", "event", "error", "says"),
    [
        ("aftr", "insert", UnknownPhaseError, "Did you mean 'after'"),
        ("after", "insrt", UnknownEventError, "Did you mean 'insert'"),
    ],
)
def test_phases_and_events_that_are_not_there(
    made: MemoryRegistrations, phase: str, event: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        made.add("listen", phase, event, Consignment)


def test_targets_that_are_not_there(made: MemoryRegistrations) -> None:
    with pytest.raises(TargetError, match=r"no model or relation 'Consignmnt'\. Did you mean 'Consignment'"):
        made.add("listen", "after", "insert", "Consignmnt")
    with pytest.raises(TargetError, match="mapped class or a relation"):
        made.add("listen", "after", "insert", dict)
    with pytest.raises(TargetError, match="when=changed"):
        made.add("listen", "after", "insert", Consignment.carrier)
    with pytest.raises(RegistrationError, match="about something"):
        made.add("listen", "after", "insert")


def test_arguments_that_nobody_can_give(house: House, made: MemoryRegistrations) -> None:
    @house.hooks.callback
    def wrong(chnge: Any) -> None: ...

    with pytest.raises(UnknownArgumentError, match="Did you mean 'change'"):
        made.add("wrong", "after", "insert", Consignment)


@pytest.mark.parametrize(
    ("when", "error", "says"),
    [
        ({"changd": ["status"]}, ConditionDataError, "Did you mean 'changed'"),
        ({"changed": []}, ConditionDataError, "takes a list of fields"),
        ({"changed": ["status"], "from_user": True}, ConditionDataError, "'all'"),
        (["changed"], ConditionDataError, "dict of one name"),
        ({"was": "draft"}, ConditionDataError, "takes fields with their values"),
        ({"from_user": 1}, ConditionDataError, "true or false"),
        ({"all": []}, ConditionDataError, "list of conditions"),
        ({"not": {"any": [{"becomes": []}]}}, ConditionDataError, "'becomes' takes fields"),
        ({"changed": ["staus"]}, UnknownFieldError, "Did you mean 'status'"),
        ({"becomes": {"staus": "x"}}, UnknownFieldError, "Did you mean 'status'"),
        ({"becomes": {"status": 5}}, ConditionDataError, "Consignment.status is of type str, and 5 is not"),
        ({"becomes": {"due": "tomorrow"}}, ConditionDataError, "'tomorrow' cannot be read as date"),
        ({"becomes": {"speed": "quick"}}, ConditionDataError, "'quick' cannot be read as Speed"),
        (changed("status"), ConditionDataError, "is no data"),
    ],
)
def test_conditions_that_mean_nothing(made: MemoryRegistrations, when: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        made.add("listen", "after", "update", Consignment, when=when)
    assert made.list() == []


def test_conditions_on_fields_of_a_link(made: MemoryRegistrations) -> None:
    with pytest.raises(ConditionDataError, match="links have no fields"):
        made.add("listen", "after", "link", Consignment.carrier, when={"becomes": {"status": "sent"}})
    made.add("listen", "after", "link", Consignment.carrier, when={"not": {"from_user": True}})


@pytest.mark.parametrize(
    ("target", "instance", "key", "says"),
    [
        (Consignment, None, (1, 2), r"is \(id\), and \(1, 2\) has 2 of 1"),
        (Consignment, None, "one", "is of type int"),
        (Consignment, None, None, None),
        (Seat, None, "A", r"is \(hall, number\), and 'A' has 1 of 2"),
        (Seat, None, {"hall": "A"}, "is hall, number, not hall"),
        (Consignment, (Consignment, 1), 1, "instance= or key="),
        (Seat, (Consignment, 1), None, "Leave the target out"),
        (Consignment.carrier, None, 1, "Register for all objects"),
        (None, "a string", None, "no object that has a key"),
        (None, Consignment(), None, "no object that has a key"),
        (Consignment, None, object(), "cannot be kept as data"),
        (Consignment, None, dt.date(2025, 1, 1), "is of type int|cannot be read"),
    ],
)
def test_objects_that_are_none(made: MemoryRegistrations, target: Any, instance: Any, key: Any, says: str) -> None:
    if says is None:
        made.add("listen", "after", "update", target)
        return
    with pytest.raises(TargetError, match=says):
        made.add("listen", "after", "update", target, instance=instance, key=key)


def test_links_of_one_object(made: MemoryRegistrations) -> None:
    with pytest.raises(TargetError, match=r"Register for all objects, and let the callback look at `change.subject`"):
        made.add("listen", "after", "link", Consignment, key=1)


def test_orders_that_are_no_numbers(made: MemoryRegistrations) -> None:
    with pytest.raises(RegistrationError, match="whole number"):
        made.add("listen", "after", "insert", Consignment, order="first")  # type: ignore[arg-type]
    one = made.add("listen", "after", "insert", Consignment)
    with pytest.raises(RegistrationError, match="whole number"):
        made.change(one, order=1.5)  # type: ignore[arg-type]


def test_changes_to_what_cannot_be(made: MemoryRegistrations) -> None:
    one = made.add("listen", "after", "insert", Consignment)
    with pytest.raises(UnknownFieldError):
        made.change(one, when={"changed": ["nothing"]})
    assert made.get(one.id) == one


def test_numbers_that_are_not_there(house: House, either: Any) -> None:
    with pytest.raises(RegistrationError, match=r"no registration 7\. registrations.list"):
        either.get(7)
    one = either.add("listen", "after", "insert", Consignment)
    either.remove(one, by="bob")
    for method in (either.remove, either.enable, either.disable, either.change):
        with pytest.raises(RegistrationError, match="removed by bob"):
            method(one.id)


def test_registrations_that_no_rule_book_uses() -> None:
    with pytest.raises(RegistrationStoreError, match=r"Write hooks.use\(registrations\) first"):
        MemoryRegistrations().add("listen", "after", "insert", Consignment)


def test_rule_books_that_govern_no_sessions() -> None:
    hooks, made = Hooks(), MemoryRegistrations()
    hooks.use(made)
    hooks.callback(print, name="listen")
    with pytest.raises(RegistrationStoreError, match=r"Write attach\(hooks, SessionLocal\) first"):
        made.add("listen", "after", "insert", Consignment)


def test_registrations_of_another_rule_book(made: MemoryRegistrations) -> None:
    with pytest.raises(RegistrationStoreError, match="belong to the rule book 'hooks'"):
        Hooks("other").use(made)


def test_two_of_one_name_in_one_rule_book(house: House, made: MemoryRegistrations) -> None:
    house.hooks.use(made)
    with pytest.raises(RegistrationStoreError, match="name='other'"):
        house.hooks.use(MemoryRegistrations())
    other = MemoryRegistrations("other")
    house.hooks.use(other)
    names = [one.add("listen", "after", "insert", Consignment).name for one in (made, other)]
    assert names == ["listen #1", "listen other#1"]
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    assert house.taken() == [("insert", 1), ("insert", 1)]


def test_a_session_for_registrations_in_memory(house: House, made: MemoryRegistrations) -> None:
    with house.sessions() as session, pytest.raises(RegistrationStoreError, match="DatabaseRegistrations"):
        made.add("listen", "after", "insert", Consignment, session=session)


def test_tables_that_are_missing(house: House, engine: Engine) -> None:
    with pytest.raises(RegistrationStoreError, match=r"no table hookline_registration .*create_tables\(\)"):
        house.hooks.use(DatabaseRegistrations(engine))


def test_tables_that_are_outdated(house: House, engine: Engine) -> None:
    made = DatabaseRegistrations(engine)
    made.create_tables()
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hookline_registration_history DROP COLUMN why")
    with pytest.raises(RegistrationStoreError, match="hookline_registration_history is outdated: it has no why"):
        house.hooks.use(made)


def test_tables_of_another_version(registrations: DatabaseRegistrations, house: House, engine: Engine) -> None:
    registrations.add("listen", "after", "insert", Consignment)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE hookline_registration_generation SET version = 99")
    with pytest.raises(RegistrationStoreError, match="Update this program"):
        registrations.check()
    with house.sessions() as session, pytest.raises(RegistrationStoreError, match="version 99"):
        session.add(Consignment())
        session.commit()


def test_a_condition_may_be_given_with_python_values(made: MemoryRegistrations) -> None:
    one = made.add("listen", "after", "update", Consignment, when={"becomes": {"speed": Speed.fast}})
    assert isinstance(one, Registration)
    assert one.when == {"becomes": {"speed": "fast"}}
