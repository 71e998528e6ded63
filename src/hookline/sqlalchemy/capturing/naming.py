"""Names of what a capture puts into a database."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

_LIMIT: Final = 63
"""Bytes of a name in PostgreSQL, which cuts what is longer."""


def digest(text: str) -> str:
    """A few characters that stand for a text."""
    return sha256(text.encode()).hexdigest()[:8]


def fitting(name: str, room: int = 0) -> str:
    """The name if it is not too long; else its beginning, and a digest of all of it.

    Args:
        name: The name.
        room: Bytes that something else will need.

    Example:
        >>> fitting("hookline_capture_person")
        'hookline_capture_person'
        >>> len(fitting("имя" * 40).encode())
        63
    """
    encoded = name.encode()
    if len(encoded) <= _LIMIT - room:
        return name
    end = f"_{digest(name)}"
    return encoded[: _LIMIT - room - len(end)].decode(errors="ignore") + end
