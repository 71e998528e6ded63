"""What sessions read back of their own captured rows: raw SQL and cascades reach the hooks that can still be told."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Table, delete, event, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import CaptureError, Change, Hooks, ValidationError
from hookline.sqlalchemy import attach, capture, transaction
from tests.sqlalchemy.recording import Log, brief, committed


class Base(DeclarativeBase):
    pass


member_of = Table(
    "member_of",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("club_id", ForeignKey("club.id"), primary_key=True),
)


class Club(Base):
    __tablename__ = "club"
    id: Mapped[int] = mapped_column(primary_key=True)


class Person(Base):
    __tablename__ = "person"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="person")
    age: Mapped[int]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    boss: Mapped[Person | None] = relationship(remote_side=id)
    clubs: Mapped[list[Club]] = relationship(secondary=member_of)


class Worker(Person):
    __tablename__ = "worker"
    __mapper_args__ = {"polymorphic_identity": "worker"}
    id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    pay: Mapped[int]


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(bypass="capture")


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Any:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
        engine.dispose()
    people = capture(Person)
    Base.metadata.create_all(engine)
    people.install(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker, capture=people)
    with Session(engine) as session:
        session.add_all(
            [Club(id=1), Person(id=1, age=30), Person(id=2, age=20, boss_id=1), Worker(id=3, age=40, pay=5)]
        )
        session.commit()
    return maker


def doors(hooks: Hooks, phase: str) -> list[tuple[str, Any]]:
    """What the hooks of a phase are told, and by which door it came."""
    told: list[tuple[str, Any]] = []

    def tell(changes: list[Change[Any]]) -> None:
        told.extend((change.door, brief(change)) for change in changes)

    hooks.add(tell, phase, "write", Person, name=f"tell {phase}")
    return told


AGED = ("captured", ("update", "Person", {"age": (30, 31)}))


@pytest.mark.parametrize("phase", ["check", "after", "before_commit", "after_commit"])
def test_raw_sql_reaches_every_phase_but_before(hooks: Hooks, sessions: Any, phase: str) -> None:
    told = doors(hooks, phase)
    with sessions() as session:
        session.execute(text("UPDATE person SET age = 31 WHERE id = 1"))
        session.commit()
    assert told == [AGED]


def test_nothing_is_told_twice(hooks: Hooks, sessions: Any) -> None:
    told = doors(hooks, "after_commit")
    with sessions() as session:
        session.get(Person, 1).age = 31
        session.execute(update(Worker).values(pay=6))
        session.add(Worker(id=4, age=1, pay=1))
        session.commit()
    assert [door for door, _ in told] == ["unit of work", "ORM bulk", "unit of work"]


def test_a_refused_write_is_not_there_and_cannot_be_committed_again(hooks: Hooks, sessions: Any) -> None:
    @hooks.check("save", Person)
    def grown_up(change: Change[Person]) -> None:
        if change.new["age"] < 18:
            raise ValidationError(change.entity, {"age": "must be 18 or more"})

    with sessions() as session:
        session.execute(text("UPDATE person SET age = age - 25"))
        with pytest.raises(ValidationError) as refused:
            session.commit()
        assert len(refused.value.problems) == 3  # all of them are heard
        session.rollback()
        session.commit()
        assert session.scalars(select(Person.age).order_by(Person.id)).all() == [30, 20, 40]


def test_before_commit_may_refuse_raw_sql(hooks: Hooks, sessions: Any) -> None:
    @hooks.before_commit("delete", Person)
    def nobody_goes(changes: list[Change[Person]]) -> None:
        raise ValidationError(None, {"person": "stays"})

    with sessions() as session:
        session.execute(text("DELETE FROM person WHERE id = 2"))
        with pytest.raises(ValidationError):
            session.commit()
    with sessions() as session:
        assert session.get(Person, 2) is not None


def test_what_the_database_deletes_along_is_told(hooks: Hooks, sessions: Any) -> None:
    told = doors(hooks, "after_commit")
    with sessions() as session:
        session.execute(delete(Person).where(Person.id == 1))
        session.commit()
    assert [(door, change[0], change[2]["id"]) for door, change in told] == [
        ("ORM bulk", "delete", 1),
        ("captured", "delete", 2),
    ]


def test_net_changes_fold_in_the_order_in_which_it_happened(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Person)
    with sessions() as session:
        session.execute(text("UPDATE person SET age = 31 WHERE id = 1"))
        session.get(Person, 1).age = 32
        session.flush()
        session.execute(text("UPDATE person SET age = 33 WHERE id = 1"))
        session.commit()
        assert log.take() == [("update", "Person", {"age": (30, 33)})]
        session.execute(text("UPDATE person SET age = 34 WHERE id = 1"))
        session.execute(text("UPDATE person SET age = 33 WHERE id = 1"))
        session.commit()
        assert log.take() == []


def test_a_rolled_back_savepoint_takes_what_was_captured_with_it(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Person)
    with sessions() as session:
        with session.begin_nested() as savepoint:
            session.execute(text("UPDATE person SET age = 1"))
            savepoint.rollback()
        session.execute(text("UPDATE person SET age = 31 WHERE id = 1"))
        session.commit()
    assert log.take() == [("update", "Person", {"age": (30, 31)})]


def test_a_row_in_two_tables_is_one_change_of_its_own_class(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Person)
    with sessions() as session:
        session.execute(text("UPDATE worker SET pay = 6"))
        session.execute(text("UPDATE person SET age = 41 WHERE id = 3"))
        session.commit()
        assert log.take() == [("update", "Worker", {"age": (40, 41), "pay": (5, 6)})]
        session.execute(text("INSERT INTO person (id, kind, age) VALUES (7, 'worker', 50)"))
        session.execute(text("INSERT INTO worker (id, pay) VALUES (7, 9)"))
        session.commit()
        assert log.take() == [("insert", "Worker", {"id": 7, "kind": "worker", "age": 50, "pay": 9})]
        session.execute(text("DELETE FROM person WHERE id = 7"))
        session.commit()
        assert log.take() == [("delete", "Worker", {"id": 7, "kind": "worker", "age": 50, "pay": 9})]


def test_links_are_told_by_key_and_by_secondary_table(hooks: Hooks, sessions: Any) -> None:
    bosses, clubs = Log(), Log()
    for event_name in ("link", "unlink"):
        hooks.add(lambda change: bosses.append(brief(change)), "after_commit", event_name, Person.boss, name=event_name)
        hooks.add(
            lambda change: clubs.append(brief(change)),
            "after_commit",
            event_name,
            Person.clubs,
            name=f"{event_name} club",
        )
    with sessions() as session:
        session.execute(text("UPDATE person SET boss_id = 3 WHERE id = 2"))
        session.execute(text("INSERT INTO member_of VALUES (1, 1)"))
        session.commit()
        assert sorted(bosses.take()) == [("link", "boss", 2, 3), ("unlink", "boss", 2, 1)]
        assert clubs.take() == [("link", "clubs", 1, 1)]


def test_the_transaction_knows_what_was_captured_before_it_commits(hooks: Hooks, sessions: Any) -> None:
    known: list[Any] = []

    @hooks.before_commit("write", Person)
    def look(changes: list[Change[Person]], session: Session) -> None:
        known.extend(brief(change) for change in transaction(session).changes(Person))

    with sessions() as session:
        session.execute(text("UPDATE person SET age = 31 WHERE id = 1"))
        session.commit()
    assert known == [("update", "Person", {"age": (30, 31)})]


def test_triggers_that_are_missing_are_said_when_the_first_session_begins(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    attach(Hooks(), maker, capture=capture(Person))
    with maker() as session, pytest.raises(CaptureError, match="missing"):
        session.execute(text("SELECT 1"))
