"""Other tests write to the same server at the same time, and what waits in a log is held back until they have ended."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hookline.sqlalchemy import Capture

WRITING = text(
    "SELECT pg_stat_clear_snapshot(), EXISTS (SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
    " AND (datname IS DISTINCT FROM current_database() OR backend_type <> 'client backend'))"
    " OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database <> current_database())"
)
"""Each process of the tests has a database of its own; in its own, a test knows who writes, but for autovacuum."""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before looking at what waits, let those who write elsewhere come to their end."""
    look = Capture.waiting

    def waiting(self: Capture, connection: Connection, limit: int | None = None) -> Any:
        if connection.dialect.name == "postgresql":
            end = time.monotonic() + 30
            while connection.execute(WRITING).one()[1] and time.monotonic() < end:
                time.sleep(0.01)
        return look(self, connection, limit)

    monkeypatch.setattr(Capture, "waiting", waiting)
