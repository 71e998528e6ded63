"""What the values of a column look like in JSON, and how they may be compared."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite, isinf
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    Strict,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.errors import PydanticSchemaGenerationError
from sqlalchemy import ARRAY, JSON, BigInteger, Enum, Integer, Numeric, SmallInteger, String
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from hookline.errors import TargetError

CONFIG: Final = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64", ser_json_bytes="base64")
"""Bodies are read as JSON has them: a number is a number, and a string none."""

EQUALITY: Final = ("", "ne", "in")
ORDER: Final = ("lt", "lte", "gt", "gte")
TEXT: Final = ("contains", "starts", "ends", "icontains")

_DEPTH: Final = 64
_TEXT: Final = r"^[^\x00]*$"
"""No database keeps the character of number zero."""


# JSON Schema's own formats know no time of day without a zone, and no length of time that is negative.
_HOUR: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"
_LENGTH: Final = (
    r"^-?P(?=.)([0-9]{1,7}Y)?([0-9]{1,6}D)?(T(?=.)([0-9]{1,2}H)?([0-9]{1,2}M)?([0-9]{1,2}(\.[0-9]{1,6})?S)?)?$"
)
_BYTES: Final = {
    "type": "string",
    "contentEncoding": "base64url",
    "pattern": "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]==|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=)?$",
}


class Kind(NamedTuple):
    """The values of a column.

    Attributes:
        body: Their type in bodies, for pydantic, with the column's bounds.
        value: The same for addresses and queries, which may name a text or a decimal that the column cannot hold.
        operators: How a query may compare them.
        example: One of them, as JSON has it.
        literal: Whether JSON writes them without quotes.
        plain: Turns one into what JSON has; None where nothing needs to be done.
    """

    body: Any
    value: TypeAdapter[Any]
    operators: tuple[str, ...]
    example: Any
    literal: bool = False
    plain: TypeAdapter[Any] | None = None

    def read(self, text: str) -> Any:
        """The value that a text in an address or a query stands for.

        Raises:
            pydantic.ValidationError: It stands for none.
        """
        if self.literal:
            return self.value.validate_json(text)
        return self.value.validate_strings(text)


def kind_of(name: str, hint: Any, column: TypeEngine[Any], dialect: str | None) -> Kind:
    """The values of a column.

    Args:
        name: The attribute, for errors.
        hint: The type that the class declares for it; None if it says nothing.
        column: The column's type.
        dialect: The database, if that is known.

    Raises:
        TargetError: Nobody knows what they look like in JSON.
    """
    python = hint if hint is not None else python_of(column)
    if python is None:
        raise _unknown(name, column)
    bounds = _bounds(column, dialect)
    if isinstance(column, Enum) and isinstance(python, type) and issubclass(python, enum.Enum):
        return _made(python, EQUALITY, next(iter(python)).value)
    if isinstance(column, Enum) and column.enums:
        return _made(Literal[tuple(column.enums)], EQUALITY, column.enums[0])
    if isinstance(column, JSON):
        return _made(Annotated[JsonValue, AfterValidator(_reasonable)], (), {"any": "value"})
    if isinstance(column, ARRAY):
        inner = kind_of(name, None, column.item_type, dialect)
        return _made(list[inner.body], (), [inner.example])  # type: ignore[name-defined]
    made = _simple(python, column, bounds)
    if made is not None:
        return made
    try:
        return _made(python, EQUALITY, None)._replace(plain=TypeAdapter(python))
    except (PydanticSchemaGenerationError, TypeError):
        raise _unknown(name, python) from None


def python_of(column: TypeEngine[Any]) -> Any:
    """The type that a column's values have in Python; None if it does not say."""
    if isinstance(column, NullType):
        return None
    try:
        return column.python_type
    except NotImplementedError:
        return None


def _unknown(name: str, python: Any) -> TargetError:
    field = name.rpartition(".")[2]
    return TargetError(
        f"{name} holds {getattr(python, '__name__', python)!r}, and nothing says what that looks like in JSON. "
        f"Name a type that pydantic knows, CRUD(..., types={{{field!r}: ...}}), or do not serve it: "
        f"CRUD(..., secret=[{field!r}])."
    )


def _simple(python: Any, column: TypeEngine[Any], bounds: Any) -> Kind | None:
    """The kind of a type that everybody knows."""
    ordered = EQUALITY + ORDER
    if python is str:
        text: Any = Annotated[str, Field(pattern=_TEXT, **bounds)]
        example = "text"[: bounds.get("max_length", 4)]
        return Kind(text, _adapter(Annotated[str, Field(pattern=_TEXT)]), ordered + TEXT, example)
    if python is bool:
        return Kind(bool, _adapter(bool), EQUALITY, True, literal=True)
    if python is int:
        whole: Any = Annotated[int, Field(**(bounds or _bits(64))), BeforeValidator(_whole)]
        return Kind(whole, _adapter(whole), ordered, 1, literal=True)
    if python is float:
        finite = Annotated[float, Field(allow_inf_nan=False)]
        return Kind(finite, _adapter(finite), ordered, 1.5, literal=True)
    if python is Decimal:
        finite_decimal: Any = Annotated[Decimal, Field(allow_inf_nan=False), AfterValidator(_moderate)]
        number: Any = Annotated[finite_decimal, Field(**bounds), WithJsonSchema(_numeral(bounds))]
        any_number: Any = Annotated[finite_decimal, WithJsonSchema(_numeral({}))]
        made = Kind(number, _adapter(any_number), ordered, "1.5")
        return made if bounds.get("decimal_places", 7) <= 6 else made._replace(plain=_DECIMAL)
    if python in (datetime, date, time, timedelta):
        return _temporal(python, zoned=getattr(column, "timezone", False))
    if python is UUID:
        return _made(UUID, EQUALITY, "5f0c1a9e-6a43-4c6e-9d7e-3c1f0b8a2d11")
    if python is bytes:
        return _made(Annotated[bytes, WithJsonSchema(dict(_BYTES))], (), "aGVsbG8=")
    return None


