"""The fixture that each test plays on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hookline.testing.harness import Harness
from hookline.testing.stage import Stage, staged


@pytest.fixture
def stage(harness: Harness) -> Iterator[Stage]:
    """Empty tables, and a fresh rule book attached to the harness's sessions."""
    yield from staged(harness)
