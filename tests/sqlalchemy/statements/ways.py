"""The ways in which one statement can be sent."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Session

WAYS = ("orm", "core", "connection")

every_way = pytest.mark.parametrize("way", WAYS)


def target(way: str, model: Any) -> Any:
    """What the statement is about: the class for the ORM, else its table."""
    return model if way == "orm" else inspect(model).local_table


def send(session: Session, way: str, statement: Any, parameters: Any = None) -> Any:
    """Send it through the session, or through its connection."""
    place: Any = session.connection() if way == "connection" else session
    return place.execute(statement) if parameters is None else place.execute(statement, parameters)


def door(way: str) -> str:
    """What changes say of it."""
    return "ORM bulk" if way == "orm" else "Core statement"
