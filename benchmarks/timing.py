"""Timing cases in interleaved rounds of one run, so that what slows the machine slows them all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, process_time

Timed = Callable[[], object]
Case = Callable[[], AbstractContextManager[Timed]]
"""Prepares one run and gives what is to be timed; preparing and clearing away are not."""


@dataclass(frozen=True)
class Load:
    """How much is measured.

    Attributes:
        objects: Rows per flush.
        rounds: How often each case is timed.
        collecting: Whether the garbage collector stays on while a case is timed.
        cpu: Whether the CPU seconds of this process are counted, not those of the clock: other processes then
            disturb less, but waiting for a database counts for nothing.
    """

    objects: int = 20_000
    rounds: int = 15
    collecting: bool = False
    cpu: bool = False


@dataclass(frozen=True)
class Spread:
    """The middle of some figures, and how far they lie apart."""

    median: float
    low_quartile: float
    high_quartile: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, figures: list[float]) -> Spread:
        """The spread of at least one figure."""
        low, middle, high = quantiles(figures, n=4, method="inclusive") if len(figures) > 1 else figures * 3
        return cls(middle, low, high, min(figures), max(figures))


class Times:
    """The seconds that each case took, round by round."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = seconds

    def spread(self, case: str) -> Spread:
        """The seconds of one case."""
        return Spread.of(self.seconds[case])

    def ratio(self, case: str, to: str) -> Spread:
        """One case to another, within each round: a round that was slow as a whole counts no more."""
        return Spread.of([one / other for one, other in zip(self.seconds[case], self.seconds[to], strict=True)])

    def beyond(self, case: str, base: str) -> Spread:
        """The seconds that one case takes more than the median of another."""
        subtracted = median(self.seconds[base])
        return Spread.of([one - subtracted for one in self.seconds[case]])


def interleave(cases: Mapping[str, Case], load: Load) -> Times:
    """Time every case once per round; each round begins with another one. One round before that warms up."""
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        time_once(cases[name], load)
    for turn in range(load.rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(time_once(cases[name], load))
    return Times(seconds)


def time_once(case: Case, load: Load) -> float:
    """The seconds that one run of a case takes."""
    clock = process_time if load.cpu else perf_counter
    with case() as timed:
        gc.collect()
        if not load.collecting:
            gc.disable()
        try:
            started = clock()
            timed()
            return clock() - started
        finally:
            gc.enable()
