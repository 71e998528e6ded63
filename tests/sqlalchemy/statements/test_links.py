"""Links that statements set and unset: by foreign key, and by rows of a secondary table."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.sqlalchemy.recording import Log, brief, committed
from tests.sqlalchemy.statements.schema import Base, Club, Person, fill, membership, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


def linked(hooks: Hooks, relation: Any, phase: str = "after") -> Log:
    log = Log()

    def note(change: Any) -> None:
        log.append(brief(change))

    for event in ("unlink", "link"):
        hooks.add(note, phase, event, relation, name=f"{phase} {event} {len(hooks)}")
    return log


def links(log: Log) -> list[tuple[Any, ...]]:
    return [(row[0], row[2], row[3]) for row in log]


@pytest.fixture
def bosses(session: Session) -> None:
    people(session, Anna=30, Ben=40, Cleo=50, Dan=20)


@every_way
def test_a_foreign_key_sets_links_of_many_rows(bosses: None, hooks: Hooks, session: Session, way: str) -> None:
    logs = [linked(hooks, Person.boss, phase) for phase in ("before", "check", "after", "after_commit")]
    send(session, way, update(target(way, Person)).where(Person.id > 2).values(boss_id=1))
    session.commit()
    for log in logs:
        assert sorted(links(log)) == [("link", 3, 1), ("link", 4, 1)]


@every_way
def test_a_foreign_key_that_changes_unsets_and_sets(bosses: None, hooks: Hooks, session: Session, way: str) -> None:
    session.execute(update(Person).where(Person.id == 3).values(boss_id=1))
    log = linked(hooks, Person.boss)
    send(session, way, update(target(way, Person)).where(Person.id == 3).values(boss_id=2))
    assert links(log) == [("unlink", 3, 1), ("link", 3, 2)]
    log.clear()
    send(session, way, update(target(way, Person)).where(Person.id == 3).values(boss_id=None))
    assert links(log) == [("unlink", 3, 2)]


@every_way
def test_a_link_is_seen_from_the_side_that_was_named(bosses: None, hooks: Hooks, session: Session, way: str) -> None:
    seen: list[Any] = []

    @hooks.check("link", Person.team)
    def note(change: Any) -> None:
        seen.append((change.subject.name, change.object.name))

    send(session, way, update(target(way, Person)).where(Person.id == 3).values(boss_id=2))
    assert seen == [("Ben", "Cleo")]


@every_way
def test_inserted_and_deleted_rows_have_links(bosses: None, hooks: Hooks, session: Session, way: str) -> None:
    log, net = linked(hooks, Person.boss), linked(hooks, Person.boss, "after_commit")
    send(session, way, insert(target(way, Person)), [{"id": 5, "name": "Eve", "boss_id": 1}, {"id": 6, "name": "Fay"}])
    assert links(log) == [("link", 5, 1)]
    session.commit()
    assert links(net) == [("link", 5, 1)]
    log.clear()
    send(session, way, delete(target(way, Person)).where(Person.id == 5))
    assert links(log) == [("unlink", 5, 1)]


def test_links_by_keys_that_the_database_makes(bosses: None, hooks: Hooks, session: Session) -> None:
    session.execute(delete(Person))
    log = linked(hooks, Person.boss)
    (boss,) = session.scalars(insert(Person).returning(Person.id), [{"name": "Eve"}]).all()
    session.execute(insert(Person), [{"name": "Fay", "boss_id": boss}, {"name": "Gil", "boss_id": boss}])
    keys = session.scalars(select(Person.id).where(Person.boss_id == boss).order_by(Person.name)).all()
    assert links(log) == [("link", keys[0], boss), ("link", keys[1], boss)]


def test_a_key_that_is_updated_unlinks_under_the_old_key(bosses: None, hooks: Hooks, session: Session) -> None:
    session.execute(update(Person).where(Person.id == 3).values(boss_id=1))
    log = linked(hooks, Person.boss)
    session.execute(update(Person).where(Person.id == 3).values(id=30, boss_id=2))
    assert links(log) == [("unlink", 3, 1), ("link", 30, 2)]


def test_links_by_a_list_of_rows(bosses: None, hooks: Hooks, session: Session) -> None:
    log = linked(hooks, Person.boss)
    session.execute(update(Person), [{"id": 3, "boss_id": 1}, {"id": 4, "boss_id": 2}])
    assert links(log) == [("link", 3, 1), ("link", 4, 2)]


def test_links_that_a_subquery_computes(bosses: None, hooks: Hooks, session: Session) -> None:
    checked, log = linked(hooks, Person.boss, "check"), linked(hooks, Person.boss)
    other = Person.__table__.alias()
    oldest = select(func.max(other.c.id)).scalar_subquery()
    session.execute(update(Person).where(Person.id == 1).values(boss_id=oldest))
    assert links(checked) == links(log) == [("link", 1, 4)]


@every_way
def test_a_refused_link_is_not_set(bosses: None, hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    @hooks.check("link", Person.boss)
    def adult(change: Any) -> None:
        if change.object.age < 25:
            raise ValidationError(change.subject, {"boss": "too young"})

    sent.clear()
    with pytest.raises(ValidationError) as caught:
        send(session, way, update(target(way, Person)).where(Person.id < 3).values(boss_id=4))
    assert [problem.entity.name for problem in caught.value.problems] == ["Anna", "Ben"]
    assert sent.writes == []


def test_an_edit_of_the_foreign_key_sets_another_link(bosses: None, hooks: Hooks, session: Session) -> None:
    @hooks.before("update", Person)
    def edit(change: Change[Person]) -> None:
        if change.key == 3:
            change.new["boss_id"] = 2

    checked, log = linked(hooks, Person.boss, "check"), linked(hooks, Person.boss)
    session.execute(update(Person).where(Person.id > 2).values(boss_id=1))
    assert links(checked) == links(log) == [("link", 3, 2), ("link", 4, 1)]


def test_a_hook_of_a_link_edits_the_row(bosses: None, hooks: Hooks, session: Session) -> None:
    @hooks.before("link", Person.boss)
    def promote(change: Any) -> None:
        change.subject.age += 1

    session.execute(update(Person).where(Person.id > 2).values(boss_id=1))
    assert session.scalars(select(Person.age).order_by(Person.id)).all() == [30, 40, 51, 21]
    assert not session.dirty


# -- secondary tables


@pytest.fixture
def clubs(bosses: None, session: Session) -> None:
    fill(session, Club(id=1, name="chess"), Club(id=2, name="golf"))
    session.execute(insert(membership), [{"person_id": 1, "club_id": 1}, {"person_id": 2, "club_id": 1}])
    session.commit()


def place(session: Session, way: str) -> Any:
    return session.connection() if way == "connection" else session


two_ways = pytest.mark.parametrize("way", ["core", "connection"])


@two_ways
def test_inserted_rows_are_links(clubs: None, hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    logs = [linked(hooks, Person.clubs, phase) for phase in ("before", "check", "after", "after_commit")]
    sent.clear()
    place(session, way).execute(insert(membership), [{"person_id": 3, "club_id": 2}, {"person_id": 4, "club_id": 2}])
    assert len(sent.writes) == 1
    session.commit()
    for log in logs:
        assert sorted(links(log)) == [("link", 3, 2), ("link", 4, 2)]


@two_ways
def test_deleted_rows_are_links_unset(clubs: None, hooks: Hooks, session: Session, way: str) -> None:
    log, net = linked(hooks, Club.members), linked(hooks, Club.members, "after_commit")
    place(session, way).execute(delete(membership).where(membership.c.club_id == 1))
    session.commit()
    assert sorted(links(log)) == sorted(links(net)) == [("unlink", 1, 1), ("unlink", 1, 2)]


@two_ways
def test_updated_rows_are_both(clubs: None, hooks: Hooks, session: Session, way: str) -> None:
    log = linked(hooks, Person.clubs)
    place(session, way).execute(update(membership).where(membership.c.person_id == 1).values(club_id=2))
    assert links(log) == [("unlink", 1, 1), ("link", 1, 2)]


def test_selected_rows_are_links(clubs: None, hooks: Hooks, session: Session) -> None:
    log = linked(hooks, Person.clubs)
    source = select(Person.id, literal(2)).where(Person.age > 35)
    session.execute(insert(membership).from_select(["person_id", "club_id"], source))
    assert sorted(links(log)) == [("link", 2, 2), ("link", 3, 2)]


def test_values_of_pairs_that_the_database_computes(clubs: None, hooks: Hooks, session: Session) -> None:
    log = linked(hooks, Person.clubs)
    session.execute(insert(membership).values(person_id=3, club_id=select(func.max(Club.id)).scalar_subquery()))
    assert links(log) == [("link", 3, 2)]


def test_parameters_of_many_executions(clubs: None, hooks: Hooks, session: Session) -> None:
    log = linked(hooks, Person.clubs)
    session.execute(delete(membership).where(membership.c.person_id == bindparam("p")), [{"p": 1}, {"p": 2}])
    assert links(log) == [("unlink", 1, 1), ("unlink", 2, 1)]


def test_links_that_stay_fire_nothing(clubs: None, hooks: Hooks, session: Session) -> None:
    log = linked(hooks, Person.clubs)
    session.execute(update(membership).values(club_id=membership.c.club_id))
    assert log == []


def test_refused_pairs_are_not_sent(clubs: None, hooks: Hooks, session: Session, sent: Sent) -> None:
    @hooks.check("link", Person.clubs)
    def refuse(change: Any) -> None:
        raise ValidationError(change.subject, {"clubs": f"{change.object.name} is full"})

    sent.clear()
    with pytest.raises(ValidationError) as caught:
        session.execute(insert(membership), [{"person_id": 3, "club_id": 2}, {"person_id": 4, "club_id": 2}])
    assert len(caught.value.problems) == 2
    assert sent.writes == []


def test_collections_of_the_session_and_statements_fold(clubs: None, hooks: Hooks, session: Session) -> None:
    net = linked(hooks, Person.clubs, "after_commit")
    cleo = session.get_one(Person, 3)
    cleo.clubs.append(session.get_one(Club, 2))
    session.flush()
    session.execute(delete(membership).where(membership.c.person_id == 3))
    session.execute(insert(membership).values(person_id=4, club_id=1))
    session.commit()
    assert links(net) == [("link", 4, 1)]


def test_a_table_of_pairs_without_hooks_is_left_alone(clubs: None, hooks: Hooks, session: Session, sent: Sent) -> None:
    log = committed(hooks, Person)
    session.connection()
    sent.clear()
    session.execute(delete(membership))
    assert len(sent) == 1
    session.commit()
    assert log == []


def test_keys_of_people_and_links_of_an_unhooked_class(bosses: None, hooks: Hooks, session: Session) -> None:
    """Hooks concern the link only: rows are followed for its sake, and told to nobody."""
    log = linked(hooks, Person.boss)
    session.execute(update(Person).where(Person.id > 2).values(boss_id=1, age=1))
    assert links(log) == [("link", 3, 1), ("link", 4, 1)]
