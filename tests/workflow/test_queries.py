"""What waits for whom, and how many are where: one query for any number of objects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from hookline.workflow import Actor, Approval, Transition, Workflow
from tests.workflow.parcels import Parcel, Ticket, boss, chosen, courier, desk, nobody, parcels


def waiting(session: Session, flow: Workflow, user: Any) -> list[int]:
    return [parcel.id for parcel in session.scalars(flow.awaiting(user).order_by(Parcel.id))]


def test_what_waits_for_whom(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        session.add_all([Parcel(id=number) for number in (1, 2, 3)])
        session.commit()
        shipping.of(session.get(Parcel, 2)).approve(desk)
        shipping.of(session.get(Parcel, 3)).approve(desk)
        shipping.of(session.get(Parcel, 3)).approve(courier, to="arrived")
        session.commit()
        seen = {user.id: waiting(session, shipping, user) for user in (desk, courier, boss, chosen, nobody)}
        assert seen == {"1": [1], "2": [2], "3": [1, 2, 3], "42": [3], "9": []}
        for user in (desk, courier, boss, chosen, nobody):
            able = [key for key in (1, 2, 3) if shipping.of(session.get(Parcel, key)).available_approvals(user)]
            assert able == seen[user.id]
        assert shipping.counts(session) == {"new": 1, "sent": 2, "arrived": 0, "returned": 0, "lost": 0}
        narrowed = shipping.awaiting(boss).where(Parcel.status == "sent").order_by(Parcel.id.desc()).limit(1)
        assert [parcel.id for parcel in session.scalars(narrowed)] == [3]


def test_what_waits_for_anybody_with_a_composite_key(sessions: Any, tickets: Workflow) -> None:
    with sessions() as session:
        session.add_all([Ticket(project="a", number=number) for number in (1, 2)])
        session.commit()
        found = session.scalars(tickets.awaiting(nobody).order_by(Ticket.number)).all()
        assert [one.number for one in found] == [1, 2]


def test_objects_that_were_there_before_the_workflow_begin_where_they_are(engine: Any, hooks: Any) -> None:
    from sqlalchemy.orm import sessionmaker

    from hookline.sqlalchemy import attach
    from tests.workflow.parcels import Base

    Base.metadata.create_all(engine)
    states = [None, "sent", "arrived", "lost", "strange"]
    with engine.begin() as connection:
        rows = [{"id": number, "status": states[number % 5], "kind": "parcel"} for number in range(25_000)]
        connection.execute(Parcel.__table__.insert(), rows)
    shipping = parcels()
    hooks.use(shipping)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        assert waiting(session, shipping, desk) == []
        assert shipping.start(session) == {"strange": 5_000}
        session.commit()
        assert len(waiting(session, shipping, desk)) == 5_000
        assert len(waiting(session, shipping, courier)) == 5_000
        rows = 5_000 + 10_000 + 2 * 5_000  # sent ones wait for two, and two states are final
        assert session.scalar(select(text("count(*)")).select_from(shipping.tables.steps)) == rows
        assert shipping.start(session) == {"strange": 5_000}
        assert session.scalar(select(text("count(*)")).select_from(shipping.tables.steps)) == rows


def test_a_name_may_be_anything(engine: Any, hooks: Any) -> None:
    from sqlalchemy.orm import sessionmaker

    from hookline.sqlalchemy import attach
    from tests.workflow.parcels import Base

    odd = "'; DROP TABLE parcel; --"
    shipping = parcels(
        initial="новый", states=(), transitions=[Transition("новый", odd, Approval(groups=odd, permissions="право"))]
    )
    hooks.use(shipping)
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        session.add(Parcel(id=1))
        session.commit()
        user = Actor("ё", frozenset({odd}))
        assert (
            waiting(session, shipping, user)
            == waiting(session, shipping, Actor("2", frozenset(), frozenset({"право"})))
            == [1]
        )
        shipping.of(session.get(Parcel, 1)).approve(user)
        session.commit()
        assert session.get(Parcel, 1).status == odd
        assert shipping.of(session.get(Parcel, 1)).history[0].by == "ё"


def test_what_waits_is_found_by_an_index(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        session.add_all([Parcel() for _ in range(5_000)])
        session.commit()
        if postgresql := session.bind.dialect.name == "postgresql":
            session.execute(text("ANALYZE"))
            session.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows are read faster without an index
        query = shipping.awaiting(courier).compile(session.bind, compile_kwargs={"literal_binds": True})
        asked = f"EXPLAIN {'' if postgresql else 'QUERY PLAN '}{query}".replace("%%", "%")
        plan = "\n".join(str(row[0 if postgresql else 3]) for row in session.execute(text(asked)))
        assert "hookline_step_parcel_status_asked" in plan, plan
