"""The way of one object: approvals in their order, branches, cycles, jumps."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from hookline import ChoiceError, Hooks, NotAvailableError, ValidationError
from hookline.workflow import Entry, Transition, Workflow
from tests.workflow.parcels import COURIER, SIGNED, Box, Mood, Parcel, Ticket, boss, chosen, courier, desk, nobody


def told(entries: list[Entry]) -> list[tuple[Any, ...]]:
    return [(one.source, one.destination, one.status, one.by) for one in entries]


def made(session: Session, **values: Any) -> Parcel:
    parcel = Parcel(id=1, **values)
    session.add(parcel)
    session.commit()
    return parcel


def test_an_object_gets_its_initial_state_when_it_is_inserted(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        parcel = made(session)
        way = shipping.of(parcel)
        assert parcel.status == "new" == way.state == shipping.initial_state
        assert way.on_initial_state
        assert not way.on_final_state
        assert way.history == []
        assert way.recent_approval is None


def test_another_state_to_begin_in_is_refused(sessions: Any) -> None:
    with sessions() as session:
        session.add(Parcel(id=1, status="sent"))
        with pytest.raises(ValidationError, match="begin in the state 'new', not in 'sent'"):
            session.flush()


def test_who_may_approve_what(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        way = shipping.of(made(session))
        assert way.available_states(desk) == ["sent"]
        assert way.available_states(courier) == way.available_states(nobody) == []
        with pytest.raises(NotAvailableError, match="user 2 may not: asked for is group desk for 'sent'"):
            way.approve(courier)
        entry = way.approve(desk)
        assert (entry.by, entry.completes, way.state) == ("1", True, "sent")
        session.commit()
    with sessions() as session:
        assert session.get(Parcel, 1).status == "sent"


def test_several_approvals_are_given_in_their_order(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        way = shipping.of(made(session))
        way.approve(desk)
        assert [(one.destination, one.approval, one.id is None) for one in way.next_approvals] == [
            ("arrived", COURIER, False),
            ("arrived", SIGNED, True),
            ("returned", COURIER, False),
        ]
        assert way.available_states(chosen) == []
        with pytest.raises(ChoiceError, match="'arrived', 'returned'"):
            way.approve(courier)
        assert not way.approve(courier, to="arrived").completes
        assert way.state == "sent"
        assert way.available_states(courier) == []  # the branch is chosen: there is no way back any more
        assert way.available_states(chosen) == way.available_states(boss) == ["arrived"]
        assert way.approve(chosen).completes
        assert way.state == "arrived"
        assert way.on_final_state
        assert told(way.history) == [
            ("new", "sent", "approved", "1"),
            ("sent", "arrived", "approved", "2"),
            ("sent", "returned", "cancelled", None),
            ("sent", "arrived", "approved", "42"),
        ]
        assert way.recent_approval is not None
        assert way.recent_approval.approval == SIGNED
        assert way.recent_approval.at is not None
        with pytest.raises(NotAvailableError, match="it waits for nobody in 'arrived'"):
            way.approve(boss)


def test_a_cycle_opens_a_new_iteration(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        way = shipping.of(made(session))
        way.approve(desk)
        for iteration in (1, 2):
            way.approve(courier, to="returned")
            way.approve(desk)
            assert {one.iteration for one in way.next_approvals} == {iteration}
        assert [one.iteration for one in way.history if one.completes] == [0, 0, 0, 1, 1]


def test_a_jump_cancels_what_waits_and_goes_on_from_there(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        way = shipping.of(made(session))
        way.jump_to("lost", boss)
        assert way.state == "lost"
        assert way.on_final_state
        way.jump_to("returned")
        way.approve(desk)
        assert told(way.history) == [
            ("new", "sent", "cancelled", None),
            ("new", "lost", "jumped", "3"),
            ("lost", "returned", "jumped", None),
            ("returned", "sent", "approved", "1"),
        ]
        with pytest.raises(NotAvailableError, match="nowhere to jump"):
            way.jump_to("sent")
        with pytest.raises(NotAvailableError, match=r"no such state\. Did you mean 'returned'"):
            way.jump_to("return")
        session.commit()


def test_two_fields_enums_and_composite_keys(sessions: Any, tickets: Workflow) -> None:
    with sessions() as session:
        session.add_all([Ticket(project="пр", number=1), Ticket(project="пр", number=2)])
        session.commit()
        one, two = session.scalars(select(Ticket).order_by(Ticket.number))
        assert one.mood is Mood.OPEN
        tickets.of(one).approve(nobody)
        session.commit()
        assert (one.mood, two.mood) == (Mood.BUSY, Mood.OPEN)
        assert tickets.of(one).available_states(nobody) == [Mood.DONE]
        assert tickets.of(two).history == []
        assert tickets.counts(session) == {Mood.OPEN: 1, Mood.BUSY: 1, Mood.DONE: 0}


def test_several_workflows_of_one_model(sessions: Any, hooks: Hooks, tickets: Workflow) -> None:
    review = Workflow(Ticket.review, initial="asked", transitions=[Transition("asked", "done", COURIER)])
    hooks.use(review)
    told: list[Any] = []
    hooks.add(lambda change: told.append(change.field), "after", "transition", Ticket, name="both")
    hooks.add(lambda change: told.append("review only"), "after", "transition", Ticket.review, name="one")
    with sessions() as session:
        review.create_tables(session.connection())
        ticket = Ticket(project="a", number=1)
        session.add(ticket)
        session.commit()
        assert (ticket.mood, ticket.review) == (Mood.OPEN, "asked")
        tickets.of(ticket).approve(boss)
        review.of(ticket).approve(boss)
        session.commit()
        assert (ticket.mood, ticket.review) == (Mood.BUSY, "done")
        assert len(tickets.of(ticket).history) == len(review.of(ticket).history) == 1
        assert told == ["mood", "review", "review only"]
        session.delete(ticket)
        session.commit()
        assert session.execute(select(review.tables.steps)).all() == []


def test_subclasses_have_the_workflow_of_their_base(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        box = Box(id=7)
        session.add(box)
        shipping.of(box).approve(desk)
        session.commit()
        assert box.status == "sent"


@pytest.mark.parametrize("rolled_back", [True, False])
def test_a_rollback_takes_everything_with_it(sessions: Any, shipping: Workflow, rolled_back: bool) -> None:
    with sessions() as session:
        parcel = made(session)
        with session.begin_nested() as savepoint:
            shipping.of(parcel).approve(desk)
            if rolled_back:
                savepoint.rollback()
        session.commit()
        session.refresh(parcel)
        assert parcel.status == ("new" if rolled_back else "sent")
        assert len(shipping.of(parcel).history) == (0 if rolled_back else 1)


def test_an_object_that_is_deleted_takes_its_way_with_it(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        parcel = made(session)
        shipping.of(parcel).approve(desk)
        session.delete(parcel)
        session.commit()
        assert session.execute(select(shipping.tables.steps)).all() == []


def test_an_object_whose_key_changes_keeps_its_way(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        parcel = made(session)
        shipping.of(parcel).approve(desk)
        parcel.id = 5
        session.commit()
        assert len(shipping.of(parcel).history) == 1
        shipping.of(parcel).approve(courier, to="returned")
        session.commit()
        assert parcel.status == "returned"


@pytest.mark.parametrize("states", [5, 500])
def test_approving_takes_four_statements_however_large_the_workflow(engine: Any, states: int) -> None:
    from sqlalchemy.orm import sessionmaker

    from hookline import Hooks
    from hookline.sqlalchemy import attach
    from hookline.workflow import Transition
    from tests.workflow.parcels import Base, parcels

    names = [f"s{number}" for number in range(states)]
    ways = [Transition(one, other) for one in names for other in (names[(names.index(one) + 1) % states],)]
    ways += [Transition("s1", other) for other in names[3:]]
    hooks = Hooks()
    flow = parcels(initial="s0", transitions=ways, states=())
    hooks.use(flow)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    sent: list[str] = []
    with attach(hooks, maker), maker() as session:
        parcel = made(session)
        event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *a: sent.append(statement))
        for to in ("s1", "s2", "s3"):
            sent.clear()
            flow.of(parcel).approve(nobody, to=to)
            assert len([one for one in sent if one != "BEGIN"]) == 4, sent
        session.commit()
