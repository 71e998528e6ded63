"""The recorder of `hookline.testing`, on real sessions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from hookline import Hooks
from hookline.sqlalchemy import attach
from hookline.testing import SuspendedError, drive, record, recorder

from .harness import Base, Company, Person


@pytest.fixture
def session(engine: Engine) -> Any:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


def test_it_writes_down_every_phase_while_the_block_lasts(session: Session) -> None:
    hooks = Hooks()
    with attach(hooks, session):
        with recorder(hooks, Person) as calls:
            session.add_all([Person(name="Ann"), Company(name="Acme")])
            session.commit()
        session.add(Person(name="Bob"))
        session.commit()
    assert calls.said("after_commit") == [("insert", "Person", 1)]
    assert [call.phase for call in calls] == ["before", "check", "after", "before_commit", "after_commit"]
    assert [call.new and call.new["name"] for call in calls.of("after", "insert", Person)] == ["Ann"]
    assert len(hooks) == 0


def test_it_follows_links_that_are_named(session: Session) -> None:
    hooks = Hooks()
    with attach(hooks, session), recorder(hooks, Person, links=[Person.employer], phases=["after"]) as calls:
        session.add(Person(name="Ann", employer=Company(name="Acme")))
        session.commit()
    assert calls.said("after") == [("insert", "Person", 1), ("link", "Person", (1, 1))]
    (link,) = calls.of(event="link")
    assert (link.relation, link.subject_key, link.object_key) == ("employer", 1, 1)


def test_it_shows_who_caused_a_write(session: Session) -> None:
    hooks = Hooks()

    @hooks.after("insert", Person)
    def found_a_company(change: Any, session: Any) -> None:
        session.add(Company(name=change.new["name"]))

    with attach(hooks, session), recorder(hooks) as calls:
        session.add(Person(name="Ann"))
        session.commit()
    (call,) = calls.of("after", model=Company)
    assert (call.cause, call.depth, call.door) == ("found_a_company", 1, "unit of work")


def test_it_says_what_the_old_and_new_rows_were(session: Session) -> None:
    hooks = Hooks()
    ann = Person(name="Ann", age=1)
    session.add(ann)
    session.commit()
    updates = record(hooks, "after_commit", "update", Person)
    with attach(hooks, session):
        ann.age = 2
        session.commit()
    (call,) = updates
    assert call.old is not None and call.new is not None
    assert (call.key, call.old["age"], call.new["age"], call.fields) == (1, 1, 2, {"age"})


def test_it_leaves_no_hook_behind_when_the_block_raises(session: Session) -> None:
    hooks = Hooks()
    with pytest.raises(RuntimeError), recorder(hooks):
        raise RuntimeError
    assert len(hooks) == 0


def test_a_coroutine_that_waits_cannot_be_driven() -> None:
    with pytest.raises(SuspendedError, match="waited"):
        drive(asyncio.sleep(0))
