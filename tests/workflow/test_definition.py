"""A definition is checked when it is made, says what is wrong, and is the same wherever it is read."""

from __future__ import annotations

from typing import Any

import pytest

from hookline import Hooks, WorkflowDefinitionError, WorkflowStoreError
from hookline.workflow import Actor, Approval, Definition, State, Transition, Workflow, actor_of, users_of
from tests.workflow.parcels import SHIPPING, Mood, Parcel, Ticket, moods, parcels


def test_states_are_those_that_transitions_name_and_those_declared() -> None:
    flow = parcels()
    assert list(flow.definition.states) == ["new", "sent", "arrived", "returned", "lost"]
    assert flow.final_states == ("arrived", "lost")
    assert flow.initial_state == "new"
    assert moods().final_states == ()
    assert moods().initial_state is Mood.OPEN


def test_the_error_shows_the_part_that_cannot_be_reached() -> None:
    with pytest.raises(WorkflowDefinitionError) as caught:
        parcels(transitions=[*SHIPPING, Transition("lost", "found"), Transition("found", "lost")], states=())
    assert str(caught.value).startswith(
        "Nothing leads to 'lost', 'found':\n"
        "    new\n"
        "    lost -> found\n"
        "    found -> lost\n"
        "Add a transition to them, or say that objects get there by jump_to() only: "
        "states=[State('lost', jump_only=True)]."
    )


@pytest.mark.parametrize(
    "given, said",
    [
        ({"initial": None}, "no initial state: initial='draft'"),
        ({"transitions": [Transition("new", "new")]}, "leads nowhere"),
        ({"transitions": [Transition("new", "sent"), Transition("new", "sent")]}, "two transitions 'new' -> 'sent'"),
        ({"transitions": [Transition("new", None)]}, "None is no state of Parcel.status"),
        ({"transitions": [Transition("new", 5)]}, "5 is no state of Parcel.status, which has values of type str"),
        ({"transitions": [Transition("new", "lost")]}, "'lost' is jump_only, but Transition"),
        ({"direct": "maybe"}, "'refuse' or 'jump', not 'maybe'"),
        ({"initial": "elsewhere"}, "Nothing leads to 'new', 'sent'"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowDefinitionError) as caught:
        parcels(**given)
    assert said in str(caught.value)


def test_what_is_no_field_is_refused() -> None:
    for field in (Parcel, "status", None, Parcel.__table__.c.status):
        with pytest.raises(WorkflowDefinitionError, match="on a field of a mapped class"):
            Workflow(field, initial="a")
    with pytest.raises(WorkflowDefinitionError, match="takes Approval objects, not 'desk'"):
        Transition("a", "b", "desk")  # type: ignore[arg-type]
    with pytest.raises(WorkflowDefinitionError, match=r"Approval\(groups=...\) names something"):
        Approval(groups=[""])


def test_a_workflow_of_one_state_needs_no_transition() -> None:
    assert parcels(transitions=(), states=()).final_states == ("new",)


def test_a_definition_is_the_same_as_data() -> None:
    one = parcels().definition
    again = Definition.from_data(one.to_data())
    assert again == one
    assert again.version("parcel.status") == one.version("parcel.status")
    assert one.version("parcel.status") != one.version("other.status")
    for broken in ({}, {"initial": "a"}, {"initial": "a", "transitions": [{}], "states": []}):
        with pytest.raises(WorkflowDefinitionError, match="no definition of a workflow"):
            Definition.from_data(broken)


def test_differences_are_told_a_line_each() -> None:
    before = parcels().definition
    ways = [Transition("new", "sent", Approval(groups="post")), *SHIPPING[1:3], Transition("arrived", "gone")]
    after = parcels(transitions=ways, states=[State("returned", "Sent back")]).definition
    assert before.differences(before) == []
    assert before.differences(after) == [
        "state 'lost': gone",
        "state 'gone': new",
        f"state 'returned': {State('returned')}, now {State('returned', 'Sent back')}",
        "transition 'new' -> 'sent': group desk, now group post",
        "transition 'returned' -> 'sent': gone",
        "transition 'arrived' -> 'gone': new",
    ]


def test_one_field_has_one_workflow_and_a_workflow_one_rule_book() -> None:
    hooks, flow = Hooks(), parcels()
    hooks.use(flow)
    hooks.use(flow)
    with pytest.raises(ValueError, match=r"uses a workflow 'parcel\.status' already"):
        hooks.use(parcels())
    with pytest.raises(WorkflowStoreError, match="belongs to the rule book"):
        Hooks("other").use(flow)


def test_who_somebody_is() -> None:
    class Group:
        def __init__(self, name: str) -> None:
            self.name = name

    class User:
        id = 7
        groups = (Group("desk"), "courier")

        def permissions(self) -> list[str]:
            return ["sign"]

    assert actor_of(User()) == Actor("7", frozenset({"desk", "courier"}), frozenset({"sign"}))
    with pytest.raises(WorkflowStoreError, match="has no id"):
        actor_of("ann")
    assert Approval(users=[User()]) == Approval(users="7")
    with pytest.raises(WorkflowStoreError, match=r"has no 'teams'\. Say how users are read"):
        users_of(groups="teams")(User())


def test_the_workflow_is_drawn() -> None:
    flow = parcels()
    assert "stateDiagram" in flow.draw()
    assert flow.draw("svg").startswith("<svg")
    assert "sent" in flow.draw("text")
    with pytest.raises(WorkflowDefinitionError, match="not as 'png'"):
        flow.draw("png")


def test_outside_of_sessions_and_rule_books_it_says_what_is_missing() -> None:
    flow = parcels()
    with pytest.raises(WorkflowStoreError, match="about Parcel objects"):
        flow.of(Ticket())
    with pytest.raises(WorkflowStoreError, match="is in no session"):
        flow.of(Parcel()).approve(Actor("1"))


def test_a_rule_book_that_is_included_brings_its_workflows(engine: Any) -> None:
    from sqlalchemy.orm import sessionmaker

    from hookline.sqlalchemy import attach
    from tests.workflow.parcels import Base, desk

    part, whole, flow = Hooks("part"), Hooks("whole"), parcels()
    part.use(flow)
    whole.include(part)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(whole, maker), maker() as session:
        parcel = Parcel(id=1)
        session.add(parcel)
        flow.of(parcel).approve(desk)
        session.commit()
        assert parcel.status == "sent"
