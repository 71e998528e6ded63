"""What waits is looked at with patience."""

from __future__ import annotations

import pytest

from tests.sqlalchemy.patience import patient

__all__ = ["patient"]


@pytest.fixture(autouse=True)
def with_patience(patient: None) -> None:
    """Every test here."""