def _temporal(python: Any, *, zoned: bool) -> Kind:
    """The kind of dates, times and lengths of time."""
    ordered = EQUALITY + ORDER
    if python is timedelta:
        length = Annotated[timedelta, WithJsonSchema({"type": "string", "pattern": _LENGTH})]
        return _made(length, ordered, "PT1H")
    written: Any = Annotated[python, Strict(False), BeforeValidator(_written)]
    if python is datetime:
        moment = Annotated[written, AfterValidator(_in_utc if zoned else _naive)]
        return _made(moment, ordered, "2026-01-31T12:00:00Z")._replace(plain=_MOMENT)
    if python is date:
        return _made(written, ordered, "2026-01-31")
    if not zoned:
        written = Annotated[written, AfterValidator(_zoneless), WithJsonSchema({"type": "string", "pattern": _HOUR})]
    return _made(written, ordered, "12:00:00Z" if zoned else "12:00:00")


def _made(kind: Any, operators: tuple[str, ...], example: Any) -> Kind:
    return Kind(kind, _adapter(kind), operators, example)


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=None if _has_config(kind) else CONFIG)


def _has_config(kind: Any) -> bool:
    """Whether a type brings the configuration of its own that pydantic then insists on."""
    return hasattr(kind, "model_config") or hasattr(kind, "__pydantic_config__")


def _bounds(column: TypeEngine[Any], dialect: str | None) -> Any:
    """What a column can hold, in pydantic's words."""
    kind: Any = column.impl if isinstance(column, TypeDecorator) else column
    if isinstance(column, TypeDecorator) and not isinstance(kind, String):
        return {}  # what it makes of a number is its own affair
    if isinstance(kind, String):
        return {} if kind.length is None else {"max_length": kind.length}
    if isinstance(kind, Integer):
        wide = isinstance(kind, BigInteger) or dialect == "sqlite"
        return _bits(16 if isinstance(kind, SmallInteger) else 64 if wide else 32)
    if isinstance(kind, Numeric) and kind.asdecimal:
        bounds = {"max_digits": kind.precision, "decimal_places": kind.scale}
        return {name: bound for name, bound in bounds.items() if bound is not None}
    return {}


def _bits(bits: int) -> dict[str, int]:
    return {"ge": -(2 ** (bits - 1)), "le": 2 ** (bits - 1) - 1}


def _numeral(bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a decimal: a number, or better a string, since not everybody reads numbers exactly."""
    digits, places = bounds.get("max_digits"), bounds.get("decimal_places", 0)
    if digits is None:
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]{1,300}(\.[0-9]{1,300})?$"}]}
    whole, part = digits - places, rf"(\.[0-9]{{1,{places}}})?" if places else ""
    number: dict[str, Any] = {"type": "number", "exclusiveMinimum": -(10**whole), "exclusiveMaximum": 10**whole}
    if places:
        number["multipleOf"] = 10**-places
    else:
        number["type"] = "integer"
    return {"anyOf": [number, {"type": "string", "pattern": rf"^-?[0-9]{{1,{max(whole, 1)}}}{part}$"}]}


def _whole(value: Any) -> Any:
    """A number without a fraction is an integer in JSON, however it is written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _zoneless(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("this is a time of day without a zone, such as 12:00:00")
    return value


def _written(value: Any) -> Any:
    """Refuse the numbers that pydantic would take for a moment, in a string or not."""
    if not isinstance(value, str) or value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("a date or time is a string as ISO 8601 has it, such as 2026-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """The moment in UTC; what has no zone is there already.

    Databases that keep no zone, such as SQLite, would keep the time of day that it has elsewhere.
    """
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this is not within the years 1 to 9999") from None


def _naive(value: datetime) -> datetime:
    """A column without a zone holds UTC."""
    return _in_utc(value).replace(tzinfo=None)


_DECIMAL: Final[TypeAdapter[Any]] = TypeAdapter(Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}")])
"""Decimals with more than six places are told with all of them: Python would write 0E-10."""

_MOMENT: Final[TypeAdapter[Any]] = TypeAdapter(Annotated[datetime, PlainSerializer(_in_utc)])
"""Moments are told in UTC, whatever zone the database has them in: JSON Schema has no moments without a zone."""


def _moderate(value: Decimal) -> Decimal:
    """Refuse numbers that are infinite, or nothing, where decimals are kept as floats, as SQLite does."""
    kept = float(value)
    if isinf(kept) or (value and not kept):
        raise ValueError("not between 1e-323 and 1e308, or the same below zero")
    return value


def _reasonable(value: Any, depth: int = 0) -> Any:
    """Refuse what JSON does not have, or no database keeps."""
    if depth > _DEPTH:
        raise ValueError(f"more than {_DEPTH} objects and lists within each other")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("JSON has finite numbers only")
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("no database keeps the character of number zero")
    if isinstance(value, dict):
        for key, one in value.items():
            _reasonable(key, depth + 1)
            _reasonable(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _reasonable(one, depth + 1)
    return value
