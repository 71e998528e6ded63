"""Values of fields as JSON has them, and back: never pickled, and of the same type again."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Enum
from sqlalchemy.types import TypeDecorator

from hookline.errors import TargetError

if TYPE_CHECKING:
    from sqlalchemy import Column

_READ: Final[dict[str, tuple[type, Callable[[Any], Any]]]] = {
    "uuid": (uuid.UUID, uuid.UUID),
    "datetime": (dt.datetime, dt.datetime.fromisoformat),
    "date": (dt.date, dt.date.fromisoformat),
    "time": (dt.time, dt.time.fromisoformat),
    "decimal": (decimal.Decimal, lambda data: decimal.Decimal(str(data))),
    "bytes": (bytes, bytes.fromhex),
}
"""By tag: the type, and how it is made of its text."""

_WRITE: Final[dict[type, Callable[[Any], str]]] = {
    uuid.UUID: str,
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    decimal.Decimal: lambda value: str(value.normalize()),
    bytes: bytes.hex,
}


def to_data(whose: str, column: Column[Any] | None, value: Any) -> Any:
    """A value as JSON has it: itself if JSON knows it, the name of an enum's member, else its text with its type.

    Args:
        whose: The field, for errors.
        column: Its column; None if it has none.
        value: The value.

    Raises:
        TargetError: It is of no type that can be kept.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, enum.Enum):
        members = _members(column)
        if members is not None and isinstance(value, members):
            return value.name
    for tag, (kind, _) in _READ.items():
        if type(value) is kind:
            return {tag: _WRITE[kind](value)}
    raise TargetError(
        f"{whose}: {value!r} is a {type(value).__name__}, which cannot be kept as data. What can is: None, bool, int, "
        f"float, str, members of the column's enum, and {', '.join(kind.__name__ for kind, _ in _READ.values())}."
    )


def from_data(whose: str, column: Column[Any] | None, data: Any) -> Any:
    """A value from JSON, as the column's Python type.

    Args:
        whose: The field, for errors.
        column: Its column; None if it has none.
        data: What `to_data` gave, or what somebody wrote by hand: ``"2025-01-31"`` for a date.

    Raises:
        TargetError: It is no value of the column's type.
    """
    members, kind = _members(column), _kind(column)
    try:
        if isinstance(data, dict):
            ((tag, text),) = data.items()
            data = _READ[tag][1](text)
        elif data is None:
            return None
        elif members is not None:
            return members[data] if data in members.__members__ else members(data)
        else:
            read = next((read for wanted, read in _READ.values() if kind is wanted), None)
            if read is not None:
                return read(data)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        wanted = "a value" if members is None and kind is None else (members or kind or object).__name__
        raise TargetError(f"{whose}: {data!r} cannot be read as {wanted}: {error}.") from error
    if kind is float and type(data) is int:
        return float(data)
    if (kind is not None and not isinstance(data, kind)) or (kind is int and isinstance(data, bool)):
        raise TargetError(f"{whose} is of type {kind.__name__}, and {data!r} is not.")
    return data


def _members(column: Column[Any] | None) -> type[enum.Enum] | None:
    """The enum of a column."""
    if column is None or not isinstance(column.type, Enum):
        return None
    found: type[enum.Enum] | None = column.type.enum_class
    return found


def _kind(column: Column[Any] | None) -> type | None:
    """The Python type of a column's values, where its type says so for certain."""
    if column is None or isinstance(column.type, TypeDecorator):
        return None
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return None
    return kind if kind in (bool, int, float, str) or kind in _WRITE else None
