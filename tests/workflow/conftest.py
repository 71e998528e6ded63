"""A rule book with a workflow of parcels, attached to sessions of a database with its tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import Outbox, attach
from hookline.workflow import Workflow
from tests.workflow.parcels import Base, moods, parcels


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def shipping(hooks: Hooks) -> Workflow:
    flow = parcels()
    hooks.use(flow)
    return flow


@pytest.fixture
def tickets(hooks: Hooks) -> Workflow:
    flow = moods()
    hooks.use(flow)
    return flow


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks, shipping: Workflow, tickets: Workflow) -> Iterator[sessionmaker[Session]]:
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)
    maker = sessionmaker(engine, expire_on_commit=False)
    with attach(hooks, maker):
        yield maker
