"""Warnings that point at the user's line, not at ours."""

from __future__ import annotations

import sys
import warnings
from typing import Final

from hookline.core.witness import tell
from hookline.errors import HooklineWarning

_OURS: Final = ("hookline", "sqlalchemy")


def warn(message: str, category: type[HooklineWarning]) -> None:
    """Warn at the innermost line that is neither Hookline's nor SQLAlchemy's."""
    tell(category(message))
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
