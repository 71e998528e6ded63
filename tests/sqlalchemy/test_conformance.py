"""The adapter keeps every promise of the conformance suite: on both databases, in all three colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hookline.testing.conformance import *  # noqa: F403

from .databases import postgresql_in_schema, sqlite_url
from .harness import SQLAlchemyHarness

COLOURS = {
    "sync": {"is_async": False, "has_async_hooks": False},
    "async": {"is_async": True, "has_async_hooks": True},
    "async-with-sync-hooks": {"is_async": True, "has_async_hooks": False},
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path_factory.mktemp("conformance"), "conformance")
    return postgresql_in_schema(request.getfixturevalue("postgresql_url"), "conformance")


@pytest.fixture(scope="module", params=list(COLOURS))
def harness(url: str, request: pytest.FixtureRequest) -> Iterator[SQLAlchemyHarness]:
    harness = SQLAlchemyHarness(url, **COLOURS[request.param])
    yield harness
    harness.close()
