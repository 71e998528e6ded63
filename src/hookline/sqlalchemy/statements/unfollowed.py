"""Statements that cannot be followed exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookline.core.events import PHASES
from hookline.errors import UnhookedWriteWarning
from hookline.sqlalchemy.warn import warn

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.subject import Subject


class Unfollowable(Exception):
    """Why a statement's rows cannot be told exactly."""


def go_around(host: SessionHost, statement: Any, subject: Subject, event: str, reason: Unfollowable) -> None:
    """Say that a statement goes around hooks."""
    plan = host.attachment.book.plan
    models = [one.class_ for one in subject.mapper.self_and_descendants] if subject.mapper is not None else []
    skipped = {hook: None for phase in PHASES for model in models for hook in plan.for_row(phase, event, model)}
    warn(f"{statement} goes around {', '.join(map(str, skipped))}: {reason}", UnhookedWriteWarning)
