"""Whatever random users do to random workflows, the library does what the rules say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture import engine as conjecture
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from hookline.workflow import Workflow
from tests.proof import FULL
from tests.workflow.machine.machine import WorkflowMachine
from tests.workflow.machine.stage import Base, Document

SEQUENCES = 2_000 if FULL else 30
"""Per database."""

STEPS = 30 if FULL else 15
"""In each, at most."""


@pytest.fixture(autouse=True)
def other_sequences_every_time() -> Iterator[None]:
    """Hypothesis neither repeats itself nor shortens a story for longer than a reader would wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conjecture, "MAX_SHRINKING_SECONDS", 30)
        # It would make five of six examples by repeating parts of the sixth.
        patch.setattr(conjecture.ConjectureRunner, "generate_mutations_from", lambda self, data: None)
        yield


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_workflows_go_as_the_rules_say(engine: Engine) -> None:
    Workflow(Document.status, initial="new")  # declares its tables
    Base.metadata.create_all(engine)
    counts: Counter[str] = Counter()

    def machine() -> WorkflowMachine:
        return WorkflowMachine(engine, counts)

    if not FULL:  # the same each time, and others on each database
        seed(crc32(engine.dialect.name.encode()))(machine)
    started = time.perf_counter()
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=SEQUENCES,
                stateful_step_count=STEPS,
                database=None,
                deadline=None,
                print_blob=True,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        counts["seconds"] = round(time.perf_counter() - started)
        print(f"{engine.dialect.name}: {dict(sorted(counts.items()))}")
