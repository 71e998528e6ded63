"""What `after_commit` hooks are told is what the database shows, and no row ever breaks a check."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test

from tests.sqlalchemy.databases import postgresql_in_schema, sqlite_url

from .database import Database
from .machine import OracleMachine
from .shapes import Shape

FULL = os.environ.get("HOOKLINE_PROOF") == "full"
SEQUENCES = 2_000 if FULL else 120
"""Per database, over all variants."""

SHARES = {
    # Which part of the sequences each variant has.
    "row": 0.4,
    "set": 0.3,
    "async-row": 0.15,
    "async-set": 0.15,
}

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


def _settings(sequences: int) -> settings:
    return settings(
        max_examples=sequences,
        stateful_step_count=50 if FULL else 40,
        derandomize=not FULL,
        database=None,
        deadline=None,
        print_blob=True,
        verbosity=Verbosity.normal,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def every_sequence_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis would make five of six examples by repeating parts of the sixth: mostly all of it, here."""
    monkeypatch.setattr(engine.ConjectureRunner, "generate_mutations_from", lambda self, data: None)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path_factory.mktemp("oracle"), "oracle")
    return postgresql_in_schema(request.getfixturevalue("postgresql_url"), "oracle")


@pytest.fixture(params=list(SHARES))
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(url: str, variant: str) -> Iterator[Database]:
    database = Database(url, is_async=variant.startswith("async"))
    yield database
    database.close()


def test_net_changes_are_the_difference_in_the_database(
    database: Database, variant: str, record_property: Any
) -> None:
    shape = Shape(set_at_a_time=variant.endswith("set"), is_async=variant.startswith("async"))

    def machine() -> OracleMachine:
        return OracleMachine(database, shape)

    started = time.perf_counter()
    run_state_machine_as_test(machine, settings=_settings(round(SEQUENCES * SHARES[variant])))
    database.counts["seconds"] = round(time.perf_counter() - started)
    for name, count in sorted(database.counts.items()):
        record_property(name, count)
    print(f"{database.engine.dialect.name} {variant}: {dict(sorted(database.counts.items()))}")
