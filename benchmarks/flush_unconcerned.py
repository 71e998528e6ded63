"""A flush of objects that no hook is about, hooks attached: it should cost what SQLAlchemy costs."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from benchmarks.flush import BARE, Writing, inserting, sessions_for, stocked, updating
from benchmarks.models import Bystander
from benchmarks.result import Result, ratio
from benchmarks.timing import Load, interleave
from hookline import Hooks

BUDGET = 1.02
CASE = "hooks attached, none matching"


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Inserts, which the budget is for, and updates."""
    yield _compare(engine, load, inserting, f"insert: {CASE}", BUDGET)
    with stocked(engine, load.objects):
        yield _compare(engine, load, updating, f"update: {CASE}", None)


def _compare(engine: Engine, load: Load, writing: Writing, what: str, budget: float | None) -> Result:
    cases = {
        BARE: writing(sessions_for(engine), load.objects),
        CASE: writing(sessions_for(engine, hooks_about_others()), load.objects),
    }
    return ratio(interleave(cases, load), CASE, BARE, what=what, where=engine.dialect.name, budget=budget)


def hooks_about_others() -> Hooks:
    """A rule book with hooks in every phase, none of them about what is written."""
    hooks = Hooks()
    for phase in ("before", "check", "after", "before_commit", "after_commit"):
        hooks.add(_never, phase, "write", Bystander, name=f"never_{phase}")
    return hooks


def _never(change: object) -> None:
    raise AssertionError(f"{change!r} concerns no hook")
