"""Who did what, and when; and finding registrations again."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.registrations.conftest import House
from tests.registrations.schema import Consignment, Express, Seat


def test_each_step_is_written_down(house: House, either: Any) -> None:
    one = either.add("listen", "after", "insert", Consignment, key=3, by="alice")
    either.disable(one, by="bob")
    either.enable(one, by="carol")
    either.change(one, when={"changed": ["status"]}, order=3, category="c", by="dave")
    either.remove(one, by="eve")
    entries = either.history(one)
    assert [(entry.action, entry.by) for entry in entries] == [
        ("added", "alice"), ("disabled", "bob"), ("enabled", "carol"), ("changed", "dave"), ("removed", "eve"),
    ]  # fmt: skip
    assert [entry.registration.enabled for entry in entries] == [True, False, True, True, True]
    assert entries[0].registration == one
    assert (entries[3].registration.when, entries[3].registration.order) == ({"changed": ["status"]}, 3)
    now = dt.datetime.now(dt.UTC)
    assert all(now - dt.timedelta(minutes=1) < entry.at <= now + dt.timedelta(seconds=5) for entry in entries)


def test_a_registration_knows_who_changed_it_last(either: Any) -> None:
    one = either.add("listen", "after", "insert", Consignment, by="alice")
    assert (one.created_by, one.changed_by, one.changed_at) == ("alice", None, None)
    changed = either.disable(one, by="bob")
    assert changed == either.get(one.id)
    assert (changed.created_by, changed.created_at, changed.changed_by) == ("alice", one.created_at, "bob")
    assert changed.changed_at is not None


def test_what_changes_nothing_is_not_written_down(either: Any) -> None:
    one = either.add("listen", "after", "insert", Consignment)
    either.enable(one)
    either.change(one, order=0)
    assert [entry.action for entry in either.history()] == ["added"]


def test_numbers_are_never_used_again(either: Any) -> None:
    either.remove(either.add("listen", "after", "insert", Consignment))
    assert either.add("listen", "after", "insert", Consignment).id == 2


def test_registrations_are_found_by_callback_target_and_object(house: House, either: Any) -> None:
    a = either.add("listen", "after", "insert", Consignment)
    b = either.add("whisper", "after", "insert", Consignment, key=1)
    c = either.add("whisper", "after", "insert", Seat, key=("A", 1))
    d = either.add("listen", "after", "insert", Express, key=1)
    assert either.list() == [a, b, c, d]
    assert either.list(callback="listen") == [a, d]
    assert either.list(callback=house.hooks.callbacks.named("whisper")) == [b, c]
    assert either.list(target=Consignment) == [a, b]
    assert either.list(target="Seat") == [c]
    assert either.list(instance=(Consignment, 1)) == [b, d]  # the same row, under both of its classes
    assert either.list(target=Seat, key=("A", 1)) == [c]
    assert either.list(target=Consignment, key=2) == []
