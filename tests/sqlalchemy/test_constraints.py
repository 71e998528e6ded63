"""A database's own refusals are the same error as a rule's, by field."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Engine, ForeignKey, UniqueConstraint, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from hookline import Hooks, ValidationError
from hookline.sqlalchemy import attach
from tests.sqlalchemy.recording import logged


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column("e_mail", unique=True)
    first: Mapped[str]
    last: Mapped[str | None]
    age: Mapped[int | None]
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    __table_args__ = (
        UniqueConstraint("first", "last", name="one_of_a_name"),
        CheckConstraint("age >= 0", name="age_is_positive"),
    )


class Plain(Base):
    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


@pytest.fixture
def sessions(engine: Engine) -> Any:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    Base.metadata.create_all(engine)
    hooks = Hooks()
    logged(hooks, "after", User)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    with maker() as session:
        session.add(User(email="ada@example.org", first="Ada", last="Lovelace"))
        session.commit()
    return maker


def refused(sessions: Any, *entities: Any) -> ValidationError:
    with sessions() as session:
        session.add_all(entities)
        with pytest.raises(ValidationError) as caught:
            session.commit()
        assert "IntegrityError" in [kind.__name__ for kind in type(caught.value.__cause__).__mro__]  # the driver's
    return caught.value


def test_unique(sessions: Any) -> None:
    user = User(email="ada@example.org", first="A", last="L")
    error = refused(sessions, user)
    assert error.by_field() == {"email": ["must be unique, and this value is taken"]}
    assert (error.problems[0].code, error.entity) == ("unique", user)


def test_unique_over_two_columns(sessions: Any) -> None:
    error = refused(sessions, User(email="x@example.org", first="Ada", last="Lovelace"))
    assert set(error.by_field()) == {"first", "last"}


def test_not_null(sessions: Any) -> None:
    error = refused(sessions, User(email="x@example.org"))
    assert error.by_field() == {"first": ["must be given"]}


def test_check(sessions: Any) -> None:
    error = refused(sessions, User(email="x@example.org", first="X", age=-1))
    assert error.by_field() == {"age": ["does not meet the constraint age_is_positive"]}
    assert error.problems[0].code == "check"


def test_foreign_key(sessions: Any) -> None:
    error = refused(sessions, User(email="x@example.org", first="X", manager_id=99))
    assert error.problems[0].code == "foreign_key"
    assert error.problems[0].field == "manager_id"


def test_the_row_is_found_among_many(sessions: Any) -> None:
    users = [User(email=f"{n}@example.org", first=str(n)) for n in range(5)]
    users[3].first = None  # type: ignore[assignment]
    assert refused(sessions, *users).entity in (users[3], User)


def test_13_tables_without_hooks_keep_the_databases_error(sessions: Any) -> None:
    with sessions() as session:
        session.add_all([Plain(name="a"), Plain(name="a"), User(email="b@example.org", first="B")])
        with pytest.raises(IntegrityError):
            session.commit()
