"""An application that offers all there is, and Schemathesis, which tries what its description says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import schemathesis
from fastapi import FastAPI
from schemathesis.config import (
    ChecksConfig,
    CoveragePhaseConfig,
    FuzzingPhaseConfig,
    GenerationConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.config._checks import MissingRequiredHeaderConfig, NegativeDataRejectionConfig
from schemathesis.engine import events, from_schema

from hookline.http import CRUD, IdempotencyKeys
from tests.http.cabinet import Curiosity, Label, Shelf
from tests.http.cinema import Director, Genre, Movie, Screening, Ticket

OPTIONS: Final[dict[type, dict[str, Any]]] = {
    Movie: {"references": {"director_id": "name"}},
    Director: {},
    Genre: {},
    Screening: {"references": {"movie_id": "name"}, "label": "hall"},
    Ticket: {"label": "holder", "require_if_match": True},
    Curiosity: {},
    Shelf: {"max_depth": 2},
    Label: {},
}


def everything(sessions: Any) -> FastAPI:
    """Every class, with every option."""
    application = FastAPI()
    for model, options in OPTIONS.items():
        offered = {
            "read_only": False, "max_depth": 1, "max_page_size": 100, "max_bulk": 20, "idempotency": IdempotencyKeys(),
            "allow_bulk_create": True, "allow_bulk_patch": True, "allow_bulk_delete": True, **options,
        }  # fmt: skip
        application.include_router(CRUD(model, sessions, **offered), prefix=f"/{model.__name__.lower()}")
    return application


REASONS: Final = frozenset({
    # What a schema of one request cannot say: of several parameters, and of what the database has.
    "everything",  # many rows are written, and neither a filter nor __all says which
    "both",  # __after and __page
    "cursor",  # an __after that no answer had
    "repeated",  # an __order that names a field twice
    "unique", "foreign_key",  # constraints
    "circle",  # rows that refer to themselves
    "out_of_range",  # of an interval as the database has it
    "urn:hookline:problem:idempotency-reused",
    "urn:hookline:problem:too-many-rows",
})  # fmt: skip
"""Why a request that the description allows may be refused all the same."""


@schemathesis.check
def refused_for_a_reason(_: Any, response: Any, case: Any) -> None:
    """What the description allows is refused for what no description can say, and for nothing else."""
    if response.status_code in (400, 413, 422) and case.meta is not None and case.meta.generation.mode.is_positive:
        problem = response.json()
        given = {one["code"] for one in problem.get("errors", ())} or {problem["type"]}
        assert given <= REASONS, f"refused for {sorted(given - REASONS)}"


class Trial(NamedTuple):
    """What Schemathesis has found.

    Attributes:
        cases: How many requests each phase has sent.
        failures: What was wrong, in words, each kind of failure of an operation once.
    """

    cases: Counter[str]
    failures: list[str]


def tried(application: FastAPI, *, examples: int, covered: str | None) -> Trial:
    """Try an application by its description.

    Args:
        application: What is tried.
        examples: Of random requests, for each operation, and of sequences of them.
        covered: A pattern of paths; what is there gets all requests that its schemas' bounds suggest;
            None for nothing.
    """
    cases: Counter[str] = Counter()
    failures: dict[tuple[str, str, str], str] = {}
    rest = {"fuzzing": FuzzingPhaseConfig(), "stateful": StatefulPhaseConfig()}
    bounds = PhasesConfig(fuzzing=FuzzingPhaseConfig(enabled=False), stateful=StatefulPhaseConfig(enabled=False))
    plan = [(".", PhasesConfig(coverage=CoveragePhaseConfig(enabled=False), **rest))]
    for paths, phases in plan + ([(covered, bounds)] if covered is not None else []):
        schema = schemathesis.openapi.from_asgi("/openapi.json", application, config=_config(examples, phases))
        for event in from_schema(schema.include(path_regex=paths)).execute():
            if isinstance(event, events.FatalError):
                raise event.exception
            if isinstance(event, events.NonFatalError):
                raise event.value
            if isinstance(event, events.ScenarioFinished):
                cases[event.phase.value] += len(event.recorder.cases)
                for key, told in _failures(event):
                    failures.setdefault(key, told)
    return Trial(cases, list(failures.values()))


def _config(examples: int, phases: PhasesConfig) -> SchemathesisConfig:
    # All checks are on. Some statuses are fine here that Schemathesis does not expect:
    checks = ChecksConfig(
        # `refused_for_a_reason` looks closer at 400, 413 and 422. If-Match is a guess: 412.
        positive_data_acceptance=PositiveDataAcceptanceConfig(
            expected_statuses=["2xx", "304", "400", "404", "409", "412", "413", "422"]
        ),
        # A row that is not there is told before the header that is missing; and 428 is the status for that (RFC 6585).
        missing_required_header=MissingRequiredHeaderConfig(expected_statuses=["404", "415", "422", "428"]),
        negative_data_rejection=NegativeDataRejectionConfig(
            expected_statuses=["400", "404", "405", "409", "412", "413", "415", "422", "428"]
        ),
    )
    generation = GenerationConfig(max_examples=examples, deterministic=True, no_shrink=True, database="none")
    project = ProjectConfig(generation=generation, checks=checks, phases=phases)
    return SchemathesisConfig(seed=1, projects=ProjectsConfig(default=project))


def _failures(event: events.ScenarioFinished) -> Iterator[tuple[tuple[str, str, str], str]]:
    for case, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure, sent = check.failure_info.failure, check.failure_info.code_sample
                answer = getattr(event.recorder.interactions.get(case), "response", None)
                told = "" if answer is None else f"\n{answer.status_code} {answer.content[:500]!r}"
                key = (check.name, failure.operation, failure.title)
                yield key, f"{check.name}: {failure.operation}: {failure.title}\n{failure.message}\n{sent}{told}\n"
