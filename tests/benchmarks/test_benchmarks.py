"""The benchmarks run, and say what they should; how long anything takes is nobody's business here."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine

from benchmarks import __main__ as command
from benchmarks.flush_row_hooks import HOOKS
from benchmarks.http import HAND
from benchmarks.importing import loaded_from_elsewhere
from benchmarks.models import Base
from benchmarks.result import Result, Unit
from benchmarks.statements_unconcerned import STATEMENTS
from benchmarks.table import table_of, write_json
from benchmarks.timing import Load, Spread

TINY = Load(objects=4, rounds=2)


@pytest.fixture(autouse=True)
def nothing_but_their_own_to_collect() -> Iterator[None]:
    """A benchmark collects garbage ahead of each case; what other tests have left in this process takes a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def steady(figure: float) -> Spread:
    return Spread(figure, figure, figure, figure, figure)


def result(figure: float, *, budget: float | None = None, objection: str = "") -> Result:
    return Result("flush", "sqlite", "alone", steady(1), steady(figure), steady(figure), Unit.TIMES, budget, objection)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("unconcerned", 2),
        ("set_hooks", 4),
        ("row_hooks", len(HOOKS) + 1),
        ("statements", 11),
        ("small_statements", len(STATEMENTS)),
        ("registrations", 2),
    ],
)
def test_writes_are_measured_on_each_database(name: str, figures: int, engine: Engine) -> None:
    Base.metadata.create_all(engine)
    results = list(command.ON_EACH_DATABASE[name](engine, TINY))
    assert len(results) == figures
    assert {one.where for one in results} == {engine.dialect.name}
    assert any(one.budget is not None for one in results)


def test_capture_is_measured_on_postgresql(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("the budget is for PostgreSQL")
    results = list(command.ON_POSTGRESQL["capture"](engine, TINY))
    assert [one.budget for one in results] == [1.6] * 3


def test_benchmarks_run_by_name() -> None:
    results = list(command.run({"dispatch", "importing"}, TINY, with_postgresql=False))
    assert [one.unit for one in results] == [Unit.TIMES, Unit.TIMES, Unit.MILLISECONDS]


def test_requests_are_measured_with_sync_and_async_sessions() -> None:
    results = list(command.run({"http"}, TINY, with_postgresql=False))
    by_hand = [one for one in results if one.against == HAND]
    assert [one.budget for one in by_hand] == [1 / 0.7] * 8


def test_importing_hookline_loads_nothing_from_elsewhere() -> None:
    assert loaded_from_elsewhere() == set()


@pytest.mark.parametrize(
    ("figure", "budget", "objection", "verdict"),
    [
        (1.05, 1.1, "", "within"),
        (1.15, 1.1, "", "over"),
        (9.0, None, "", "-"),
        (1.05, 1.1, "loads numpy", "loads numpy"),
    ],
)
def test_a_verdict_says_how_a_figure_stands_to_its_budget(
    figure: float, budget: float | None, objection: str, verdict: str
) -> None:
    assert result(figure, budget=budget, objection=objection).verdict == verdict


def test_the_table_shows_figure_spread_budget_and_verdict() -> None:
    page = StringIO()
    Console(file=page, width=200).print(table_of([result(1.25, budget=1.1)], TINY))
    shown = page.getvalue()
    assert all(piece in shown for piece in ("flush", "1.250 x", "1.250 .. 1.250", "1.100 x", "over"))


def test_the_figures_can_be_kept_as_json(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    write_json([result(1.25, budget=1.1)], TINY, file)
    kept = json.loads(file.read_text())
    assert kept["setting"]["objects"] == TINY.objects
    assert kept["results"][0]["figure"]["median"] == 1.25
    assert kept["results"][0]["verdict"] == "over"
