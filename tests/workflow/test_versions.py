"""Definitions in the database: edited while the application runs, and objects under way keep theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import sessionmaker

from hookline import Hooks, WorkflowDefinitionError, WorkflowStoreError
from hookline.sqlalchemy import attach
from hookline.workflow import Approval, Transition, Workflow
from tests.workflow.parcels import COURIER, DESK, SHIPPING, Base, Parcel, boss, courier, desk, nobody, parcels


@pytest.fixture
def shipping(hooks: Hooks) -> Workflow:
    flow = parcels(editable=True)
    hooks.use(flow)
    return flow


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks, shipping: Workflow) -> Iterator[Any]:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    with attach(hooks, maker):
        yield maker


def test_objects_under_way_keep_the_definition_that_they_began_with(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        old = Parcel(id=1)
        session.add(old)
        session.commit()
        with shipping.edit(session, by="ann") as draft:
            draft.set_state("checked", label="Checked at the desk")
            draft.remove_transition("new", "sent")
            draft.set_transition("new", "checked", Approval(groups="courier"))
            draft.set_transition("checked", "sent", Approval(groups="desk"))
        session.commit()
        new = Parcel(id=2)
        session.add(new)
        session.commit()
        assert shipping.of(old).available_states(boss) == ["sent"]
        assert shipping.of(new).available_states(boss) == ["checked"]
        assert shipping.compare(session) == [
            "state 'checked': new",
            "transition 'new' -> 'sent': gone",
            "transition 'new' -> 'checked': new",
            "transition 'checked' -> 'sent': new",
        ]
        row = session.execute(select(shipping.tables.definitions).where(shipping.tables.definitions.c.current)).one()
        assert row.by == "ann"

        done = shipping.migrate(session, Parcel.id == 1)
        session.commit()
        assert (done.moved, done.restarted, done.kept) == (1, 0, {})
        assert str(done) == "1 moved, 0 of them with approvals to give again, 0 by a jump"
        assert shipping.of(old).available_states(boss) == ["checked"]
        assert [one.status for one in shipping.of(old).history] == ["moved"]
        assert shipping.migrate(session).moved == 0


def test_another_process_obeys_at_once(engine: Engine, sessions: Any, shipping: Workflow) -> None:
    hooks = Hooks("another process")
    other = parcels(editable=True)
    hooks.use(other)
    maker = sessionmaker(engine, expire_on_commit=False)
    with attach(hooks, maker), sessions() as here, maker() as there:
        with shipping.edit(here) as draft:
            draft.initial = "sent"
            draft.remove_state("new")
            draft.set_state("returned", label="Sent back")
        here.commit()
        parcel = Parcel(id=1)
        there.add(parcel)
        there.commit()
        assert parcel.status == "sent"
        assert other.of(parcel).definition.states["returned"].label == "Sent back"
        other.of(parcel).approve(courier, to="returned")
        there.commit()


def test_what_an_edit_leaves_broken_is_refused(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        shipping.publish(session)
        with pytest.raises(WorkflowDefinitionError, match="Nothing leads to 'sent'"), shipping.edit(session) as draft:
            draft.remove_transition("new", "sent")
            draft.remove_transition("returned", "sent")
        with pytest.raises(WorkflowDefinitionError, match="no transition new -> lost"), shipping.edit(session) as draft:
            draft.remove_transition("new", "lost")
        with pytest.raises(WorkflowDefinitionError, match="Did you mean 'sent'"), shipping.edit(session) as draft:
            draft.remove_state("snt")
        assert shipping.compare(session) == []


def test_publishing_says_what_changes(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        assert shipping.compare(session) == ["the database has no definition"]
        assert shipping.publish(session) == ["the first definition"]
        assert shipping.publish(session) == []
        fewer = shipping.definition_of("new", SHIPPING)
        assert shipping.publish(session, fewer) == ["state 'lost': gone"]
        session.commit()
        assert shipping.current(session) == fewer
        assert shipping.publish(session) == ["state 'lost': new"]  # back to one that was there before
        session.commit()
        current = select(shipping.tables.definitions.c.version).where(shipping.tables.definitions.c.current)
        assert session.scalars(current).all() == [shipping.definition.version(shipping.name)]


def test_code_that_is_not_editable_is_obeyed_and_kept_by_itself(engine: Engine, hooks: Hooks) -> None:
    flow = parcels()
    hooks.use(flow)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    with attach(hooks, maker), maker() as session:
        session.add(Parcel(id=1))
        session.flush()
        session.rollback()  # and with it the definition that was going to be kept
        session.add(Parcel(id=1))
        session.commit()
        with pytest.raises(WorkflowStoreError, match="editable=True"), flow.edit(session):
            pass
    later = Hooks("after the next deployment")
    changed = parcels(transitions=[*SHIPPING, Transition("new", "returned", COURIER)])
    later.use(changed)
    with attach(later, maker), maker() as session:
        old, new = session.get(Parcel, 1), Parcel(id=2)
        session.add(new)
        session.commit()
        assert changed.of(old).available_states(boss) == ["sent"]
        assert changed.of(new).available_states(boss) == ["sent", "returned"]
        assert [one.id for one in session.scalars(changed.awaiting(courier))] == [2]


def test_a_definition_that_only_the_database_has(engine: Engine, hooks: Hooks) -> None:
    flow = Workflow(Parcel.status)
    hooks.use(flow)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    with attach(hooks, maker), maker() as session:
        session.add(Parcel(id=1))
        with pytest.raises(WorkflowStoreError, match="has no definition"):
            session.commit()
        session.rollback()
        with pytest.raises(WorkflowStoreError, match="in the database only"):
            _ = flow.initial_state
        flow.publish(session, flow.definition_of("a", [Transition("a", "b")]))
        session.add(Parcel(id=1))
        session.commit()
        flow.of(session.get(Parcel, 1)).approve(nobody)
        session.commit()
        assert session.get(Parcel, 1).status == "b"


def test_moving_keeps_approvals_that_are_asked_for_as_before(sessions: Any, shipping: Workflow) -> None:
    third = Approval(users="7")
    with sessions() as session:
        for key in (1, 2):
            parcel = Parcel(id=key)
            session.add(parcel)
            shipping.of(parcel).approve(desk)
            shipping.of(parcel).approve(courier, to="arrived")
        session.commit()
        with shipping.edit(session) as draft:
            draft.set_transition("sent", "arrived", [COURIER, third])
        assert shipping.migrate(session, Parcel.id == 1).restarted == 0
        assert [one.approval for one in shipping.of(session.get(Parcel, 1)).next_approvals] == [third]
        with shipping.edit(session) as draft:
            draft.set_transition("sent", "arrived", [DESK, third])
        done = shipping.migrate(session)
        assert (done.moved, done.restarted) == (2, 2)
        for key in (1, 2):
            asked = [one.approval for one in shipping.of(session.get(Parcel, key)).next_approvals]
            assert asked == [DESK, third, COURIER]
        session.commit()


def test_objects_in_a_state_that_is_gone_are_kept_or_jump(sessions: Any, shipping: Workflow, hooks: Hooks) -> None:
    told: list[Any] = []
    hooks.add(lambda change: told.append((change.source, change.destination, change.jump)), "after_commit",
              "transition", Parcel.status, name="tell")  # fmt: skip
    with sessions() as session:
        for key in (1, 2):
            parcel = Parcel(id=key)
            session.add(parcel)
            shipping.of(parcel).approve(desk)
            shipping.of(parcel).approve(courier, to="returned")
        session.commit()
        told.clear()
        with shipping.edit(session) as draft:
            draft.remove_state("returned")
        done = shipping.migrate(session)
        assert (done.moved, done.kept) == (0, {"returned": 2})
        assert str(done).endswith("; 2 in 'returned' kept theirs")
        done = shipping.migrate(session, states={"returned": "sent"})
        assert (done.moved, done.jumped) == (2, 2)
        session.commit()
        assert told == [("returned", "sent", True)] * 2
        parcel = session.get(Parcel, 1, populate_existing=True)
        assert parcel.status == "sent"
        assert shipping.of(parcel).available_states(courier) == ["arrived"]
        with pytest.raises(WorkflowDefinitionError, match="no state 'returned'"):
            shipping.migrate(session, states={"sent": "returned"})


def test_missing_tables_are_told(engine: Engine, hooks: Hooks) -> None:
    flow = parcels()
    Parcel.__table__.create(engine)
    with pytest.raises(WorkflowStoreError, match="the table hookline_workflow is missing"):
        flow.check(engine)
    hooks.use(flow)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        session.add(Parcel(id=1))
        with pytest.raises(WorkflowStoreError, match=r"Base\.metadata\.create_all\(engine\)"):
            session.commit()
    flow.create_tables(engine)
    flow.check(engine)
    with engine.begin() as connection:
        flow.tables.steps.drop(connection)
        connection.exec_driver_sql("CREATE TABLE hookline_step_parcel_status (id integer)")
    with pytest.raises(WorkflowStoreError, match=r"parcel_status\.object_id"):
        flow.check(engine)
