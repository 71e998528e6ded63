"""Large statements: rows are read, ruled on and forgotten some at a time."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import CheckConstraint, ForeignKey, delete, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hookline import Change, Hooks, ValidationError
from hookline.errors import ReadOnlyError
from hookline.sqlalchemy.statements import chunks
from tests.sqlalchemy.statements.sent import Sent


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    __table_args__ = (CheckConstraint("age < 1000", name="old"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="person")
    name: Mapped[str]
    age: Mapped[int]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Pilot(Person):
    __mapper_args__ = {"polymorphic_identity": "pilot"}


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 10)


@pytest.fixture
def crowd(session: Session) -> Session:
    """A session on 35 people of age 0 .. 34, every third a pilot."""
    table: Any = Person.__table__
    rows = [{"id": n, "kind": "pilot" if n % 3 == 0 else "person", "name": f"n{n}", "age": n} for n in range(35)]
    session.execute(table.insert(), rows)
    session.commit()
    return session


older = update(Person).values(age=Person.age + 1)


def ages(session: Session) -> list[int]:
    return list(session.scalars(select(Person.age).order_by(Person.id)))


def test_hooks_get_a_chunk_at_a_time_and_the_statement_is_sent_once(hooks: Hooks, crowd: Session, sent: Sent) -> None:
    calls: list[tuple[str, int]] = []
    hooks.add(lambda changes: calls.append(("before", len(changes))), "before", "update", Person, name="b")
    hooks.add(lambda changes: calls.append(("check", len(changes))), "check", "update", Person, name="c")
    sent.clear()
    crowd.execute(older)
    sizes = [10, 10, 10, 5]
    assert calls == [(phase, size) for size in sizes for phase in ("before", "check")]
    assert len(sent.writes) == 1
    assert ages(crowd) == list(range(1, 36))


@pytest.mark.parametrize("statement", [older, delete(Person)])
def test_only_one_chunk_is_in_memory(hooks: Hooks, crowd: Session, statement: Any) -> None:
    alive: WeakSet[Change[Any]] = WeakSet()
    most = 0

    @hooks.before("write", Person)
    def look(changes: list[Change[Any]]) -> None:
        nonlocal most
        assert crowd.scalar(select(func.count()).select_from(Person)) == 35  # a query does not change that
        alive.update(changes)
        most = max(most, len(alive))
        assert sum(change.old["age"] for change in changes) >= 0

    crowd.execute(statement)
    assert most <= 20


def test_after_hooks_keep_everything_and_get_it_at_once(hooks: Hooks, crowd: Session, sent: Sent) -> None:
    calls: list[list[tuple[int, int]]] = []

    @hooks.after("update", Person)
    def look(changes: list[Change[Any]]) -> None:
        calls.append([(change.old["age"], change.new["age"]) for change in changes])

    sent.clear()
    crowd.execute(older)
    assert [sorted(call) for call in calls] == [[(n, n + 1) for n in range(35)]]
    assert len(sent.reads) == len(sent.writes) == 1


def test_edits_of_several_chunks_are_sent_in_one_statement(hooks: Hooks, crowd: Session) -> None:
    @hooks.before("update", Person)
    def rename(change: Change[Any]) -> None:
        if change.old["age"] % 7 == 0:
            change.new["name"] = f"edited {change.old['age']}"

    crowd.execute(older)
    crowd.commit()
    named = dict(crowd.execute(select(Person.id, Person.name)).all())
    assert named == {n: f"edited {n}" if n % 7 == 0 else f"n{n}" for n in range(35)}
    assert ages(crowd) == list(range(1, 36))


def test_the_same_edit_of_a_few_rows_does_not_spread_to_all(hooks: Hooks, crowd: Session) -> None:
    @hooks.before("update", Person)
    def rename(change: Change[Any]) -> None:
        if change.old["age"] in (3, 33):
            change.new["name"] = "the same"

    crowd.execute(older)
    crowd.commit()
    assert sorted(crowd.scalars(select(Person.id).where(Person.name == "the same"))) == [3, 33]


def test_a_refusal_in_the_last_chunk_leaves_nothing_written(hooks: Hooks, crowd: Session, sent: Sent) -> None:
    held = crowd.get_one(Person, 1)

    @hooks.check("update", Person)
    def refuse(change: Change[Any]) -> None:
        if change.new["age"] == 35:
            raise ValidationError(change.entity, {"age": "too old"})

    sent.clear()
    with pytest.raises(ValidationError, match="too old"):
        crowd.execute(older)
    assert sent.writes == []
    assert held.age == 1
    assert ages(crowd) == list(range(35))


@pytest.mark.parametrize("by", ["orm", "text", "savepoint", "flush"])
def test_what_a_hook_writes_meanwhile_does_not_change_what_the_others_are_told(
    hooks: Hooks, crowd: Session, by: str
) -> None:
    told: list[tuple[int, int]] = []

    @hooks.before("update", Person, bypass="allow")
    def look(changes: list[Change[Any]]) -> None:
        first = not told
        told.extend((change.old["age"], change.new["age"]) for change in changes)
        if first and by == "text":
            crowd.execute(text("DELETE FROM note"))
            crowd.execute(text("UPDATE person SET name = 'meanwhile' WHERE id = 34"))
        elif first and by == "orm":
            crowd.execute(update(Note).values(text="meanwhile"))
            crowd.execute(update(Person).where(Person.id == 34).values(name="meanwhile"), {"hookline": False})
        elif first and by == "savepoint":
            with crowd.begin_nested():
                crowd.execute(update(Note).values(text="meanwhile"))
        elif first:
            crowd.add(Note(text="meanwhile"))
            crowd.flush()

    crowd.execute(older)
    if by == "orm":
        told.remove((34, 34))  # the hook's own statement, which edits no age
    assert sorted(told) == [(n, n + 1) for n in range(35)]
    assert ages(crowd) == list(range(1, 36))


def test_a_chunk_that_was_checked_is_settled(hooks: Hooks, crowd: Session) -> None:
    seen: list[Change[Any]] = []

    @hooks.before("update", Person)
    def look(changes: list[Change[Any]]) -> None:
        if seen:
            seen[0].new["name"] = "too late"
        seen.extend(changes)

    hooks.add(lambda change: None, "check", "update", Person, name="something")
    with pytest.raises(ReadOnlyError, match="settled"):
        crowd.execute(older)


def test_an_object_of_an_earlier_chunk_stays_a_write_of_its_own(hooks: Hooks, crowd: Session) -> None:
    early = crowd.get_one(Person, 0)
    names: list[Any] = []

    @hooks.before("update", Person)
    def touch(change: Change[Any]) -> None:
        if change.old["age"] == 34:
            early.name = "touched"

    hooks.add(lambda change: names.append(change.fields), "after", "update", Person, name="log")
    crowd.execute(older)
    crowd.commit()
    assert early.name == "touched"
    assert early.age == 1
    assert names.count(frozenset({"name"})) == 1


def test_a_constraint_names_the_class_of_a_large_statement(hooks: Hooks, crowd: Session) -> None:
    hooks.add(lambda changes: None, "before", "update", Person, name="nothing")
    with pytest.raises(ValidationError) as caught:
        crowd.execute(update(Person).values(age=Person.age + 990))
    assert [problem.code for problem in caught.value.problems] == ["check"]
    assert caught.value.problems[0].entity is Person
    crowd.rollback()
    assert ages(crowd) == list(range(35))


def test_rows_of_subclasses(hooks: Hooks, crowd: Session) -> None:
    told: list[int] = []

    @hooks.before("update", Pilot)
    def look(changes: list[Change[Any]]) -> None:
        told.extend(change.old["age"] for change in changes)

    crowd.execute(older)
    assert sorted(told) == [n for n in range(35) if n % 3 == 0]


def test_exactly_one_chunk_and_none(hooks: Hooks, crowd: Session, sent: Sent) -> None:
    calls: list[int] = []
    hooks.add(lambda changes: calls.append(len(changes)), "before", "update", Person, name="count")
    crowd.execute(older.where(Person.id < 10))
    crowd.execute(older.where(Person.id < 0))
    assert calls == [10]
    sent.clear()
    crowd.execute(older.where(Person.id < 10))
    assert len(sent.reads) == 1


def test_links_of_large_statements(hooks: Hooks, crowd: Session) -> None:
    links: list[Any] = []
    hooks.add(lambda change: links.append(change.subject.id), "check", "link", Person.boss_id, name="boss")
    crowd.execute(update(Person).where(Person.id > 0).values(boss_id=0))
    assert sorted(links) == list(range(1, 35))
