"""Callbacks bound at run time: for one object or for all, in memory or in the database, as django-river has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from hookline import ConditionDataError, Hooks, RegistrationError, WorkflowDefinitionError, WorkflowStoreError
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations
from hookline.workflow import Workflow
from tests.workflow.parcels import Mood, Parcel, Ticket, boss, courier, desk, nobody


@pytest.fixture(params=["memory", "database"])
def registrations(request: Any, engine: Engine, hooks: Hooks, sessions: Any) -> Any:
    if request.param == "memory":
        kept: Any = MemoryRegistrations()
    else:
        kept = DatabaseRegistrations(engine)
        kept.create_tables()
    hooks.use(kept)
    return kept


@pytest.fixture
def told(hooks: Hooks) -> list[Any]:
    calls: list[Any] = []

    @hooks.callback
    def river(workflow_object: Any, field_name: str, transition_approval: Any = None) -> None:
        calls.append((workflow_object.id, field_name, workflow_object.status, getattr(transition_approval, "by", None)))

    @hooks.callback
    def any_step(change: Any) -> None:
        calls.append((change.key, change.event, change.source, change.destination))

    return calls


def two(sessions: Any, act: Callable[[Any, Parcel, Parcel], None]) -> None:
    with sessions() as session:
        parcels = Parcel(id=1), Parcel(id=2)
        session.add_all(parcels)
        session.commit()
        act(session, *parcels)
        session.commit()


def test_a_callback_for_one_object(sessions: Any, shipping: Workflow, registrations: Any, told: list[Any]) -> None:
    def act(session: Any, one: Parcel, other: Parcel) -> None:
        shipping.of(one).hook_pre_transition("river")
        shipping.of(one).hook_post_transition("river", destination_state="sent")
        session.commit()
        for parcel in (one, other):
            shipping.of(parcel).approve(desk)
        shipping.of(one).approve(courier, to="returned")

    two(sessions, act)
    assert told == [(1, "status", "new", "1"), (1, "status", "sent", "1"), (1, "status", "sent", "2")]


def test_callbacks_for_all_with_states(sessions: Any, shipping: Workflow, registrations: Any, told: list[Any]) -> None:
    shipping.hook_post_transition("any_step", source_state="sent", destination_state="returned", by="ann")
    shipping.hook_post_complete("any_step")

    def act(session: Any, one: Parcel, other: Parcel) -> None:
        for parcel in (one, other):
            shipping.of(parcel).approve(desk)
        shipping.of(one).approve(courier, to="returned")
        shipping.of(other).jump_to("arrived")

    two(sessions, act)
    assert told == [(1, "transition", "sent", "returned"), (2, "complete", "sent", "arrived")]


def test_completion_of_one_object(sessions: Any, shipping: Workflow, registrations: Any, told: list[Any]) -> None:
    def act(session: Any, one: Parcel, other: Parcel) -> None:
        shipping.of(one).hook_pre_complete("any_step")
        shipping.of(one).hook_post_complete("any_step")
        session.commit()
        for parcel in (one, other):
            shipping.of(parcel).approve(desk)
            shipping.of(parcel).approve(courier, to="arrived")
            shipping.of(parcel).approve(boss)

    two(sessions, act)
    assert told == [(1, "complete", "sent", "arrived")] * 2


def test_they_go_with_their_object(sessions: Any, shipping: Workflow, registrations: Any, told: list[Any]) -> None:
    def act(session: Any, one: Parcel, other: Parcel) -> None:
        shipping.of(one).hook_post_transition("river")
        kept = shipping.of(other).hook_post_transition("river")
        session.commit()
        session.delete(one)
        session.commit()
        assert [row.id for row in registrations.list()] == [kept.id]

    two(sessions, act)


def test_data_says_which_states(sessions: Any, hooks: Hooks, tickets: Workflow, registrations: Any) -> None:
    calls: list[Any] = []
    hooks.callback(lambda change: calls.append(change.destination), name="note")
    registrations.add("note", "after", "transition", Ticket.mood, when={"enters": ["BUSY", "DONE"]})
    registrations.add("note", "after", "approve", Ticket.mood, when={"all": [{"leaves": "OPEN"}, {"approved_by": 9}]})
    tickets.hook_post_transition("note", source_state=Mood.BUSY)
    with sessions() as session:
        ticket = Ticket(project="a", number=1)
        session.add(ticket)
        for _ in range(3):
            tickets.of(ticket).approve(nobody)
        session.commit()
    assert calls == [Mood.BUSY, Mood.BUSY, Mood.DONE, Mood.DONE]


@pytest.mark.parametrize(
    "when, said",
    [
        ({"enters": "NOWHERE"}, "cannot be read as Mood"),
        ({"leaves": []}, "takes a value, or a list of them"),
        ({"approved_by": {"a": 1}}, "takes a value, or a list of them"),
    ],
)
def test_malformed_conditions_are_refused(
    hooks: Hooks, sessions: Any, registrations: Any, told: list[Any], when: Any, said: str
) -> None:
    with pytest.raises(ConditionDataError, match=said):
        registrations.add("any_step", "after", "transition", Ticket.mood, when=when)
    with pytest.raises(ConditionDataError, match="register for its field"):
        registrations.add("any_step", "after", "transition", Ticket, when={"enters": "OPEN"})


def test_where_a_callback_is_kept_must_be_clear(sessions: Any, hooks: Hooks, shipping: Workflow, told: Any) -> None:
    with pytest.raises(WorkflowStoreError, match="uses no registrations"):
        shipping.hook_post_transition("river")
    one, other = MemoryRegistrations(), MemoryRegistrations("other")
    hooks.use(one)
    hooks.use(other)
    with pytest.raises(WorkflowStoreError, match="several registrations"):
        shipping.hook_post_transition("river")
    with pytest.raises(WorkflowDefinitionError, match="Did you mean 'sent'"):
        shipping.hook_post_transition("river", destination_state="snet", registrations=other)
    shipping.hook_post_transition("river", registrations=other)
    assert [row.callback for row in other.list()] == ["river"]
    with pytest.raises(RegistrationError, match="nobody"):
        shipping.hook_post_transition("nobody", registrations=one)
