"""A real NATS server, that comes as a wheel; the one at ``HOOKLINE_NATS_URL`` instead, if that is set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import NatsServer

GIVEN = "HOOKLINE_NATS_URL"


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get(GIVEN):
        yield given
        return
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own, to be stopped and started."""
    with NatsServer(tmp_path / "nats") as server:
        yield server
