"""Two users at once: one wins, the other is told, and no transition happens twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from hookline import ProgressConflictError
from hookline.workflow import Workflow
from tests.workflow.parcels import Parcel, boss, courier, desk


def test_who_has_read_before_the_other_wrote_is_told(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        session.add(Parcel(id=1))
        session.commit()
    with sessions() as first, sessions() as second:
        one, other = first.get(Parcel, 1), second.get(Parcel, 1)
        second.commit()
        shipping.of(one).approve(desk)
        first.commit()
        with pytest.raises(ProgressConflictError, match="'sent' by now, and not in 'new'"):
            shipping.of(other).approve(boss)
        with pytest.raises(ProgressConflictError, match="'sent' by now"):
            shipping.of(other).jump_to("lost")
        second.rollback()
        second.refresh(other)
        shipping.of(other).approve(boss, to="returned")
        second.commit()


def test_who_is_late_for_the_last_step_is_told_so(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        parcel = Parcel(id=1)
        session.add(parcel)
        shipping.of(parcel).approve(desk)
        session.commit()
    with sessions() as first, sessions() as second:
        one, other = first.get(Parcel, 1), second.get(Parcel, 1)
        second.commit()
        shipping.of(one).approve(courier, to="arrived")
        shipping.of(one).approve(boss)
        first.commit()
        with pytest.raises(ProgressConflictError, match="'arrived' by now"):
            shipping.of(other).approve(courier, to="returned")


@pytest.mark.parametrize("how", ["first of two", "last"])
def test_who_waits_for_the_other_is_told(sessions: Any, shipping: Workflow, how: str) -> None:
    with sessions() as session:
        parcel = Parcel(id=1)
        session.add(parcel)
        shipping.of(parcel).approve(desk)
        session.commit()
    with sessions() as first, ThreadPoolExecutor(1) as pool:
        shipping.of(first.get(Parcel, 1)).approve(courier, to="arrived" if how == "first of two" else "returned")

        def late() -> None:
            with sessions() as second:
                shipping.of(second.get(Parcel, 1)).approve(courier, to="returned")
                second.commit()

        waiting = pool.submit(late)
        if first.bind.dialect.name == "postgresql":  # SQLite tells who has read that somebody else writes, at once
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        else:
            wait([waiting], timeout=30)
        first.commit()
        with pytest.raises(ProgressConflictError):
            waiting.result(timeout=30)


def test_what_a_serializable_transaction_is_refused_is_told_likewise(sessions: Any, shipping: Workflow) -> None:
    with sessions() as session:
        session.add(Parcel(id=1))
        session.commit()
    strict = sessions.kw["bind"].execution_options(isolation_level="SERIALIZABLE")
    with sessions() as first, sessions(bind=strict) as second:
        other = second.get(Parcel, 1)  # its snapshot is taken
        shipping.of(first.get(Parcel, 1)).approve(desk)
        first.commit()
        with pytest.raises(ProgressConflictError, match="another transaction is writing it"):
            shipping.of(other).approve(desk)


@pytest.mark.parametrize("how", ["approve", "jump"])
def test_of_many_at_once_exactly_one_wins(sessions: Any, shipping: Workflow, how: str) -> None:
    rounds, users = 8, 4
    with sessions() as session:
        session.add_all([Parcel(id=number) for number in range(rounds)])
        session.commit()
    barrier = Barrier(users)

    def go(_: int) -> list[str]:
        results = []
        for number in range(rounds):
            barrier.wait()
            with sessions() as session:
                parcel = session.get(Parcel, number)
                if parcel.status == "sent":  # it came too late even to read
                    results.append("late")
                    continue
                try:
                    way = shipping.of(parcel)
                    way.approve(desk) if how == "approve" else way.jump_to("sent")
                    session.commit()
                    results.append("won")
                except ProgressConflictError:
                    session.rollback()
                    results.append("lost")
        return results

    with ThreadPoolExecutor(users) as pool:
        results = list(pool.map(go, range(users)))
    assert [column.count("won") for column in zip(*results, strict=True)] == [1] * rounds
    with sessions() as session:
        steps = shipping.tables.steps
        done = select(steps.c.object_id, func.count()).where(steps.c.completes).group_by(steps.c.object_id)
        assert sorted(map(tuple, session.execute(done))) == [(number, 1) for number in range(rounds)]
        waiting = select(func.count()).where(steps.c.status == "pending")
        assert session.scalar(waiting) == 2 * rounds
        assert shipping.of(session.get(Parcel, 0)).available_states(courier) == ["arrived", "returned"]
