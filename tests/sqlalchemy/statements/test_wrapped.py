"""The wrapped methods of sessions: what passes through them untouched, and several rule books at once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, ORMExecuteState, Session, mapped_column, sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]


class Other(Base):
    __tablename__ = "other"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(default=0)


def telling(name: str, told: list[Any], model: type = Thing) -> Hooks:
    hooks = Hooks(name)
    hooks.add(lambda change: told.append((name, change.event)), "after", "write", model, name=f"tell {name}")
    return hooks


@pytest.fixture
def maker(engine: Engine) -> sessionmaker[Session]:
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


@pytest.mark.parametrize("books", [1, 2, 3])
def test_each_rule_book_is_told_once(maker: sessionmaker[Session], books: int) -> None:
    told: list[Any] = []
    for number in range(books):
        attach(telling(f"book {number}", told), maker)
    with maker() as session:
        session.execute(insert(Thing), [{"id": 1, "size": 1}])
        session.execute(update(Thing).values(size=2).execution_options(synchronize_session="fetch"))
        session.execute(update(Thing).values(size=3).returning(Thing.id)).all()
        session.commit()
    names = [f"book {number}" for number in range(books)]
    assert sorted(told) == sorted((name, what) for name in names for what in ("insert", "update", "update"))


@pytest.mark.parametrize("place", ["maker", "session"])
def test_listeners_of_the_application_see_what_they_did_before(maker: sessionmaker[Session], place: str) -> None:
    told: list[Any] = []
    seen: list[str] = []
    with maker() as session:
        attach(telling("book", told), maker if place == "maker" else session)

        @event.listens_for(session, "do_orm_execute")
        def see(state: ORMExecuteState) -> Any:
            seen.append("select" if state.is_select else "update" if state.is_update else "insert")
            return state.invoke_statement() if state.is_update else None

        session.execute(insert(Thing).values(id=1, size=1))
        session.execute(update(Thing).values(size=2))
        assert session.scalars(select(Thing.size)).one() == 2
        session.execute(text("SELECT 1"))
        session.commit()
    assert told == [("book", "insert"), ("book", "update")]
    assert seen[:3] == ["insert", "update", "select"]


def test_what_concerns_no_hook_is_prepared_once(maker: sessionmaker[Session]) -> None:
    attach(telling("book", []), maker)
    with maker() as session:
        assert not list(session.dispatch.do_orm_execute)  # a listener would make SQLAlchemy prepare each of them twice
        session.execute(insert(Other).values(id=1))
        session.execute(select(Other))


def test_detached_they_do_what_they_did(maker: sessionmaker[Session]) -> None:
    told: list[Any] = []
    with attach(telling("book", told), maker):
        pass
    with maker() as session:
        session.execute(insert(Thing), [{"id": 1, "size": 1}])
        session.bulk_insert_mappings(Thing.__mapper__, [{"id": 2, "size": 1}])
        session.commit()
        assert len(session.scalars(select(Thing)).all()) == 2
    assert told == []
