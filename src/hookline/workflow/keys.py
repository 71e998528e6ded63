"""Objects by their keys, in statements: those of one column, and those of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

T = TypeVar("T")

_CHUNK: Final = 500
"""Keys in a statement: below every database's limit of parameters."""


def chunks(several: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as go into a statement."""
    return (several[start : start + _CHUNK] for start in range(0, len(several), _CHUNK))


def as_one(columns: Sequence[Any]) -> Any:
    """The columns of a key as what can be compared."""
    return columns[0] if len(columns) == 1 else sa.tuple_(*columns)


def among(columns: Sequence[Any], keys: Sequence[tuple[Any, ...]]) -> Any:
    """The condition that these columns hold one of these keys."""
    return as_one(columns).in_([key[0] for key in keys] if len(columns) == 1 else keys)
