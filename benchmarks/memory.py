"""The most memory that one run of a case holds at once, as Python's allocator counts it."""

from __future__ import annotations

import gc
import tracemalloc

from benchmarks.result import Result, Unit
from benchmarks.timing import Case, Spread


def peak(case: Case, *, what: str, where: str) -> Result:
    """The result that one run takes so many megabytes more than there were before.

    Counting slows everything down, so this is a run of its own, which is not timed. What drivers allocate in C is not
    counted.
    """
    with case() as run:
        gc.collect()
        tracemalloc.start()
        try:
            run()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    megabytes = Spread.of([most / 1e6])
    nothing = Spread.of([0.0])
    return Result(
        what=what, where=where, against="", base=nothing, measured=nothing, figure=megabytes, unit=Unit.MEGABYTES
    )
