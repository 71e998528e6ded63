"""Registrations: hooks that are bound at run time, kept in memory or in a database, obeyed by all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING as _CHECKING

from hookline.registrations.conditions import About, data_condition
from hookline.registrations.memory import MemoryRegistrations
from hookline.registrations.registration import BrokenRegistration, HistoryEntry, Registration

if _CHECKING:
    from hookline.registrations.database import DatabaseRegistrations

__all__ = [
    "About",
    "BrokenRegistration",
    "DatabaseRegistrations",
    "HistoryEntry",
    "MemoryRegistrations",
    "Registration",
    "data_condition",
]


def __getattr__(name: str) -> object:  # SQLAlchemy is loaded for those who ask for it
    if name != "DatabaseRegistrations":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hookline.registrations.database import DatabaseRegistrations

    globals()[name] = DatabaseRegistrations
    return DatabaseRegistrations


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
