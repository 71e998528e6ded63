"""What is registered runs: per class, per object, in each phase, on each event that it names."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from hookline import ValidationError
from hookline.core.events import COMMIT_PHASES, PHASES
from tests.registrations.conftest import House
from tests.registrations.schema import Carrier, Consignment, Express, Seat, Token


@pytest.mark.parametrize("phase", [one for one in PHASES if one not in ("after_rollback", "durable")])
def test_a_registration_for_a_class_runs_in_its_phase(house: House, either: Any, phase: str) -> None:
    either.add("listen", phase, "save", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        if phase in COMMIT_PHASES:
            session.flush()
            assert house.taken() == []
        session.commit()
    assert [event for event, _ in house.taken()] == ["insert"]


def test_a_registration_after_a_rollback_runs_after_a_rollback(house: House, either: Any) -> None:
    either.add("listen", "after_rollback", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.flush()
        session.rollback()
    assert house.taken() == [("insert", 1)]


def test_a_registration_for_a_class_counts_for_subclasses(house: House, either: Any) -> None:
    either.add("listen", "after", "insert", Consignment)
    either.add("whisper", "after", "insert", Express)
    with house.sessions() as session:
        session.add(Express(id=1))
        session.commit()
        session.add(Consignment(id=2))
        session.commit()
    assert house.taken() == [("insert", 1), ("whisper", 1), ("insert", 2)]


@pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit", "after_commit"])
def test_a_registration_for_an_object_runs_for_that_object_only(house: House, either: Any, phase: str) -> None:
    with house.sessions() as session:
        boxes = [Consignment(), Express(), Consignment()]
        session.add_all(boxes)
        session.commit()
        either.add("listen", phase, "update", instance=boxes[1])
        for box in boxes:
            box.status = "sent"
        session.commit()
        assert house.taken() == [("update", boxes[1].id)]


def test_an_object_may_be_given_by_class_and_key(house: House, either: Any) -> None:
    either.add("listen", "after", "update", instance=(Consignment, 2))
    either.add("whisper", "after", "update", Consignment, key=1)
    with house.sessions() as session:
        boxes = [Consignment(id=number) for number in (1, 2, 3)]
        session.add_all(boxes)
        session.commit()
        for box in boxes:
            box.status = "sent"
        session.commit()
    assert sorted(house.taken()) == [("update", 2), ("whisper", 1)]


@pytest.mark.parametrize("given", [("A", 7), {"number": 7, "hall": "A"}])
def test_a_key_may_have_several_columns(house: House, either: Any, given: Any) -> None:
    either.add("listen", "after", "update", Seat, key=given)
    with house.sessions() as session:
        seats = [Seat(hall=hall, number=7) for hall in "AB"]
        session.add_all(seats)
        session.commit()
        for seat in seats:
            seat.taken = True
        session.commit()
    assert house.taken() == [("update", ("A", 7))]


def test_a_key_may_be_of_a_type_that_json_does_not_know(house: House, either: Any) -> None:
    with house.sessions() as session:
        tokens = [Token(), Token()]
        session.add_all(tokens)
        session.commit()
        one = either.add("listen", "after", "update", instance=tokens[0])
        assert one.key == ({"$uuid": str(tokens[0].id)},)
        for token in tokens:
            token.used = True
        session.commit()
        assert house.taken() == [("update", tokens[0].id)]
        assert either.list(instance=(Token, tokens[0].id)) == [one]
        assert either.list(instance=(Token, uuid.uuid4())) == []


def test_bulk_statements_are_followed_by_row(house: House, either: Any) -> None:
    either.add("listen", "after", "write", Consignment, key=2)
    with house.sessions() as session:
        session.execute(insert(Consignment), [{"id": number} for number in (1, 2, 3)])
        session.execute(update(Consignment).values(status="sent"))
        session.execute(delete(Consignment))
        session.commit()
    assert house.taken() == [("insert", 2), ("update", 2), ("delete", 2)]


def test_a_callback_that_takes_changes_gets_all_of_a_round(house: House, either: Any) -> None:
    either.add("listen to all", "after", "insert", Consignment)
    with house.sessions() as session:
        session.add_all([Consignment(id=1), Consignment(id=2)])
        session.commit()
    assert house.taken() == [[("insert", 1), ("insert", 2)]]


def test_a_registration_may_be_about_links(house: House, either: Any) -> None:
    either.add("listen", "after", "link", Consignment.carrier)
    named = either.add("whisper", "after", "link", "Consignment.carrier")
    assert named.target == "tests.registrations.schema:Consignment.carrier"
    with house.sessions() as session:
        session.add(Consignment(id=1, carrier=Carrier(id=5, name="Post")))
        session.commit()
    assert house.taken() == [("link", (1, 5)), ("whisper", (1, 5))]


def test_a_registration_edits_and_refuses_like_any_hook(house: House, either: Any) -> None:
    @house.hooks.callback
    def tidy(change: Any) -> None:
        change.new["status"] = change.new["status"].strip()

    @house.hooks.callback
    def refuse(change: Any) -> None:
        if change.new["status"] == "lost":
            raise ValidationError(change.entity, {"status": "nothing gets lost here"})

    with house.sessions() as session:
        box = Consignment()
        session.add(box)
        session.commit()
        either.add(tidy, "before", "update", instance=box)
        either.add(refuse, "check", "update", instance=box)
        box.status = " sent "
        session.commit()
        assert box.status == "sent"
        box.status = " lost "
        with pytest.raises(ValidationError, match="nothing gets lost"):
            session.commit()


def test_order_holds_among_code_and_registrations(house: House, either: Any) -> None:
    @house.hooks.after("insert", Consignment, order=5)
    def in_code(change: Any) -> None:
        house.heard.append("in code")

    either.add("listen", "after", "insert", Consignment, order=9)
    either.add("whisper", "after", "insert", Consignment, key=1, order=1)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    assert house.taken() == [("whisper", 1), "in code", ("insert", 1)]


def test_a_category_switches_registrations_off(house: House, either: Any) -> None:
    either.add("listen", "after", "insert", Consignment, category="notification")
    either.add("whisper", "after", "insert", Consignment, key=1, category="notification")
    with house.sessions() as session, house.hooks.allow_all_but("notification"):
        session.add(Consignment(id=1))
        session.commit()
    assert house.taken() == []


def test_disabled_does_not_run_until_it_is_enabled(house: House, either: Any) -> None:
    one = either.add("listen", "after", "insert", Consignment, enabled=False)
    with house.sessions() as session:
        for number, switch in ((1, None), (2, either.enable), (3, either.disable)):
            if switch is not None:
                switch(one)
            session.add(Consignment(id=number))
            session.commit()
    assert house.taken() == [("insert", 2)]


def test_changed_is_obeyed_as_it_is_now(house: House, either: Any) -> None:
    one = either.add("listen", "after", "insert", Consignment, when={"becomes": {"status": "sent"}})
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
        either.change(one, when=None)
        session.add(Consignment(id=2))
        session.commit()
        either.remove(one)
        session.add(Consignment(id=3))
        session.commit()
    assert house.taken() == [("insert", 2)]


def test_a_hook_of_a_registration_has_a_name_that_others_see(house: House, either: Any) -> None:
    either.add("listen", "after", "insert", Consignment)
    either.add("whisper", "after", "insert", Consignment, key=1)
    with house.sessions() as session, house.hooks.trace() as trace:
        session.add(Consignment(id=1))
        session.commit()
    assert [call.hook.name for call in trace] == ["listen #1", "whisper #2"]
    assert house.hooks["whisper #2"].phase == "after"


def test_what_a_registration_writes_names_it_as_the_cause(house: House, either: Any) -> None:
    @house.hooks.callback
    def follow_up(change: Any, session: Any) -> None:
        session.add(Carrier(id=change.key, name="made"))

    causes = []

    @house.hooks.after("insert", Carrier)
    def listen(change: Any) -> None:
        causes.append((change.cause.name, change.depth))

    either.add("follow_up", "after", "insert", Consignment, key=1)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    assert causes == [("follow_up #1", 1)]


def test_writes_of_a_class_that_only_registrations_concern_are_followed(house: House, either: Any) -> None:
    seen = []

    @house.hooks.callback
    def look(change: Any, tx: Any) -> None:
        seen.append([one.key for one in tx.changes(Consignment)])

    either.add("look", "after", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    assert seen == [[1]]
