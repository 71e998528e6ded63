"""What `after_commit` hooks are told is what the database shows, and no row ever breaks a check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.orm import dependency, identity, mapper, unitofwork
from sqlalchemy.orm import session as orm_session
from sqlalchemy.util import OrderedSet, topological

from tests.proof import FULL
from tests.sqlalchemy.databases import postgresql_in_schema, sqlite_url

from .database import Database
from .machine import OracleMachine
from .shapes import Shape
from .twin import WatchedMachine

SEQUENCES = 2_000 if FULL else 120
"""Per database, over all variants."""

SHARES = {
    # Which part of the sequences each variant has.
    "row": 0.3,
    "set": 0.2,
    "async-row": 0.15,
    "async-set": 0.1,
    "captured-row": 0.15,
    "captured-set": 0.1,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::hookline.UnhookedWriteWarning"),  # of raw SQL, on purpose
]


def _settings(sequences: int) -> settings:
    return settings(
        max_examples=sequences,
        stateful_step_count=50 if FULL else 40,
        database=None,
        deadline=None,
        print_blob=True,
        verbosity=Verbosity.normal,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True, scope="module")
def reproducible() -> Iterator[None]:
    """A sequence that fails once fails again, and every sequence is a new one."""
    with pytest.MonkeyPatch.context() as patch:
        # Which of two unrelated rows is flushed first depends on addresses in memory otherwise.
        for module in (topological, unitofwork, orm_session, identity, mapper, dependency):
            patch.setattr(module, "set", OrderedSet, raising=False)
        # A long story is shortened for as long as a reader would wait, not for five minutes.
        patch.setattr(engine, "MAX_SHRINKING_SECONDS", 60)
        # Hypothesis would make five of six examples by repeating parts of the sixth: mostly all of it, here.
        patch.setattr(engine.ConjectureRunner, "generate_mutations_from", lambda self, data: None)
        yield


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
    database = Database(url, is_async=variant.startswith("async"), captured=variant.startswith("captured"))
    yield database
    database.close()


def test_net_changes_are_the_difference_in_the_database(
    database: Database, variant: str, request: pytest.FixtureRequest
) -> None:
    shape = Shape(set_at_a_time=variant.endswith("set"), is_async=variant.startswith("async"))

    def machine() -> OracleMachine:
        return OracleMachine(database, shape)

    _run(machine, request.node.name, round(SEQUENCES * SHARES[variant]), database)


@pytest.mark.parametrize("followed", [True, False], ids=["hooks-that-look", "no-hooks"])
def test_writes_go_as_if_hookline_were_not_there(
    tmp_path: Path, followed: bool, request: pytest.FixtureRequest
) -> None:
    database, bare = Database(sqlite_url(tmp_path, "watched")), Database(sqlite_url(tmp_path, "bare"))
    shape = Shape(set_at_a_time=False, is_async=False)

    def machine() -> WatchedMachine:
        return WatchedMachine(database, shape, bare, followed=followed)

    _run(machine, request.node.name, round(SEQUENCES * 0.3), database)
    database.close()
    bare.close()


def _run(machine: Callable[[], OracleMachine], name: str, sequences: int, database: Database) -> None:
    if not FULL:  # the same each time, and other sequences in each test
        seed(crc32(name.encode()))(machine)
    started = time.perf_counter()
    try:
        run_state_machine_as_test(machine, settings=_settings(sequences))
    finally:
        database.counts["seconds"] = round(time.perf_counter() - started)
        print(f"{database.engine.dialect.name}: {dict(sorted(database.counts.items()))}")
