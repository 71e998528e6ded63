"""Between the reading and the writing of a statement nobody else writes its rows."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from hookline import Change, Hooks
from tests.databases import Database
from tests.sqlalchemy.databases import engine_for
from tests.sqlalchemy.statements.schema import Base, Club, Person, people

__all__ = ["Base"]


def add_one(connection: Any) -> None:
    connection.execute(text("UPDATE person SET age = age + 1"))


@pytest.fixture
def impatient(database: Database) -> Any:
    """Another connection, which does not wait for locks."""
    if database.kind == "sqlite":
        engine = engine_for(str(database), connect_args={"timeout": 0})
    else:
        engine = create_engine(str(database).replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        if database.kind == "postgresql":
            connection.execute(text("SET lock_timeout = '50ms'"))
            connection.commit()
        yield connection
        connection.rollback()
    engine.dispose()


STATEMENTS: dict[str, Any] = {
    "update": lambda session: session.execute(update(Person).values(age=Person.age * 2)),
    "core update": lambda session: session.execute(update(Person.__table__).values(age=Person.age * 2)),  # type: ignore[arg-type]
    "list of rows": lambda session: session.execute(update(Person), [{"id": 1, "age": 60}]),
    "delete": lambda session: session.execute(delete(Person)),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_are_locked_before_hooks_see_them(hooks: Hooks, session: Session, impatient: Any, name: str) -> None:
    people(session, Anna=30)
    tried: list[str] = []

    @hooks.before("write", Person)
    def somebody_else_writes(change: Change[Person]) -> None:
        try:
            add_one(impatient)
        except OperationalError as error:
            tried.append(str(error.orig))
        impatient.rollback()

    STATEMENTS[name](session)
    session.commit()
    assert len(tried) == 1
    assert "lock" in tried[0]
    if name != "delete":
        assert session.scalars(select(Person.age)).all() == [60]


def test_sqlite_takes_the_write_lock_before_it_reads(
    hooks: Hooks, session: Session, impatient: Any, engine: Engine
) -> None:
    """Else another could write in between, and what was read would be out of date."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL locks rows")
    people(session, Anna=30)
    seen: list[Any] = []

    @hooks.before("update", Person)
    def note(change: Change[Person]) -> None:
        seen.append(change.old["age"])

    add_one(impatient)
    impatient.commit()
    session.execute(update(Person).values(age=Person.age * 2))
    assert seen == [31]


def test_sqlite_takes_the_write_lock_before_it_reads_what_is_to_be_inserted(
    hooks: Hooks, session: Session, impatient: Any, engine: Engine
) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL compares what was written")
    people(session, Anna=30)
    tried: list[str] = []

    @hooks.before("insert", Club)
    def somebody_else_writes(change: Change[Club]) -> None:
        with pytest.raises(OperationalError, match="locked"):
            add_one(impatient)
        impatient.rollback()
        tried.append(change.new["name"])

    session.execute(insert(Club).from_select(["name"], select(Person.name)))
    assert tried == ["Anna"]


def test_other_rows_stay_free(hooks: Hooks, session: Session, impatient: Any, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    people(session, Anna=30, Ben=40)

    @hooks.before("update", Person)
    def somebody_else_writes(change: Change[Person]) -> None:
        impatient.execute(text("UPDATE person SET age = 50 WHERE id = 2"))
        impatient.commit()

    session.execute(update(Person).where(Person.id == 1).values(age=31))
    session.commit()
    assert session.scalars(select(Person.age).order_by(Person.id)).all() == [31, 50]


def test_rows_that_a_subquery_reads_are_not_locked(
    hooks: Hooks, session: Session, impatient: Any, engine: Engine
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    people(session, Anna=30)
    session.execute(insert(Club), [{"name": "chess", "size": 3}])
    session.commit()

    @hooks.before("update", Person)
    def somebody_else_writes(change: Change[Person]) -> None:
        impatient.execute(text("UPDATE club SET name = 'golf'"))
        impatient.commit()

    session.execute(update(Person).values(age=select(Club.size).scalar_subquery()))
    session.commit()
    assert session.scalars(select(Person.age)).all() == [3]
