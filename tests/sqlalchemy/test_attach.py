"""What a rule book can be attached to; two books, two sessions, several engines: nothing leaks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from hookline import HooklineError, Hooks, TargetError, UnhookedWriteWarning, ValidationError
from hookline.sqlalchemy import attach, transaction
from tests.sqlalchemy.recording import committed, logged


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Elsewhere(Base):
    __tablename__ = "elsewhere"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    Base.metadata.create_all(engine)


def write(session: Session, name: str = "a") -> None:
    session.add(Thing(name=name))
    session.commit()
    session.close()


@pytest.mark.parametrize("kind", ["sessionmaker", "scoped_session", "class", "session"])
def test_attaching_and_detaching(engine: Engine, hooks: Hooks, kind: str) -> None:
    log = committed(hooks)
    opened: list[bool] = []
    hooks.add(
        lambda change, session: opened.append(session.get(Thing, change.key) is not None),
        "after_commit",
        "write",
        name="o",
    )
    maker = sessionmaker(engine)
    single = Session(engine)

    class Own(Session):
        pass

    target: Any = {
        "sessionmaker": maker,
        "scoped_session": scoped_session(maker),
        "class": Own,
        "session": single,
    }[kind]
    make: Any = {
        "sessionmaker": maker,
        "scoped_session": maker,
        "class": lambda: Own(engine),
        "session": lambda: single,
    }[kind]
    attachment = attach(hooks, target)
    assert attach(hooks, target) is attachment
    write(make())
    with Session(engine) as unconcerned:
        write(unconcerned)
    assert len(log) == 1
    assert opened == [True]
    attachment.detach()
    write(make())
    assert len(log) == 1
    with pytest.raises(HooklineError, match="detached already"):
        attachment.detach()
    with attach(hooks, target):
        write(make())
    write(make())
    assert len(log) == 2


def test_what_cannot_be_attached_to(engine: Engine, hooks: Hooks) -> None:
    with pytest.raises(TargetError, match="sessionmaker"):
        attach(hooks, engine)
    with pytest.raises(TargetError, match="async_sessionmaker"):
        attach(hooks, AsyncSession)
    with pytest.raises(TargetError, match="attach\\(hooks, SessionLocal\\) first"):
        transaction(Session(engine))


def test_one_book_on_a_class_and_its_maker_runs_once(engine: Engine, hooks: Hooks) -> None:
    class Own(Session):
        pass

    maker = sessionmaker(engine, class_=Own)
    log = committed(hooks)
    attach(hooks, Own)
    attach(hooks, maker)
    write(maker())
    assert len(log) == 1


def test_two_books_on_one_session_are_apart(engine: Engine) -> None:
    first, second = Hooks("first"), Hooks("second")
    logs = committed(first), committed(second)
    maker = sessionmaker(engine)
    attach(first, maker)
    attachment = attach(second, maker)
    with maker() as session:
        with pytest.raises(TargetError, match="Several"):
            transaction(session)
        transaction(session, first).data["x"] = 1
        assert transaction(session, second).data == {}
        session.add(Thing(name="a"))
        session.commit()
    assert [len(log) for log in logs] == [1, 1]
    attachment.detach()
    write(maker())
    assert [len(log) for log in logs] == [2, 1]


def test_two_sessions_do_not_mix(engine: Engine, hooks: Hooks) -> None:
    if engine.dialect.name == "sqlite":
        return  # it has one writer at a time
    log = committed(hooks)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as one, maker() as other:
        one.add(Thing(name="one"))
        one.flush()
        other.add(Thing(name="other"))
        other.flush()
        one.rollback()
        other.commit()
    assert [row[2]["name"] for row in log] == ["other"]


def test_several_engines_in_one_session(engine: Engine, hooks: Hooks, tmp_path: Path) -> None:
    second = create_engine(f"sqlite:///{tmp_path}/second.sqlite")
    Base.metadata.create_all(second)
    maker = sessionmaker(binds={Thing: engine, Elsewhere: second})
    counts: list[Any] = []

    def count(change: Any, session: Session) -> None:
        counts.append((session.query(Thing).count(), session.query(Elsewhere).count()))

    hooks.add(count, "after_commit", "insert")
    log = committed(hooks)
    attach(hooks, maker)
    with maker() as session:
        session.add_all([Thing(name="a"), Elsewhere()])
        session.commit()
        thing = session.query(Thing).one()
        session.expire(thing)
        thing.name = "b"
        session.commit()
    assert counts == [(1, 1), (1, 1)]
    assert log[-1] == ("update", "Thing", {"name": ("a", "b")})
    second.dispose()


def test_13_models_without_hooks_behave_as_if_hookline_were_not_there(engine: Engine, hooks: Hooks) -> None:
    logged(hooks, "before", Elsewhere)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        statements: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda c, cu, statement, *rest: statements.append(statement))
        session.add(Thing(id=1, name="a"))
        session.commit()
        assert [s.split()[0] for s in statements if s != "BEGIN"] == ["INSERT"]
        session.add(Thing(id=1, name="a"))
        with pytest.raises(Exception) as caught:
            session.commit()
        assert not isinstance(caught.value, ValidationError)


def test_edits_of_other_flush_listeners_are_checked(engine: Engine, hooks: Hooks) -> None:
    @hooks.check("save", Thing)
    def no_bad_names(change: Any) -> None:
        if change.new["name"] == "bad":
            raise ValidationError(change.entity, {"name": "is bad"})

    maker = sessionmaker(engine)
    attach(hooks, maker)

    @event.listens_for(maker, "before_flush")
    def edit(session: Session, context: Any, instances: Any) -> None:
        for one in session.new:
            one.name = "bad"

    with maker() as session:
        session.add(Thing(name="good"))
        with pytest.raises(ValidationError):
            session.commit()


def test_rows_that_other_flush_listeners_add_are_checked_and_told_of(engine: Engine, hooks: Hooks) -> None:
    before = logged(hooks, "before", Thing)
    log = committed(hooks, Thing)
    maker = sessionmaker(engine)
    attach(hooks, maker)

    @event.listens_for(maker, "before_flush")
    def add(session: Session, context: Any, instances: Any) -> None:
        if len(session.new) == 1:
            session.add(Thing(name="sneaked in"))

    with maker() as session:
        session.add(Thing(name="good"))
        with pytest.warns(UnhookedWriteWarning, match="another listener"):
            session.commit()
    assert (len(before), len(log)) == (1, 2)


def test_hooks_can_be_registered_while_other_threads_write(engine: Engine) -> None:
    hooks = Hooks()
    log = committed(hooks)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    failures: list[BaseException] = []
    rounds = 30
    stop = threading.Event()

    def writer() -> None:
        try:
            for number in range(rounds):
                with maker() as session:
                    session.add(Thing(name=str(number)))
                    session.commit()
        except BaseException as error:
            failures.append(error)

    def registrar() -> None:
        number = 0
        try:
            while not stop.is_set():
                logged(hooks, "before", Thing, order=number % 7)
                number += 1
                if number % 2:
                    hooks.remove(next(iter(hooks["log before write 1"] and [list(hooks)[-1].name])))
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=writer) for _ in range(1 if engine.dialect.name == "sqlite" else 3)]
    registering = threading.Thread(target=registrar)
    logged(hooks, "before", Thing)
    registering.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    registering.join()
    assert failures == []
    assert len(log) == rounds * len(writers)
