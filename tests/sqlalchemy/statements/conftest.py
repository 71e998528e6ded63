"""What the tests of statements share: a session with hooks, and what it has sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from tests.sqlalchemy.statements.sent import Sent


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def sessions(request: pytest.FixtureRequest, engine: Engine, hooks: Hooks) -> Iterator[sessionmaker[Session]]:
    """Sessions with hooks, on the tables of the test module's `Base`."""
    request.module.Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker):
        yield maker


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sessions() as session:
        yield session


@pytest.fixture
def sent(engine: Engine) -> Iterator[Sent]:
    """What is sent to the database."""
    found = Sent()

    def sending(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((" ".join(statement.split()), parameters))

    event.listen(engine, "before_cursor_execute", sending)
    yield found
    event.remove(engine, "before_cursor_execute", sending)
