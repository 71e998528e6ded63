"""Statements that hooks send: writes of their own, with cause and depth; and what can be said of any statement."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.orm import Session

from hookline import Change, HookLoopError, Hooks, PhaseError, becomes, changed, from_user, was
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import Base, Club, Person, fill, people
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

__all__ = ["Base"]


@pytest.fixture
def causes(hooks: Hooks) -> list[Any]:
    """What is told of changes of clubs: event, cause, depth."""
    told: list[Any] = []

    @hooks.after("write", Club)
    def note_cause(change: Change[Club]) -> None:
        told.append((change.event, change.cause.name if change.cause else None, change.depth))

    return told


@every_way
@pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit"])
def test_a_statement_in_a_hook_has_the_hook_as_its_cause(
    causes: list[Any], hooks: Hooks, session: Session, way: str, phase: str
) -> None:
    people(session, Anna=30)
    fill(session, Club(id=1, name="chess"))
    causes.clear()

    def count(change: Change[Person], session: Session) -> None:
        send(session, way, update(target(way, Club)).values(size=Club.size + 1))

    hooks.add(count, phase, "update", Person)
    session.execute(update(Person).values(age=31))
    session.commit()
    assert causes == [("update", "count", 1)]
    assert session.scalars(select(Club.size)).all() == [1]


def test_a_statement_in_a_hook_of_a_flush(causes: list[Any], hooks: Hooks, session: Session) -> None:
    @hooks.after("insert", Person)
    def found(change: Change[Person], session: Session) -> None:
        session.execute(insert(Club), [{"name": change.new["name"]}])
        session.execute(update(Club).values(size=5))
        session.execute(delete(Club))

    session.add(Person(name="Anna"))
    session.flush()
    assert causes == [("insert", "found", 1), ("update", "found", 1), ("delete", "found", 1)]


def test_a_chain_of_statements_counts_its_depth(causes: list[Any], hooks: Hooks, session: Session) -> None:
    fill(session, Club(id=1, name="chess"))
    causes.clear()

    @hooks.after("update", Club, when=from_user())
    def first(change: Change[Club], session: Session) -> None:
        session.execute(insert(Person), [{"name": "Anna"}])

    @hooks.after("insert", Person)
    def second(change: Change[Person], session: Session) -> None:
        session.execute(update(Club).values(size=change.depth * 10))

    session.execute(update(Club).values(size=1))
    assert sorted(causes, key=repr) == [("update", "second", 2), ("update", None, 0)]
    assert session.scalars(select(Club.size)).all() == [10]


def test_statements_that_go_on_causing_each_other_are_a_loop(hooks: Hooks, session: Session) -> None:
    people(session, Anna=0)

    @hooks.after("update", Person)
    def again(change: Change[Person], session: Session) -> None:
        session.execute(update(Person).values(age=Person.age + 1))

    with pytest.raises(HookLoopError, match="again"), session.begin_nested():
        session.execute(update(Person).values(age=1))
    assert session.scalars(select(Person.age)).all() == [0]


def test_objects_that_an_after_hook_edits_are_flushed_with_their_cause(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    told: list[Any] = []

    @hooks.after("update", Person, order=1)
    def note(change: Change[Person]) -> None:
        told.append((sorted(change.fields), change.door, change.cause.name if change.cause else None, change.depth))

    @hooks.after("update", Person, order=2, when=from_user())
    def rename(change: Change[Person]) -> None:
        change.entity.name += "!"

    session.execute(update(Person).values(age=31))
    assert told == [(["age"], "ORM bulk", None, 0), (["name"], "unit of work", "rename", 1)]
    assert not session.dirty
    assert session.scalars(select(Person.name)).all() == ["Anna!"]


def test_objects_that_a_before_hook_adds_are_flushed_after_a_statement(
    causes: list[Any], hooks: Hooks, session: Session
) -> None:
    people(session, Anna=30)

    @hooks.before("update", Person)
    def found(change: Change[Person], session: Session) -> None:
        session.add(Club(name=change.new["name"]))

    session.connection().execute(update(Person.__table__).values(age=31))  # type: ignore[arg-type]
    assert causes == [("insert", "found", 1)]


def test_a_check_hook_that_adds_objects_is_told(hooks: Hooks, session: Session, sent: Sent) -> None:
    people(session, Anna=30)

    @hooks.check("update", Person)
    def found(change: Change[Person], session: Session) -> None:
        session.add(Club(name=change.new["name"]))

    sent.clear()
    with pytest.raises(PhaseError, match="added, deleted or edited"):
        session.execute(update(Person).values(age=31))
    assert sent.writes == []


def test_a_query_in_a_hook_does_not_write_what_is_pending(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    counts: list[int] = []

    @hooks.before("update", Person)
    def look(change: Change[Person], session: Session) -> None:
        session.add(Club(name="x"))
        counts.append(len(session.scalars(select(Club)).all()))

    session.execute(update(Person).values(age=31))
    assert counts == [0]
    assert len(session.scalars(select(Club)).all()) == 1


def test_hooks_cannot_end_the_transaction(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)

    @hooks.after("update", Person)
    def commit(change: Change[Person], session: Session) -> None:
        session.commit()

    with pytest.raises(PhaseError, match=r"calls commit\(\)"):
        session.execute(update(Person).values(age=31))


# -- listeners of SQLAlchemy


def test_statements_of_mapper_events_are_followed_and_the_flushs_own_are_not_seen_twice(
    causes: list[Any], hooks: Hooks, session: Session
) -> None:
    fill(session, Club(id=1, name="chess"))
    causes.clear()
    log, net = logged(hooks, "after", Person), committed(hooks, Person, Club)

    def count(mapper: Any, connection: Any, entity: Any) -> None:
        connection.execute(update(Club.__table__).values(size=Club.size + 1))  # type: ignore[arg-type]

    event.listen(Person, "before_insert", count)
    try:
        session.add_all([Person(id=1, name="Anna"), Person(id=2, name="Ben")])
        session.commit()
    finally:
        event.remove(Person, "before_insert", count)
    assert [row[2]["name"] for row in log] == ["Anna", "Ben"]
    assert [one[0] for one in causes] == ["update", "update"]
    assert ("update", "Club", {"size": (0, 2)}) in net
    assert len(net) == 3


def test_orm_statements_of_mapper_events(causes: list[Any], hooks: Hooks, session: Session) -> None:
    fill(session, Club(id=50, name="chess"))
    causes.clear()

    def count(mapper: Any, connection: Any, entity: Any) -> None:
        connection.execute(insert(Club).values(name="more"))
        connection.execute(delete(Club).where(Club.id == 50))

    event.listen(Person, "after_insert", count)
    try:
        session.add(Person(id=1, name="Anna"))
        session.commit()
    finally:
        event.remove(Person, "after_insert", count)
    assert [one[0] for one in causes] == ["insert", "delete"]


# -- what can be said of a statement's changes


def test_conditions(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)
    aged = logged(hooks, "after", Person, when=changed("age"))
    named = logged(hooks, "after", Person, when=changed("name"))
    forty = logged(hooks, "after", Person, when=becomes("age", 41) & was("age", 40))
    session.execute(update(Person).values(age=Person.age + 1))
    assert (len(aged), len(named), len(forty)) == (2, 0, 1)


def test_categories(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    integrity = logged(hooks, "before", Person, category="integrity")
    notification = logged(hooks, "after", Person, category="notification")
    net = logged(hooks, "after_commit", Person, category="notification")
    with hooks.deny_all_but("integrity"):
        session.execute(update(Person).values(age=31))
    with hooks.allow_all_but("integrity"):
        session.execute(update(Person).values(age=32))
    session.commit()
    assert integrity == [("update", "Person", {"age": (30, 31)})]
    assert notification == [("update", "Person", {"age": (31, 32)})]
    assert [row[2]["age"][1] for row in net] == [32]


def test_a_trace_shows_the_hooks_of_a_statement(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def look(changes: list[Change[Person]], session: Session) -> None:
        pass

    @hooks.after("update", Person)
    def look_again(change: Change[Person]) -> None:
        pass

    with hooks.trace() as trace:
        session.execute(update(Person).values(age=Person.age + 1))
    assert [(call.hook.name, call.changes) for call in trace] == [("look", 2), ("look_again", 1), ("look_again", 1)]


def test_explain_sends_nothing(hooks: Hooks, session: Session, sent: Sent) -> None:
    hooks.add(lambda change: None, "before", "update", Person, name="one", when=changed("age"))
    sent.clear()
    assert hooks.explain("update", Person, old={"age": 1}, new={"age": 2}).runs == ["one"]
    assert sent == []


def test_context_reaches_the_hooks_of_a_statement(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    seen: list[Any] = []

    @hooks.before("update", Person)
    def note(change: Change[Person], user: str, old: Any, new: Any, event: str, entity: Person, tx: Any) -> None:
        seen.append((user, old["age"], new["age"], event, entity.name, change.tx is tx))

    with hooks.context(user="alice"):
        session.execute(update(Person).values(age=31))
    assert seen == [("alice", 30, 31, "update", "Anna", True)]


def test_net_changes_so_far_can_be_asked_for(hooks: Hooks, session: Session) -> None:
    people(session, Anna=30)
    seen: list[Any] = []

    @hooks.before_commit("update", Person)
    def note(changes: list[Change[Person]], tx: Any) -> None:
        anna = changes[0].entity
        seen.append((len(tx.changes(Person)), tx.updated(anna), tx.added(anna)))

    session.execute(update(Person).values(age=31))
    session.execute(update(Person).values(age=32))
    session.commit()
    assert seen == [(1, True, False)]
