"""DELETE by criteria: the rows that are gone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Line, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


@every_way
def test_each_row_is_told_of_with_its_old_values(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Club(id=1, name="chess", size=3), Club(id=2, name="golf", size=9))
    logs = [logged(hooks, phase, Club) for phase in ("before", "check", "after")]
    net = committed(hooks, Club)
    result = send(session, way, delete(target(way, Club)).where(Club.size > 5))
    assert result.rowcount == 1
    session.commit()
    for log in (*logs, net):
        assert log == [("delete", "Club", {"id": 2, "name": "golf", "size": 9})]


def test_criteria_with_a_subquery(hooks: Hooks, session: Session) -> None:
    fill(session, Club(id=1, name="chess"), Club(id=2, name="golf"))
    people(session, Anna=30)
    log = logged(hooks, "after", Club)
    session.execute(delete(Club).where(Club.id.in_(select(Person.id))))
    assert log == [("delete", "Club", {"id": 1, "name": "chess", "size": 0})]


@every_way
def test_returning(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Club(id=1, name="chess"), Club(id=2, name="golf"))
    log = logged(hooks, "after", Club)
    rows = send(session, way, delete(target(way, Club)).where(Club.id == 2).returning(Club.name)).all()
    assert rows == [("golf",)]
    assert log == [("delete", "Club", {"id": 2, "name": "golf", "size": 0})]


def test_objects_that_the_session_holds_are_gone_and_their_values_stay_readable(hooks: Hooks, session: Session) -> None:
    fill(session, Club(id=1, name="chess"))
    chess = session.get_one(Club, 1)
    seen: list[Any] = []

    @hooks.before("delete", Club)
    def before(change: Change[Club]) -> None:
        seen.append(change.entity is chess)

    @hooks.after("delete", Club)
    def after(change: Change[Club]) -> None:
        seen.append((change.entity.name, change.old["name"], change.key))

    session.execute(delete(Club))
    assert seen == [True, ("chess", "chess", 1)]
    assert chess not in session


def test_parameters_of_many_executions(hooks: Hooks, session: Session, sent: Sent) -> None:
    fill(session, *(Line(order_no=1, number=n) for n in (1, 2, 3)))
    log = logged(hooks, "after", Line)
    sent.clear()
    session.execute(
        delete(Line.__table__).where(Line.number == bindparam("n")),  # type: ignore[arg-type]
        [{"n": 1}, {"n": 3}],
    )
    assert [row[2]["number"] for row in log] == [1, 3]
    assert len(sent.writes) == 1


@every_way
def test_what_is_refused_is_not_sent(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    fill(session, Club(id=1, name="chess"), Club(id=2, name="golf"))

    @hooks.check("delete", Club)
    def keep(change: Change[Club]) -> None:
        raise ValidationError(change.entity, {"": "stays"})

    sent.clear()
    with pytest.raises(ValidationError) as caught:
        send(session, way, delete(target(way, Club)))
    assert len(caught.value.problems) == 2
    assert sent.writes == []
    assert len(session.scalars(select(Club)).all()) == 2


def test_no_row_matches(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Club)
    result: Any = session.execute(delete(Club))
    assert (result.rowcount, log) == (0, [])


def test_query_delete(hooks: Hooks, session: Session) -> None:
    fill(session, Club(id=1, name="chess"), Club(id=2, name="golf"))
    log = logged(hooks, "after", Club)
    assert session.query(Club).filter(Club.id == 1).delete() == 1
    assert log == [("delete", "Club", {"id": 1, "name": "chess", "size": 0})]
