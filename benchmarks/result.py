"""One line of the outcome: what was measured, against what, and what was promised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from benchmarks.timing import Spread, Times


class Unit(StrEnum):
    """What a figure counts."""

    TIMES = "x"
    MILLISECONDS = "ms"
    MEGABYTES = "MB"


@dataclass(frozen=True)
class Result:
    """One figure and its budget.

    Attributes:
        what: What was measured.
        where: The database, or nothing.
        against: What it was compared with.
        base: The milliseconds of that.
        measured: The milliseconds of what was measured.
        figure: The ratio of the two, or the milliseconds that the one takes more than the other; or megabytes.
        unit: Which of these.
        budget: The most that the figure should be; None if nothing was promised.
        objection: What else breaks the promise; empty if nothing does.
    """

    what: str
    where: str
    against: str
    base: Spread
    measured: Spread
    figure: Spread
    unit: Unit = Unit.TIMES
    budget: float | None = None
    objection: str = ""

    @property
    def verdict(self) -> str:
        """``within`` or ``over`` the budget; a dash where there is none."""
        if self.objection:
            return self.objection
        if self.budget is None:
            return "-"
        return "within" if self.figure.median <= self.budget else "over"


def ratio(times: Times, case: str, to: str, *, what: str, where: str = "", budget: float | None = None) -> Result:
    """The result that one case takes so many times as long as another."""
    return Result(
        what=what,
        where=where,
        against=to,
        base=milliseconds(times.spread(to)),
        measured=milliseconds(times.spread(case)),
        figure=times.ratio(case, to),
        budget=budget,
    )


def milliseconds(seconds: Spread) -> Spread:
    """The same spread in milliseconds."""
    return Spread(*(1000 * figure for figure in vars(seconds).values()))
