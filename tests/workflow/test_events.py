"""Approvals, transitions and completion are events of hooks, in every phase."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from hookline import Hooks, StepChange, ValidationError, approved_by, enters, leaves
from hookline.errors import AsyncHookError, TargetError
from hookline.sqlalchemy import transaction
from hookline.workflow import Workflow
from tests.durable.deliveries import work
from tests.workflow.parcels import Mood, Parcel, Ticket, boss, courier, desk, nobody

PHASES = ("before", "check", "after", "before_commit", "after_commit", "durable")


def told(hooks: Hooks, target: Any = Parcel.status, phases: Any = PHASES, **options: Any) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    for phase in phases:
        for event in ("approve", "transition", "complete"):
            hooks.add(
                lambda change, phase=phase: calls.append(
                    (phase, change.event, change.source, change.destination, change.by, change.key, change.jump)
                ),
                phase, event, target, name=f"{phase} {event}", **options,
            )  # fmt: skip
    return calls


def parcel_in(session: Any) -> Parcel:
    parcel = Parcel(id=1)
    session.add(parcel)
    session.commit()
    return parcel


def test_every_phase_is_told_of_every_step_once(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks)
    with sessions() as session:
        parcel = parcel_in(session)
        shipping.of(parcel).approve(desk)
        assert [call[:2] for call in calls] == [
            (phase, event) for phase in ("before", "check", "after") for event in ("approve", "transition")
        ]
        shipping.of(parcel).approve(courier, to="arrived")
        shipping.of(parcel).approve(boss)
        calls.clear()
        session.commit()
    work(hooks)
    steps = [
        ("approve", "new", "sent", "1"),
        ("transition", "new", "sent", "1"),
        ("approve", "sent", "arrived", "2"),
        ("approve", "sent", "arrived", "3"),
        ("transition", "sent", "arrived", "3"),
        ("complete", "sent", "arrived", "3"),
    ]
    for phase in ("before_commit", "after_commit", "durable"):
        assert sorted(call[1:5] for call in calls if call[0] == phase) == sorted(steps), phase


def test_the_order_of_steps_is_kept(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    ways: list[Any] = []
    hooks.add(lambda change: ways.append(change.destination), "after_commit", "transition", Parcel, name="ways")
    with sessions() as session:
        parcel = parcel_in(session)
        for user, to in ((desk, "sent"), (courier, "returned"), (desk, "sent")):
            shipping.of(parcel).approve(user, to=to)
        session.commit()
    assert ways == ["sent", "returned", "sent"]  # there and back is two transitions, not none


def test_before_and_check_refuse_and_nothing_is_written(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    @hooks.before("transition", Parcel.status, when=enters("sent"))
    def not_today(change: StepChange) -> None:
        raise ValidationError(change.entity, {"status": "the office is closed"})

    @hooks.check("approve", Parcel.status)
    def not_you(change: StepChange) -> None:
        raise ValidationError(change.entity, {"status": f"not by {change.by}"})

    with sessions() as session:
        parcel = parcel_in(session)
        with pytest.raises(ValidationError) as caught:
            shipping.of(parcel).approve(desk)
        assert caught.value.by_field() == {"status": ["the office is closed", "not by 1"]}
        assert (parcel.status, shipping.of(parcel).history) == ("new", [])
        session.commit()
        assert shipping.of(parcel).available_states(desk) == ["sent"]


@pytest.mark.parametrize("how", ["approve", "jump"])
def test_what_hooks_of_the_row_refuse_leaves_nothing(sessions: Any, hooks: Hooks, shipping: Workflow, how: str) -> None:
    calls = told(hooks, phases=["after_commit"])
    refusing = True

    @hooks.check("update", Parcel)
    def not_now(change: Any) -> None:
        if refusing:
            raise ValidationError(change.entity, {"status": "not now"})

    with sessions() as session:
        parcel = parcel_in(session)
        way = shipping.of(parcel)
        before = session.execute(select(shipping.tables.steps)).all()
        with pytest.raises(ValidationError, match="not now"):
            way.approve(desk) if how == "approve" else way.jump_to("lost")
        assert parcel.status == "new"
        session.commit()  # nobody is made to roll back
        assert session.execute(select(shipping.tables.steps)).all() == before
        assert calls == []
        refusing = False
        way.approve(desk) if how == "approve" else way.jump_to("lost")
        session.commit()
        assert parcel.status == ("sent" if how == "approve" else "lost")


def test_conditions(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks, phases=["after"], when=leaves("new") & enters("sent") & approved_by(desk))
    others = []
    hooks.add(lambda change: others.append(change), "after", "transition", Parcel, when=~leaves("new"), name="others")
    with sessions() as session:
        parcel = parcel_in(session)
        shipping.of(parcel).approve(desk)
        shipping.of(parcel).approve(courier, to="returned")
        shipping.of(parcel).approve(boss)
        session.commit()
    assert [call[1] for call in calls] == ["approve", "transition"]
    assert [(one.source, one.destination) for one in others] == [("sent", "returned"), ("returned", "sent")]


def test_jumps_are_transitions_and_may_complete(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks, phases=["before", "after_commit"])
    with sessions() as session:
        parcel = parcel_in(session)
        shipping.of(parcel).jump_to("arrived", boss)
        session.commit()
    assert calls == [
        (phase, event, "new", "arrived", "3", 1, True)
        for phase in ("before", "after_commit")
        for event in ("transition", "complete")
    ]


def test_targets_are_fields_classes_and_everything(
    sessions: Any, hooks: Hooks, shipping: Workflow, tickets: Workflow
) -> None:
    seen: list[str] = []
    for name, target in (("field", Parcel.status), ("class", Parcel), ("all", None), ("other", Ticket.mood)):
        hooks.add(lambda change, name=name: seen.append(name), "after", "transition", target, name=name)
    with sessions() as session:
        shipping.of(parcel_in(session)).approve(desk)
        assert seen == ["field", "class", "all"]
        seen.clear()
        ticket = Ticket(project="a", number=1)
        session.add(ticket)
        tickets.of(ticket).approve(nobody)
        assert seen == ["all", "other"]
    with pytest.raises(TargetError, match="no field of a mapped class"):
        hooks.add(lambda change: None, "after", "transition", 5.0 and object(), name="wrong")


def test_what_hooks_can_ask_for(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    asked: dict[str, Any] = {}

    @hooks.after("transition", Parcel.status)
    def new_style(change: Any, entity: Any, old: Any, new: Any, event: str, tx: Any, session: Any) -> None:
        asked.update(entity=entity, old=dict(old), new=dict(new), event=event, session=session)
        assert tx is change.tx

    @hooks.after("transition", Parcel.status)
    def rivers(workflow_object: Any, field_name: str, transition_approval: Any = None) -> None:
        asked.update(workflow_object=workflow_object, field_name=field_name, transition_approval=transition_approval)

    @hooks.after_commit("transition", Parcel.status)
    def later(workflow_object: Any, session: Any) -> None:
        asked["later"] = workflow_object
        assert workflow_object in session

    with sessions() as session:
        parcel = parcel_in(session)
        entry = shipping.of(parcel).approve(desk)
        session.commit()
        assert asked["entity"] is asked["workflow_object"] is parcel
        assert (asked["old"], asked["new"], asked["event"]) == ({"status": "new"}, {"status": "sent"}, "transition")
        assert asked["session"] is session
        assert (asked["field_name"], asked["transition_approval"]) == ("status", entry)
        assert asked["later"].id == 1
        assert asked["later"] is not parcel


def test_hooks_may_ask_and_go_on(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    asked: list[Any] = []

    @hooks.check("update", Parcel)
    def ask(entity: Parcel) -> None:
        way = shipping.of(entity)
        asked.append((way.available_states(boss), len(way.history), way.definition == shipping.definition))

    @hooks.after("transition", Parcel.status, when=enters("returned"))
    def send_again(entity: Parcel) -> None:
        shipping.of(entity).approve(desk)

    with sessions() as session:
        parcel = parcel_in(session)
        parcel.kind = "parcel"
        shipping.of(parcel).approve(desk)
        shipping.of(parcel).approve(courier, to="returned")
        session.commit()
        assert parcel.status == "sent"
        assert [one.destination for one in shipping.of(parcel).history if one.completes] == ["sent", "returned", "sent"]
    assert all(same for _, _, same in asked)
    assert len(asked) == 3


def test_what_a_step_writes_has_it_as_its_cause(
    sessions: Any, hooks: Hooks, shipping: Workflow, tickets: Workflow
) -> None:
    causes: list[Any] = []

    @hooks.after("transition", Parcel.status)
    def open_ticket(session: Any) -> None:
        session.add(Ticket(project="p", number=1))

    @hooks.after("insert", Ticket)
    def cause(change: Any) -> None:
        causes.append((change.cause.name, change.depth, change.parent.event))

    with sessions() as session:
        shipping.of(parcel_in(session)).approve(desk)
        session.commit()
        assert causes == [("open_ticket", 1, "transition")]
        assert session.get(Ticket, ("p", 1)).mood is Mood.OPEN


def test_steps_of_a_savepoint_that_is_rolled_back_are_not_told(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks, phases=["after_commit"])
    with sessions() as session:
        parcel = parcel_in(session)
        with session.begin_nested() as savepoint:
            shipping.of(parcel).approve(desk)
            savepoint.rollback()
        session.refresh(parcel)
        shipping.of(parcel).approve(boss)
        session.commit()
    assert [call[4] for call in calls] == ["3", "3"]


def test_a_rollback_tells_what_did_not_happen(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks, phases=["after_commit", "after_rollback"])
    with sessions() as session:
        parcel = parcel_in(session)
        shipping.of(parcel).approve(desk)
        session.rollback()
    assert [call[:2] for call in calls] == [("after_rollback", "approve"), ("after_rollback", "transition")]


def test_categories_switch_hooks_of_steps_off(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    calls = told(hooks, phases=["before", "after_commit"], category="mail")
    with sessions() as session:
        parcel = parcel_in(session)
        with hooks.allow_all_but("mail"):
            shipping.of(parcel).approve(desk)
        shipping.of(parcel).approve(courier, to="returned")
        session.commit()
    assert {call[2] for call in calls} == {"sent"}


def test_the_transaction_knows_its_steps(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    with sessions() as session:
        parcel = parcel_in(session)
        shipping.of(parcel).approve(desk)
        tx = transaction(session)
        assert [step.event for step in tx.changes(Parcel.status)] == ["approve", "transition"]
        assert [change.event for change in tx.changes(Parcel)] == ["update"]
        assert tx.updated(parcel)


def test_explain_and_trace(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    hooks.add(lambda change: None, "after", "transition", Parcel.status, when=enters("sent"), name="tell")
    said = str(hooks.explain("transition", Parcel.status, old={"status": "new"}, new={"status": "sent"}))
    assert "runs: hook 'tell' (after)" in said
    said = str(hooks.explain("transition", Parcel.status, old={"status": "sent"}, new={"status": "lost"}))
    assert "does not hold: enters('sent') (destination: 'lost')" in said
    with pytest.raises(TargetError, match=r"parcel\.status"):
        hooks.explain("transition", Parcel.kind)
    with sessions() as session, hooks.trace() as trace:
        shipping.of(parcel_in(session)).approve(desk)
    assert "tell" in str(trace)


def test_an_async_hook_is_refused_in_a_sync_session(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    @hooks.after_commit("transition", Parcel.status)
    async def later(change: Any) -> None: ...

    with sessions() as session:
        parcel = parcel_in(session)
        with pytest.raises(AsyncHookError, match="'later'"):
            shipping.of(parcel).approve(desk)
        assert parcel.status == "new"


def test_nothing_of_a_step_can_be_edited(sessions: Any, hooks: Hooks, shipping: Workflow) -> None:
    @hooks.before("transition", Parcel.status)
    def elsewhere(change: Any) -> None:
        change.new["status"] = "lost"

    with sessions() as session:
        parcel = parcel_in(session)
        with pytest.raises(TypeError, match="does not support item assignment"):
            shipping.of(parcel).approve(desk)
