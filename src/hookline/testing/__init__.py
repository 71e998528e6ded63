"""Tools for tests: a recorder and strictness for your own, and what an adapter needs to run the conformance suite.

The suite itself is [hookline.testing.conformance][], which needs pytest, and so does [hookline.testing.plugin][];
nothing here does.
"""

from hookline.testing.harness import Harness, Key, Models, Savepoint, Session
from hookline.testing.recorder import Call, Recorder, record, recorder
from hookline.testing.stage import Stage, SuspendedError, drive
from hookline.testing.strict import strict

__all__ = [
    "Call",
    "Harness",
    "Key",
    "Models",
    "Recorder",
    "Savepoint",
    "Session",
    "Stage",
    "SuspendedError",
    "drive",
    "record",
    "recorder",
    "strict",
]
