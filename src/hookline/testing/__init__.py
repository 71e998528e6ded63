"""Tools for tests: a recorder for your own, and what an adapter needs to run the conformance suite.

The suite itself is [hookline.testing.conformance][], which needs pytest; nothing here does.
"""

from hookline.testing.harness import Harness, Key, Models, Savepoint, Session
from hookline.testing.recorder import Call, Recorder, record, recorder
from hookline.testing.stage import Stage, SuspendedError, drive

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
]
