"""Values as typed JSON: what comes back has the Python type that was sent."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import ipaddress
import math
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ARRAY, Enum, PickleType, TypeDecorator
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeEngine

_DIALECT: Final = DefaultDialect()
AS_THEY_ARE: Final = frozenset([str, int, bool, type(None)])
_RANGES: Final = "sqlalchemy.dialects.postgresql.ranges"

Encoder = Callable[[Any], Any]


def _range(parts: list[Any]) -> Any:
    from sqlalchemy.dialects.postgresql import Range

    lower, upper, bounds, empty = parts
    return Range(typed(lower), typed(upper), bounds=bounds, empty=empty)


def _plain_range(value: Any) -> list[Any]:
    return [plain(value.lower), plain(value.upper), value.bounds, value.empty]


_KINDS: Final[Mapping[type, tuple[str, Encoder, Encoder]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: ("timedelta", lambda d: [d.days, d.seconds, d.microseconds], lambda parts: dt.timedelta(*parts)),
    decimal.Decimal: ("decimal", decimal.Decimal.__str__, decimal.Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
    bytes: ("bytes", lambda b: base64.b64encode(b).decode(), base64.b64decode),
    bytearray: ("bytes", lambda b: base64.b64encode(b).decode(), base64.b64decode),
    memoryview: ("bytes", lambda b: base64.b64encode(b).decode(), base64.b64decode),
    complex: ("complex", lambda c: [plain(c.real), plain(c.imag)], lambda c: complex(*map(typed, c))),
    tuple: ("tuple", lambda some: [plain(one) for one in some], lambda some: tuple(map(typed, some))),
    set: ("set", lambda some: [plain(one) for one in some], lambda some: set(map(typed, some))),
    frozenset: ("frozenset", lambda some: [plain(one) for one in some], lambda some: frozenset(map(typed, some))),
}
_ADDRESSES: Final[Mapping[type, tuple[str, Encoder, Encoder]]] = {
    kind: (kind.__name__, str, kind)
    for kind in (
        ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
        ipaddress.IPv4Interface, ipaddress.IPv6Interface,
    )
}  # fmt: skip
_DECODERS: Final = {name: decode for name, _, decode in (*_KINDS.values(), *_ADDRESSES.values())} | {"range": _range}
_BASES: Final[Mapping[type, Encoder]] = {
    str: str.__str__, int: int.__int__, float: float.__float__, list: list, dict: dict,
}  # fmt: skip
"""What a value of a class of one's own is, if nothing else knows the class: as a database would take it."""


class CannotTravelError(TypeError):
    """A value that JSON has no place for."""


def plain(value: Any, *, exactly: bool = False) -> Any:
    """A value as JSON has it; what JSON has no type for is an object with one name, that begins with ``$``.

    Args:
        value: The value.
        exactly: Whether what comes back must be of the same class; if not, a ``StrEnum`` is as good as its string.

    Raises:
        CannotTravelError: It is of no type that can travel.

    Example:
        >>> plain({"price": decimal.Decimal("9.90")})
        {'price': {'$decimal': '9.90'}}
    """
    kind = type(value)
    if kind in AS_THEY_ARE:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if kind is list:
        return [one if type(one) in AS_THEY_ARE else plain(one, exactly=exactly) for one in value]
    if kind is dict:
        if all(type(name) is str for name in value) and not any(name.startswith("$") for name in value):
            return {name: plain(one, exactly=exactly) for name, one in value.items()}
        return {"$dict": [[plain(name), plain(one, exactly=exactly)] for name, one in value.items()]}
    known = _KINDS.get(kind) or _ADDRESSES.get(kind)
    if known is not None:
        return {f"${known[0]}": known[1](value)}
    if kind.__module__ == _RANGES and hasattr(value, "bounds"):
        return {"$range": _plain_range(value)}
    if exactly:
        raise CannotTravelError(f"{value!r}, a {kind.__qualname__},")
    return _of_its_base(value)


def _of_its_base(value: Any) -> Any:
    for base, made in _BASES.items():
        if isinstance(value, base):
            return plain(made(value))
    for base, (name, encode, _) in _KINDS.items():
        if isinstance(value, base):
            return {f"${name}": encode(value)}
    raise CannotTravelError(f"{value!r}, a {type(value).__qualname__},")


def typed(value: Any) -> Any:
    """What `plain` made a value of.

    Example:
        >>> typed({"price": {"$decimal": "9.90"}})
        {'price': Decimal('9.90')}
    """
    if type(value) is list:
        return [typed(one) for one in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        ((name, one),) = value.items()
        if name.startswith("$"):
            if name == "$float":
                return float(one)
            if name == "$dict":
                return {typed(key): typed(item) for key, item in one}
            return _DECODERS[name[1:]](one)
    return {name: typed(one) for name, one in value.items()}


def travelling(kind: TypeEngine[Any], value: Any) -> Any:
    """A column's value as JSON has it: of a type of one's own, what the column's type makes of it for a database.

    Raises:
        CannotTravelError: It would have to be pickled, or its type leaves it as it is.
    """
    try:
        return plain(value, exactly=True)
    except CannotTravelError:
        if isinstance(kind, PickleType):
            raise
        if isinstance(kind, ARRAY) and isinstance(value, (list, tuple)):
            return [travelling(_within(kind, one), one) for one in value]
        if not isinstance(kind, (Enum, TypeDecorator)):  # to others, it is what its base classes are
            try:
                return plain(value)
            except CannotTravelError:
                pass
        bind = _processors(kind)[0]
        if bind is None:
            raise
        return {"$column": plain(bind(value))}


def arrived(kind: TypeEngine[Any], value: Any) -> Any:
    """What `travelling` made a column's value of."""
    if type(value) is list and isinstance(kind, ARRAY):
        return [arrived(_within(kind, one), one) for one in value]
    if type(value) is dict and len(value) == 1 and "$column" in value:
        back, one = _processors(kind)[1], typed(value["$column"])
        return one if back is None else back(one)
    return typed(value)


def _within(kind: ARRAY[Any], one: Any) -> TypeEngine[Any]:
    return kind if isinstance(one, (list, tuple)) else kind.item_type


@lru_cache(maxsize=1024)
def _processors(kind: TypeEngine[Any]) -> tuple[Encoder | None, Encoder | None]:
    implementation: Any = kind.dialect_impl(_DIALECT)
    return implementation.bind_processor(_DIALECT), implementation.result_processor(_DIALECT, None)
