"""What every adapter must do, as tests: the promises of Hookline, line by line.

An adapter's test module takes the classes over and brings one fixture, `harness`:

<!-- notest: pytest rewrites these modules before they are imported, which they are here -->
```python
import pytest
from hookline.testing.conformance import *


@pytest.fixture(params=["sqlite", "postgresql"])
def harness(request) -> Harness: ...
```

A test is written once, as a coroutine, and runs in the harness's colour: synchronous, async with
async hooks, async with synchronous hooks. Its number is that of the promise:

1. An update whose values do not differ in the end fires nothing.
2. What is checked is what is written.
3. Rounds go on until nothing is pending, and a loop is an error that shows it.
4. `after` hooks see keys and server defaults; what they write is flushed in turn.
5. The commit phases get net changes.
6. `before_commit` runs until nothing new appears; a failure there rolls back everything.
7. `after_commit` runs after the outermost COMMIT only, and its failures reach nobody who did not ask.
8. A rolled-back savepoint takes what belongs to it, and only that.
9. Four outcomes, told apart.
10. Deleting an entity unlinks it; cascades fire hooks.
11. A link is one change, whichever side it was set from.
12. Async hooks run in async sessions, and are refused in others.
13. What has no hook costs nothing.
"""

import pytest

# Assertions explain themselves, as in a test module. It must be said before the modules are imported.
for _module in ("commit", "links", "outcomes", "sessions", "writes"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

# ruff: noqa: E402
from hookline.testing.conformance.commit import TestBeforeCommit, TestNetChanges
from hookline.testing.conformance.fixtures import stage
from hookline.testing.conformance.links import TestDeletesAndCascades, TestLinks
from hookline.testing.conformance.outcomes import TestAfterCommit, TestOutcomes, TestSavepoints
from hookline.testing.conformance.sessions import TestAsyncHooks, TestNothingToDo
from hookline.testing.conformance.writes import (
    TestAfter,
    TestChecks,
    TestRounds,
    TestSameValues,
)

__all__ = [
    "TestAfter",
    "TestAfterCommit",
    "TestAsyncHooks",
    "TestBeforeCommit",
    "TestChecks",
    "TestDeletesAndCascades",
    "TestLinks",
    "TestNetChanges",
    "TestNothingToDo",
    "TestOutcomes",
    "TestRounds",
    "TestSameValues",
    "TestSavepoints",
    "stage",
]
