"""Results for people, as a table, and for programs, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import sqlalchemy
from rich import box
from rich.table import Table

from benchmarks.result import Result, Unit
from benchmarks.timing import Load

_STYLES = {"within": "green", "-": "dim"}


def table_of(results: Iterable[Result], load: Load) -> Table:
    """All results, one per line."""
    table = Table(title=_setting(load), box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.caption = "Medians of interleaved rounds; a ratio is taken within each round."
    table.add_column("what")
    table.add_column("on")
    table.add_column("against")
    for title in ("ms then", "ms", "figure", "middle half", "extremes", "budget"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    for one in results:
        table.add_row(
            one.what,
            one.where,
            one.against,
            "" if one.unit is Unit.MEGABYTES else f"{one.base.median:.1f}",
            "" if one.unit is Unit.MEGABYTES else f"{one.measured.median:.1f}",
            _figure(one.figure.median, one.unit),
            _between(one.figure.low_quartile, one.figure.high_quartile, one.unit),
            _between(one.figure.minimum, one.figure.maximum, one.unit),
            "" if one.budget is None else _figure(one.budget, one.unit),
            f"[{_STYLES.get(one.verdict, 'red')}]{one.verdict}[/]",
        )
    return table


def write_json(results: Iterable[Result], load: Load, path: Path) -> None:
    """All results with every figure of theirs, and where they come from."""
    figures = [asdict(one) | {"verdict": one.verdict} for one in results]
    path.write_text(json.dumps({"setting": _versions() | asdict(load), "results": figures}, indent=2) + "\n")


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "sqlalchemy": sqlalchemy.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _setting(load: Load) -> str:
    versions = _versions()
    collector = "on" if load.collecting else "off while timed"
    clock = "CPU seconds" if load.cpu else "wall clock"
    return (
        f"Python {versions['python']}, SQLAlchemy {versions['sqlalchemy']}, {versions['machine']}; "
        f"{load.objects:,} objects, {load.rounds} rounds, {clock}, garbage collector {collector}"
    )


def _figure(value: float, unit: Unit) -> str:
    return f"{_bare(value, unit)} {unit}"


def _between(low: float, high: float, unit: Unit) -> str:
    return f"{_bare(low, unit)} .. {_bare(high, unit)}"


def _bare(value: float, unit: Unit) -> str:
    return f"{value:.3f}" if unit is Unit.TIMES else f"{value:.1f}"
