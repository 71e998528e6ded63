"""Hooks that write: what they write is a write of its own, with its own change, cause and depth."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from hookline import HookLoopError, Hooks, PhaseError, ReadOnlyError, ValidationError, changed, from_user
from hookline.sqlalchemy import attach
from tests.sqlalchemy.recording import committed


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(default=0)
    members: Mapped[list[Member]] = relationship(back_populates="team")


class Member(Base):
    __tablename__ = "member"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pay: Mapped[int] = mapped_column(default=0)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    team: Mapped[Team | None] = relationship(back_populates="members")


class Audit(Base):
    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@pytest.fixture
def hooks() -> Hooks:
    return Hooks(max_depth=5)


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Any:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    return maker


def story(change: Any) -> tuple[Any, ...]:
    return (
        change.event,
        getattr(change.entity, "name", None),
        change.cause.name if change.cause else None,
        change.depth,
    )


def test_02_a_write_to_another_entity_whose_hooks_have_run_is_a_write_of_its_own(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.before("save", Member, order=1)
    def look(change: Any) -> None:
        seen.append((*story(change), sorted(change.fields)))

    @hooks.before("update", Member, order=2, when=from_user() & changed("pay"))
    def share(change: Any) -> None:
        for other in change.entity.team.members:
            if other is not change.entity:
                other.pay += 1

    with sessions() as session:
        team = Team(name="T", members=[Member(name="a"), Member(name="b")])
        session.add(team)
        session.commit()
        seen.clear()
        a, b = team.members
        a.pay, b.name = 10, "B"
        session.commit()
        assert (a.pay, b.pay) == (10, 1)
    assert seen == [
        ("update", "a", None, 0, ["pay"]),
        ("update", "B", None, 0, ["name"]),
        ("update", "B", "share", 1, ["pay"]),
    ]


def test_02_the_second_write_of_a_pending_entity_is_an_update(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.before("save", Team)
    def look(change: Any) -> None:
        seen.append((*story(change), dict(change.old).get("size"), change.new["size"]))

    @hooks.before("insert", Member)
    def count(change: Any) -> None:
        change.entity.team.size += 1

    log = committed(hooks, Team)
    with sessions() as session:
        session.add(Team(name="T", members=[Member(name="a"), Member(name="b")]))
        session.commit()
    assert seen == [("insert", "T", None, 0, None, 0), ("update", "T", "count", 1, 0, 2)]
    assert log == [("insert", "Team", {"id": 1, "name": "T", "size": 2})]


def test_02_a_hook_editing_its_own_entity_is_not_called_again(hooks: Hooks, sessions: Any) -> None:
    calls: list[str] = []

    @hooks.before("save", Member, order=1)
    def first(change: Any) -> None:
        calls.append("first")
        change.new["name"] = change.new["name"].upper()

    @hooks.before("save", Member, order=2)
    def second(change: Any) -> None:
        calls.append("second " + change.new["name"])
        change.entity.name += "!"

    @hooks.check("save", Member)
    def final(change: Any) -> None:
        calls.append("check " + change.new["name"])

    with sessions() as session:
        session.add(Member(name="a"))
        session.commit()
    assert calls == ["first", "second A", "check A!"]


def test_a_set_at_a_time_hook_edits_its_own_rows_and_writes_to_others(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.before("insert", Member)
    def number(changes: list[Any]) -> None:
        for n, change in enumerate(changes):
            change.new["pay"] = n
            change.entity.team.size += 1

    @hooks.before("save", Team)
    def look(change: Any) -> None:
        seen.append(story(change))

    with sessions() as session:
        session.add(Team(name="T", members=[Member(name="a"), Member(name="b")]))
        session.commit()
        assert [member.pay for member in session.query(Member)] == [0, 1]
    assert seen == [("insert", "T", None, 0), ("update", "T", "number", 1)]


def test_objects_that_hooks_add_have_hooks_cause_and_depth(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.before("insert", Member)
    def audit(change: Any, session: Any) -> None:
        session.add(Audit(text=f"new {change.new['name']}"))

    @hooks.after("insert", Audit)
    def after_audit(change: Any, session: Any) -> None:
        seen.append((change.cause.name, change.depth, change.parent.new["name"] if change.parent else None))
        session.add(Team(name="made"))

    @hooks.after("insert", Team)
    def after_team(change: Any) -> None:
        seen.append((change.cause.name, change.depth))

    with sessions() as session:
        session.add_all([Member(name="a"), Member(name="b")])
        session.commit()
    assert seen == [("audit", 1, "a"), ("audit", 1, "b"), ("after_audit", 2), ("after_audit", 2)]


def test_03_a_loop_is_an_error_that_shows_the_chain(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("save", Team)
    def ping(change: Any, session: Any) -> None:
        session.add(Audit(text="ping"))

    @hooks.before("save", Audit)
    def pong(change: Any, session: Any) -> None:
        session.add(Team(name="pong"))

    with sessions() as session:
        session.add(Team(name="T"))
        with pytest.raises(HookLoopError) as caught:
            session.commit()
    text = str(caught.value)
    assert "ping" in text
    assert "pong" in text
    assert "6 causes" in text


def test_03_loops_of_after_and_before_commit_hooks_end_too(hooks: Hooks, sessions: Any) -> None:
    @hooks.after("insert", Audit)
    def again(change: Any, session: Any) -> None:
        session.add(Audit(text=change.new["text"] + "!"))

    @hooks.before_commit("save", Team)
    def grow(change: Any) -> None:
        change.entity.size += 1

    with sessions() as session:
        session.add(Audit(text="a"))
        with pytest.raises(HookLoopError):
            session.commit()
    with sessions() as session:
        session.add(Team(name="T"))
        with pytest.raises(HookLoopError, match="before_commit"):
            session.commit()
        assert session.query(Team).count() == 0


def test_after_hooks_may_flush_and_query_what_they_wrote(hooks: Hooks, sessions: Any) -> None:
    @hooks.after("insert", Member)
    def count(change: Any, session: Any) -> None:
        session.add(Audit(text="x"))
        assert session.query(Audit).count() == 1  # autoflush
        session.add(Audit(text="y"))
        session.flush()

    log = committed(hooks, Audit)
    with sessions() as session:
        session.add(Member(name="a"))
        session.commit()
    assert len(log) == 2


def test_check_hooks_cannot_write(hooks: Hooks, sessions: Any) -> None:
    def edit(change: Any) -> None:
        change.entity.name = "x"

    def assign(change: Any) -> None:
        change.new["name"] = "x"

    def add(change: Any, session: Any) -> None:
        session.add(Audit(text="x"))

    for rule, error in ((edit, ReadOnlyError), (assign, ReadOnlyError), (add, PhaseError)):
        hooks.add(rule, "check", "save", Team)
        with sessions() as session:
            session.add(Team(name="T"))
            with pytest.raises(error):
                session.flush()
        hooks.remove(rule.__name__)


def test_values_cannot_be_assigned_after_the_write(hooks: Hooks, sessions: Any) -> None:
    @hooks.after("save", Team)
    def late(change: Any) -> None:
        change.new["name"] = "x"

    with sessions() as session:
        session.add(Team(name="T"))
        with pytest.raises(ReadOnlyError, match="`before`"):
            session.flush()


def test_an_edit_can_be_dropped(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("save", Team)
    def frozen(change: Any) -> None:
        del change.new["size"]

    log = committed(hooks, Team)
    with sessions() as session:
        team = Team(name="T", size=5)
        session.add(team)
        session.commit()
        team.size = 9
        session.commit()
        assert team.size == 0
    assert log == [("insert", "Team", {"id": 1, "name": "T", "size": 0})]


def test_an_error_of_a_hook_propagates_unchanged_with_a_note(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("save", Team)
    def broken(change: Any) -> None:
        raise ZeroDivisionError("oops")

    with sessions() as session:
        session.add(Team(name="T"))
        with pytest.raises(ZeroDivisionError) as caught:
            session.flush()
    assert caught.value.args == ("oops",)
    assert caught.value.__notes__ == ["raised in hook 'broken' (before) on <insert Team None>"]


def test_refusals_of_one_flush_are_gathered(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("save", Team)
    def no_t(change: Any) -> None:
        raise ValidationError(change.entity, {"name": "no T"})

    @hooks.check("save", Member)
    def no_m(change: Any) -> None:
        raise ValidationError(change.entity, {"name": "no M", "pay": ["too low", "too odd"]})

    with sessions() as session:
        session.add_all([Team(name="T"), Member(name="a"), Member(name="b")])
        with pytest.raises(ValidationError) as caught:
            session.flush()
        assert [p.text for p in caught.value.problems] == ["no T"] + ["no M", "too low", "too odd"] * 2
        session.rollback()


def test_commit_inside_a_hook_is_refused(hooks: Hooks, sessions: Any) -> None:
    @hooks.after("save", Team)
    def eager(change: Any, session: Any) -> None:
        session.commit()

    with sessions() as session:
        session.add(Team(name="T"))
        with pytest.raises(PhaseError, match="eager"):
            session.flush()
        session.rollback()
        assert session.query(Team).count() == 0
