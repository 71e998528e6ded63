"""Warnings that point at the user's line, not at ours."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from itertools import chain
from types import FrameType
from typing import Final

from hookline.core.witness import tell
from hookline.errors import HooklineWarning
from hookline.sqlalchemy.asynchronous import waiting_frame

_OURS: Final = ("hookline", "sqlalchemy")


def warn(message: str, category: type[HooklineWarning]) -> None:
    """Warn at the innermost line that is neither Hookline's nor SQLAlchemy's."""
    tell(category(message))
    here = sys._getframe(0)
    for frame in chain(_outwards(here), _outwards(waiting_frame())):
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _OURS:
            place = frame
            break
    else:
        place, module = here, __name__
    registry = place.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, category, place.f_code.co_filename, place.f_lineno, module, registry)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
