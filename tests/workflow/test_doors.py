"""Through which door an object comes, it begins; and no door leads around its workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from hookline import BypassError, Hooks, NotAvailableError, ValidationError
from hookline.sqlalchemy import attach, capture
from hookline.workflow import Workflow
from tests.workflow.parcels import Base, Box, Order, Parcel, Stage, boss, courier, desk, nobody, parcels

INSERTS: dict[str, Callable[[Session], object]] = {
    "add": lambda s: s.add(Parcel(id=1)),
    "merge": lambda s: s.merge(Parcel(id=1)),
    "bulk, a list": lambda s: s.execute(insert(Parcel), [{"id": 1, "kind": "parcel"}]),
    "bulk, values": lambda s: s.execute(insert(Parcel).values(id=1, kind="parcel")),
    "bulk_save_objects": lambda s: s.bulk_save_objects([Parcel(id=1)]),
    "bulk_insert_mappings": lambda s: s.bulk_insert_mappings(Parcel.__mapper__, [{"id": 1, "kind": "parcel"}]),
    "core": lambda s: s.connection().execute(insert(Parcel.__table__).values(id=1, kind="parcel")),
    "from select": lambda s: s.execute(
        insert(Parcel).from_select(["id", "kind"], select(text("1"), text("'parcel'")))
    ),
}  # fmt: skip


@pytest.mark.parametrize("door", INSERTS)
def test_an_object_begins_through_any_door(sessions: Any, shipping: Workflow, door: str) -> None:
    with sessions() as session:
        INSERTS[door](session)
        session.commit()
    with sessions() as session:
        parcel = session.get(Parcel, 1)
        assert parcel.status == "new"
        assert shipping.of(parcel).available_states(desk) == ["sent"]


UPDATES: dict[str, Callable[[Session], object]] = {
    "attribute": lambda s: (setattr(s.get(Parcel, 1), "status", "lost"), s.flush()),
    "update": lambda s: s.execute(update(Parcel).values(status="lost")),
    "update by key": lambda s: s.execute(update(Parcel), [{"id": 1, "status": "lost"}]),
    "bulk_update_mappings": lambda s: s.bulk_update_mappings(Parcel.__mapper__, [{"id": 1, "status": "lost"}]),
    "core": lambda s: s.connection().execute(update(Parcel.__table__).values(status="lost")),
    "query": lambda s: s.query(Parcel).update({"status": "lost"}),
    "to nothing": lambda s: s.execute(update(Parcel).values(status=None)),
}


@pytest.mark.parametrize("door", UPDATES)
def test_a_write_around_the_workflow_is_refused(sessions: Any, shipping: Workflow, door: str) -> None:
    with sessions() as session:
        session.add(Parcel(id=1))
        session.commit()
        with pytest.raises(ValidationError, match=r"goes from 'new' to .* by its workflow only"):
            UPDATES[door](session)
        session.rollback()
        assert session.get(Parcel, 1).status == "new"


def test_raw_sql_that_writes_the_state_is_refused(sessions: Any) -> None:
    with sessions() as session:
        session.add(Parcel(id=1))
        session.commit()
        for statement in ("UPDATE parcel SET status = 'lost'", "INSERT INTO parcel (id, kind) VALUES (2, 'parcel')"):
            with pytest.raises(BypassError, match=r"parcel\.status"):
                session.execute(text(statement))
            session.rollback()
        session.execute(text("UPDATE parcel SET kind = 'box'"))  # another column is nobody's business
        session.commit()


def test_raw_sql_with_capture_is_refused_before_commit(engine: Engine, hooks: Hooks) -> None:
    shipping = parcels()
    hooks.use(shipping)
    Base.metadata.create_all(engine)
    captured = capture(Parcel)
    captured.install(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker, capture=captured), maker() as session:
        session.add(Parcel(id=1))
        session.commit()
        session.execute(text("UPDATE parcel SET status = 'lost'"))
        with pytest.raises(ValidationError, match="by its workflow only"):
            session.commit()
        session.rollback()
        session.execute(text("INSERT INTO parcel (id, kind, status) VALUES (2, 'parcel', 'new')"))
        session.commit()
        assert shipping.of(session.get(Parcel, 2)).available_states(desk) == ["sent"]
        shipping.of(session.get(Parcel, 1)).approve(desk)
        session.commit()
        assert session.get(Parcel, 1).status == "sent"


@pytest.fixture
def free(engine: Engine, hooks: Hooks) -> Any:
    flow = parcels(direct="jump")
    hooks.use(flow)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    attach(hooks, maker)
    return flow, maker


@pytest.mark.parametrize("door", [name for name in UPDATES if name != "to nothing"])
def test_by_option_such_a_write_is_a_jump(free: Any, hooks: Hooks, door: str) -> None:
    flow, sessions = free
    told: list[Any] = []
    hooks.add(lambda change: told.append((change.event, change.source, change.destination, change.jump)),
              "after_commit", "transition", Parcel.status, name="tell")  # fmt: skip
    with sessions() as session:
        session.add(Parcel(id=1))
        session.commit()
        UPDATES[door](session)
        session.commit()
        parcel = session.get(Parcel, 1, populate_existing=True)
        assert told == [("transition", "new", "lost", True)]
        assert [one.status for one in flow.of(parcel).history] == ["cancelled", "jumped"]
        parcel.status = "returned"
        session.flush()
        assert flow.of(parcel).available_states(desk) == ["sent"]
        parcel.status = "nowhere"
        with pytest.raises(NotAvailableError, match="'nowhere'"):
            session.flush()


def test_by_option_objects_begin_in_any_state(free: Any) -> None:
    flow, sessions = free
    with sessions() as session:
        session.add(Parcel(id=1, status="sent"))
        session.commit()
        assert flow.of(session.get(Parcel, 1)).available_states(courier) == ["arrived", "returned"]


def test_a_hook_that_refuses_a_jump_refuses_the_write(free: Any, hooks: Hooks) -> None:
    _, sessions = free

    @hooks.before("transition", Parcel.status)
    def no(change: Any) -> None:
        raise ValidationError(change.entity, {"status": "stay"})

    with sessions() as session:
        parcel = Parcel(id=1)
        session.add(parcel)
        session.commit()
        parcel.status = "lost"
        with pytest.raises(ValidationError, match="stay"):
            session.commit()
        session.rollback()
        assert session.get(Parcel, 1).status == "new"


def test_ten_thousand_objects_begin_set_at_a_time(sessions: Any, engine: Engine, shipping: Workflow) -> None:
    from sqlalchemy import event, func

    with sessions() as session:
        session.add(Parcel())
        session.commit()
        sent: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda c, cursor, statement, *a: sent.append(statement))
        session.add_all([Parcel() for _ in range(10_000)])
        session.commit()
        assert len([one for one in sent if "hookline_step" in one]) == 1
        assert session.scalar(select(func.count()).select_from(shipping.tables.steps)) == 10_001


def test_states_that_are_rows(engine: Engine, hooks: Hooks) -> None:
    from hookline.workflow import Transition

    flow = Workflow(Order.stage, initial=1, transitions=[Transition(1, 2), Transition(2, 3)])
    hooks.use(flow)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    told: list[Any] = []
    hooks.add(lambda change: told.append(change.destination), "after", "transition", Order.stage_id, name="by column")
    hooks.add(lambda change: told.append(change.source), "after", "transition", Order.stage, name="by relationship")
    with attach(hooks, maker), maker() as session:
        session.add_all([Stage(id=number, name=name) for number, name in enumerate(["cart", "paid", "sent"], 1)])
        session.flush()
        order = Order(id=1)
        session.add(order)
        session.commit()
        assert order.stage_id == 1
        flow.of(order).approve(nobody, to=session.get(Stage, 2))
        session.commit()
        assert (order.stage_id, order.stage.name, told) == (2, "paid", [2, 1])
        assert flow.final_states == (3,)


def test_two_workflows_of_subclass_and_base_do_not_mix(sessions: Any, shipping: Workflow, hooks: Hooks) -> None:
    told: list[str] = []
    hooks.add(lambda change: told.append("box"), "after", "transition", Box, name="box")
    hooks.add(lambda change: told.append("exact"), "after", "transition", Parcel, exact=True, name="exact")
    with sessions() as session:
        session.add_all([Box(id=1), Parcel(id=2)])
        session.commit()
        for key in (1, 2):
            shipping.of(session.get(Parcel, key)).approve(boss)
        session.commit()
    assert told == ["box", "exact"]
