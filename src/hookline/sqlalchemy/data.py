"""Values of fields as registrations have them: JSON that a person can write, of the field's type when it is read."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Enum
from sqlalchemy.types import TypeDecorator

from hookline.errors import TargetError
from hookline.sqlalchemy.outbox.values import CannotTravelError, arrived, plain, travelling, typed

if TYPE_CHECKING:
    from sqlalchemy import Column

_AS_TEXT: Final = {
    dt.datetime: "datetime",
    dt.date: "date",
    dt.time: "time",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
}
"""The types that a person writes as text, by the names that JSON has for them."""


def to_data(whose: str, column: Column[Any] | None, value: Any) -> Any:
    """A value as JSON has it; a member of the column's enum by its name, and each value in one form only.

    Args:
        whose: The field, for errors.
        column: Its column; None if it has none.
        value: The value.

    Raises:
        TargetError: It is of no type that can be kept.
    """
    members = _members(column)
    if members is not None and isinstance(value, members):
        return value.name
    if isinstance(value, decimal.Decimal):
        value = value.normalize()
    try:
        return plain(value) if column is None else travelling(column.type, value)
    except (CannotTravelError, TypeError, ValueError, AttributeError) as error:
        raise TargetError(
            f"{whose}: {value!r} is a {type(value).__name__}, which cannot be kept as data. Give a value of the "
            f"field's own type; it must be one that JSON, or the column's type, can make plain."
        ) from error


def from_data(whose: str, column: Column[Any] | None, data: Any) -> Any:
    """A value from JSON, as the column's Python type.

    Args:
        whose: The field, for errors.
        column: Its column; None if it has none.
        data: What `to_data` gave, or what somebody wrote by hand: ``"2025-01-31"`` for a date.

    Raises:
        TargetError: It is no value of the column's type.
    """
    if data is None:
        return None
    members, kind = _members(column), _kind(column)
    try:
        if isinstance(data, dict):
            data = typed(data) if column is None else arrived(column.type, data)
        elif members is not None:
            return members[data] if data in members.__members__ else members(data)
        elif kind in _AS_TEXT:
            return typed({f"${_AS_TEXT[kind]}": str(data) if kind is decimal.Decimal else data})
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError) as error:
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
    return kind if kind in (bool, bytes, int, float, str) or kind in _AS_TEXT else None
