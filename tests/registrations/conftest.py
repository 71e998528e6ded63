"""A rule book with callbacks that write down what they are told, and registrations in memory and in databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.registrations import DatabaseRegistrations, MemoryRegistrations
from hookline.sqlalchemy import attach
from tests.registrations.schema import Base


@dataclass
class House:
    """A rule book, its sessions, and what its callbacks have heard."""

    hooks: Hooks
    sessions: sessionmaker[Session]
    heard: list[Any] = field(default_factory=list)

    def taken(self) -> list[Any]:
        """What was heard since somebody asked last."""
        heard, self.heard[:] = list(self.heard), []
        return heard


def house_on(engine: Engine) -> House:
    house = House(Hooks(), sessionmaker(engine))

    @house.hooks.callback
    def listen(change: Any) -> None:
        house.heard.append((change.event, change.key))

    @house.hooks.callback(name="listen to all")
    def listen_to_all(changes: Any) -> None:
        house.heard.append([(change.event, change.key) for change in changes])

    @house.hooks.callback
    def whisper(change: Any) -> None:
        house.heard.append(("whisper", change.key))

    return house


@pytest.fixture
def house(engine: Engine) -> Iterator[House]:
    Base.metadata.create_all(engine)
    house = house_on(engine)
    with attach(house.hooks, house.sessions):
        yield house


@pytest.fixture
def registrations(house: House, engine: Engine) -> DatabaseRegistrations:
    made = DatabaseRegistrations(engine)
    made.create_tables()
    house.hooks.use(made)
    return made


@pytest.fixture(params=["memory", "database"])
def either(request: pytest.FixtureRequest, house: House) -> Any:
    """Registrations in memory, then in a database."""
    if request.param == "database":
        return request.getfixturevalue("registrations")
    made = MemoryRegistrations()
    house.hooks.use(made)
    return made
