"""What most tests of deliveries begin with: an empty rule book, attached to sessions of a database with an outbox."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from tests.durable.deliveries import made


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> sessionmaker[Session]:
    made(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    return maker
