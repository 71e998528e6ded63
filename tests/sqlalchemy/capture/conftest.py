"""Other tests write to the same server at the same time, and what waits is held back until they have ended."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Connection, text

from hookline.sqlalchemy import Capture

WRITING = text("SELECT pg_snapshot_xmin(s) < pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before looking at what waits, let those who are writing come to their end; but not those who wait for us."""
    look = Capture.waiting

    def waiting(self: Capture, connection: Connection, limit: int | None = None) -> Any:
        if connection.dialect.name == "postgresql":
            end = time.monotonic() + 30
            while connection.scalar(WRITING) and time.monotonic() < end:
                time.sleep(0.01)
        return look(self, connection, limit)

    monkeypatch.setattr(Capture, "waiting", waiting)
