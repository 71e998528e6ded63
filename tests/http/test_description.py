"""What the interface says of itself is true."""

from __future__ import annotations

import os
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.http import cabinet
from tests.http.cinema import Director, Genre, Movie, Screening, Ticket
from tests.http.trials import everything, tried

FULL = os.environ.get("HOOKLINE_PROOF") == "full"
EXAMPLES = 40 if FULL else 2
"""Of random requests, per operation and database, sync and async; and of sequences of requests."""

COVERED = {
    "sync-sqlite": "screening",
    "async-sqlite": "label",
    "sync-postgresql": "shelf",
    "async-postgresql": "genre",
}


@pytest.fixture
def application(sessions: Any, tables: Engine) -> Any:
    cabinet.Base.metadata.create_all(tables)
    with Session(tables) as session:
        varda = Director(name="Varda")
        cleo = Movie(name="Cléo", director=varda, genres=[Genre(name="Drama")])
        shelf = cabinet.Shelf(room="a", number=1, labels=[cabinet.Label(text="old")])
        curiosity = cabinet.Curiosity(kind="bone")
        session.add_all([cleo, Screening(hall="a", number=1), Ticket(holder="Ann"), shelf, curiosity])
        session.commit()
    return everything(sessions)


def test_every_request_that_the_description_suggests_is_answered_as_it_says(
    application: Any, request: pytest.FixtureRequest
) -> None:
    # Each bound of each schema is tried for every class in the long run, and for one of them here.
    name = request.node.callspec.id
    trial = tried(application, examples=EXAMPLES, covered="." if FULL else f"^/{COVERED[name]}/")
    print(f"{name}: {dict(trial.cases)}")
    assert trial.cases["fuzzing"] > 80
    assert not trial.failures, "\n".join(trial.failures)
