"""How transactions end: commit, savepoints, rollback, close, two-phase, joined connections."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Hooks, NotFollowedError, Operation, Outcome, PhaseError, ValidationError
from hookline.sqlalchemy import attach, transaction
from tests.sqlalchemy.recording import committed, logged


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    count: Mapped[int] = mapped_column(default=0)


class Other(Base):
    __tablename__ = "other"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Any:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    return maker


def test_05_three_saves_are_one_net_change_and_there_and_back_is_nothing(hooks: Hooks, sessions: Any) -> None:
    log, steps = committed(hooks), logged(hooks, "after_commit", net=False)
    with sessions() as session:
        item = Item(name="a")
        session.add(item)
        session.flush()
        for name in ("b", "c"):
            item.name = name
            session.flush()
        session.commit()
        assert log.take() == [("insert", "Item", {"count": 0, "id": 1, "name": "c"})]
        assert [row[0] for row in steps.take()] == ["insert", "update", "update"]
        item.name = "x"
        session.flush()
        item.name = "c"
        session.commit()
        assert log.take() == []
        gone = Item(name="gone")
        session.add(gone)
        session.flush()
        session.delete(gone)
        session.commit()
        assert log == []


def test_08_a_rolled_back_savepoint_takes_what_is_its_own_and_only_that(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks)
    done: list[Any] = []

    class Collect(Operation):
        def before_commit(self) -> None:
            done.append(list(self.items))

    with sessions() as session:
        tx = transaction(session)
        session.add(Item(name="outer"))
        session.flush()
        Collect.of(tx).add("outer")
        tx.after_commit(lambda: done.append("outer callback"))
        with session.begin_nested() as savepoint:
            session.add(Item(name="inner"))
            session.flush()
            Collect.of(tx).add("inner")
            tx.after_commit(lambda: done.append("inner callback"))
            with session.begin_nested():
                session.add(Item(name="innermost"))
            savepoint.rollback()
        with session.begin_nested():
            session.add(Item(name="kept"))
            Collect.of(tx).add("kept")
        session.commit()
    assert sorted(row[2]["name"] for row in log) == ["kept", "outer"]
    assert done == [["outer", "kept"], "outer callback"]


def test_07_after_commit_waits_for_the_outermost_commit(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks)
    with sessions() as session:
        with session.begin():
            with session.begin_nested():
                session.add(Item(name="a"))
            assert log == []
        assert len(log) == 1


def test_a_commit_with_an_open_savepoint(hooks: Hooks, sessions: Any) -> None:
    log, before = committed(hooks), logged(hooks, "before_commit")
    with sessions() as session:
        session.begin_nested()
        session.add(Item(name="a"))
        session.commit()
    assert len(log) == len(before) == 1
    with sessions() as session, session.begin():
        session.begin_nested()
        session.add(Item(name="b"))
    assert len(log) == len(before) == 2


def test_07_read_only_transactions_and_unhooked_writes_fire_nothing(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Item)
    with sessions() as session:
        session.query(Item).all()
        session.commit()
        session.add(Other())
        session.commit()
    assert log == []


def test_07_failures_after_commit_stop_nothing(hooks: Hooks, sessions: Any, caplog: pytest.LogCaptureFixture) -> None:
    handed: list[Any] = []
    hooks.on_error = lambda error, change, hook: handed.append((str(error), change.key, hook.name))

    @hooks.after_commit("insert", Item, order=-1)
    def broken(change: Any) -> None:
        raise OSError("no network")

    log = committed(hooks)
    with sessions() as session, caplog.at_level(logging.ERROR, "hookline"):
        tx = transaction(session)
        session.add_all([Item(name="a"), Item(name="b")])
        session.commit()
        assert tx.outcome is Outcome.COMMITTED
        assert [str(error) for error in tx.errors] == ["no network", "no network"]
    assert len(log) == 2
    assert handed == [("no network", 1, "broken"), ("no network", 2, "broken")]
    assert "hook 'broken' (after_commit) failed on <insert Item 1>" in caplog.text


def test_failures_after_commit_can_be_asked_to_reach_the_caller(engine: Engine, hooks: Hooks) -> None:
    Base.metadata.create_all(engine)

    @hooks.after_commit("insert", Item)
    def broken(change: Any) -> None:
        raise OSError("no network")

    maker = sessionmaker(engine)
    attach(hooks, maker, raise_after_commit=True)
    with maker() as session:
        session.add(Item(name="a"))
        with pytest.raises(ExceptionGroup) as caught:
            session.commit()
        assert isinstance(caught.value.exceptions[0], OSError)
        assert session.query(Item).count() == 1


def test_06_before_commit_may_write_and_refuse_and_a_failure_rolls_back_everything(hooks: Hooks, sessions: Any) -> None:
    rounds: list[Any] = []

    @hooks.before_commit("save", Item)
    def total(changes: list[Any], session: Any) -> None:
        rounds.append(sorted(change.new["name"] for change in changes))
        if any(change.new["name"] == "bad" for change in changes):
            raise ValidationError(changes[0].entity, {"name": "is bad"})
        if not any(change.new["name"] == "sum" for change in changes):
            session.add(Item(name="sum", count=len(changes)))

    back = logged(hooks, "after_rollback")
    with sessions() as session:
        session.add_all([Item(name="a"), Item(name="b")])
        session.commit()
        assert rounds == [["a", "b"], ["sum"]]
        assert session.query(Item).count() == 3
        session.commit()
        session.add(Item(name="bad"))
        with pytest.raises(ValidationError):
            session.commit()
        assert len(back) == 1
        session.commit()  # nothing of it is left to be committed
        assert session.query(Item).count() == 3


def test_operations_run_in_order_revert_in_reverse_and_start_afresh(hooks: Hooks, sessions: Any) -> None:
    calls: list[Any] = []

    class Logged(Operation):
        def before_commit(self) -> None:
            calls.append((type(self).__name__, "before_commit", list(self.items)))
            if "again" in self.items:
                type(self).of(self.tx).add("fresh")
            if "fail" in self.items:
                raise ValidationError(None, {"": "no"})

        def revert(self) -> None:
            calls.append((type(self).__name__, "revert"))

        def after_commit(self, session: Any) -> None:
            calls.append((type(self).__name__, "after_commit", session.scalar(text("SELECT 1"))))

        def after_rollback(self) -> None:
            calls.append((type(self).__name__, "after_rollback"))

    class Early(Logged):
        order = Operation.EARLY

    class Late(Logged):
        order = Operation.LATE

    with sessions() as session:
        tx = transaction(session)
        Late.of(tx).add(1)
        Early.of(tx).add("again")
        assert Late.of(tx) is Late.of(tx)
        session.commit()
        assert calls == [
            ("Early", "before_commit", ["again"]),
            ("Early", "before_commit", ["fresh"]),
            ("Late", "before_commit", [1]),
            ("Early", "after_commit", 1),
            ("Early", "after_commit", 1),
            ("Late", "after_commit", 1),
        ]
        calls.clear()
        with pytest.raises(PhaseError, match="over"):
            Late.of(tx)
        tx = transaction(session)
        Early.of(tx).add(1)
        Logged.of(tx).add("fail")
        Late.of(tx).add(3)
        with pytest.raises(ValidationError):
            session.commit()
        assert calls == [
            ("Early", "before_commit", [1]),
            ("Logged", "before_commit", ["fail"]),
            ("Logged", "revert"),
            ("Early", "revert"),
            ("Early", "after_rollback"),
            ("Logged", "after_rollback"),
            ("Late", "after_rollback"),
        ]


@pytest.mark.parametrize("how", ["rollback", "close", "exception"])
def test_09_whatever_does_not_commit_is_rolled_back(hooks: Hooks, sessions: Any, how: str) -> None:
    log, back = committed(hooks), logged(hooks, "after_rollback")
    callbacks: list[str] = []
    session = sessions()
    tx = transaction(session)
    tx.after_commit(lambda: callbacks.append("committed"))
    tx.after_rollback(lambda: callbacks.append("rolled back"))
    if how == "exception":
        with pytest.raises(KeyError), session.begin_nested():
            session.add(Item(name="a"))
            raise KeyError
        with pytest.raises(KeyError), session:
            session.add(Item(name="b"))
            session.flush()
            raise KeyError
    else:
        session.add(Item(name="b"))
        session.flush()
        getattr(session, how)()
    session.close()
    assert tx.outcome is Outcome.ROLLED_BACK
    assert callbacks == ["rolled back"]
    assert (log, [row[2]["name"] for row in back]) == ([], ["b"])


def test_the_transaction_answers_what_it_did(hooks: Hooks, sessions: Any) -> None:
    answers: list[Any] = []

    @hooks.before("write", Item)
    def ask(change: Any, tx: Any) -> None:
        answers.append((tx.added(change.entity), tx.updated(change.entity), tx.deleted(change.entity)))

    with sessions() as session:
        tx = transaction(session)
        item = Item(name="a")
        session.add(item)
        session.flush()
        item.name = "b"
        session.flush()
        assert tx.added(item)
        assert tx.added(Item, 1)
        assert not tx.updated(item)
        assert [change.new["name"] for change in tx.changes(Item)] == ["b"]
        tx.data["x"] = 1
        assert transaction(session).data == {"x": 1}
        session.commit()
        tx = transaction(session)
        assert tx.data == {}
        session.delete(item)
        session.flush()
        assert tx.deleted(Item, 1)
        with pytest.raises(NotFollowedError, match=r"hooks\.follow\(Other\)"):
            tx.changes(Other)
        hooks.follow(Other)
        other = Other()
        session.add(other)
        session.flush()
        assert tx.added(other)
        session.commit()
    assert answers == [(True, False, False), (True, False, False), (False, False, True)]


def test_09_a_commit_that_fails_is_told_from_a_rollback(engine: Engine, hooks: Hooks) -> None:
    create = (
        "CREATE TABLE item (id INTEGER PRIMARY KEY {serial}, name VARCHAR NOT NULL, count INTEGER NOT NULL, "
        "owner INTEGER REFERENCES other (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (id INTEGER PRIMARY KEY)"))
        connection.execute(text(create.format(serial="" if sqlite else "GENERATED BY DEFAULT AS IDENTITY")))
    calls: list[str] = []

    class Undo(Operation):
        def before_commit(self) -> None:
            calls.append("before_commit")

        def revert(self) -> None:
            calls.append("revert")

    log, back = committed(hooks), logged(hooks, "after_rollback")
    hooks.bypass = "allow"
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        if sqlite:
            session.execute(text("PRAGMA foreign_keys=ON"))
            session.commit()
        tx = transaction(session)
        Undo.of(tx).add(1)
        session.add(Item(name="a"))
        session.flush()
        session.execute(text("UPDATE item SET owner = 99"))
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            session.commit()
        session.rollback()
        assert tx.outcome is Outcome.COMMIT_FAILED
    assert calls == ["before_commit", "revert"]
    assert (log, len(back)) == ([], 1)


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "control_fully", "conditional_savepoint"])
@pytest.mark.parametrize("kept", [True, False])
def test_07_a_session_that_joined_a_transaction_waits_for_its_real_end(
    engine: Engine, hooks: Hooks, mode: Any, kept: bool
) -> None:
    Base.metadata.create_all(engine)
    log, back = committed(hooks), logged(hooks, "after_rollback")
    with engine.connect() as connection:
        outer = connection.begin()
        session = Session(bind=connection, join_transaction_mode=mode)
        attach(hooks, session)
        session.add(Item(name="a"))
        session.commit()
        session.add(Item(name="b"))
        session.commit()
        session.close()
        if mode == "control_fully":
            assert len(log) == 2  # its commit was the real one
            return
        assert (log, back) == ([], [])
        if kept:
            outer.commit()
            assert [row[2]["name"] for row in log] == ["a", "b"]
        else:
            outer.rollback()
            assert [row[2]["name"] for row in back] == ["a", "b"]
            assert log == []


def test_two_phase_commit(hooks: Hooks, postgresql_url: str, database: Any) -> None:
    if database.kind == "sqlite":
        return  # it has no two-phase commit; the other half of this test is what counts
    from sqlalchemy import create_engine

    engine = create_engine(str(database))
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        if connection.scalar(text("SHOW max_prepared_transactions")) == "0":
            engine.dispose()
            pytest.fail("the test server must allow prepared transactions")
    log, before = committed(hooks), logged(hooks, "before_commit")
    maker = sessionmaker(engine, twophase=True)
    attach(hooks, maker)
    with maker() as session:
        session.add(Item(name="a"))
        session.commit()
        session.add(Item(name="b"))
        session.prepare()
        assert (len(log), len(before)) == (1, 2)
        session.commit()
        assert (len(log), len(before)) == (2, 2)
        session.add(Item(name="c"))
        session.prepare()
        session.rollback()
    assert len(log) == 2
    engine.dispose()
