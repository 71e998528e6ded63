"""The key of a row as a part of its address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from hookline.http.kinds import Kind

WORDS: Final = frozenset({"", ".", "..", "bulk", "count", "ids", "new", "references", "schema"})
"""What an address cannot have in the place of a key, or has there for something else."""

_ESCAPES: Final = (("~", "~0"), ("/", "~1"), (",", "~2"))


def written(values: Sequence[Any]) -> str:
    """A key as text: the columns' values with commas between them.

    What an address uses for itself is written with a tilde, in the manner of RFC 6901: ``~0`` for a tilde, ``~1`` for a
    slash, ``~2`` for a comma; and one stands before a key that is a word of the interface.

    Args:
        values: The values of the key's columns.

    Example:
        >>> written([7]), written(["a/b", 3]), written(["ids"])
        ('7', 'a~1b,3', '~ids')
    """
    text = ",".join(_escaped(_text(value)) for value in values)
    return f"~{text}" if text in WORDS else text


def read(text: str, kinds: Sequence[Kind]) -> tuple[Any, ...] | None:
    """The key that `written` made this text of; None if there cannot be such a key.

    Args:
        text: The text.
        kinds: The types of the key's columns.

    Example:
        >>> from sqlalchemy import Integer, String
        >>> from hookline.http.kinds import kind_of
        >>> read("a~1b,3", [kind_of("name", str, String(), None), kind_of("number", int, Integer(), None)])
        ('a/b', 3)
    """
    if text.startswith("~") and text[1:] in WORDS:
        text = text[1:]
    parts = text.split(",")
    if len(parts) != len(kinds):
        return None
    try:
        values = tuple(kind.read(_unescaped(part)) for kind, part in zip(kinds, parts, strict=True))
    except ValidationError:
        return None
    # A number can be written in many ways, and a row has one address.
    numbers = all(str(value) == part for value, part in zip(values, parts, strict=True) if type(value) is int)
    return values if numbers else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    try:
        plain = to_jsonable_python(value, bytes_mode="base64")
    except PydanticSerializationError:
        plain = value
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _escaped(text: str) -> str:
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    return text


def _unescaped(text: str) -> str:
    for character, escape in reversed(_ESCAPES):
        text = text.replace(escape, character)
    return text
