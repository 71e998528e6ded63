"""The order of rows, and the place in it where a page ends."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import ValidationError, from_json, to_json
from sqlalchemy import ColumnElement, and_, false, or_

from hookline.errors import near
from hookline.http.fields import Field
from hookline.http.problems import Refused, Wrong, bad_query


class Sorted(NamedTuple):
    """A field by which rows are sorted; what has no value counts as the greatest."""

    field: Field
    falling: bool = False

    @property
    def clause(self) -> Any:
        """For ORDER BY."""
        column = self.field.attribute
        if self.falling:
            return column.desc().nulls_first() if self.field.nullable else column.desc()
        return column.asc().nulls_last() if self.field.nullable else column.asc()

    def behind(self, value: Any) -> Any:
        """That a row comes after those that have this value."""
        column: Any = self.field.attribute
        if self.falling:
            return column.is_not(None) if value is None else column < value
        if value is None:
            return false()
        return or_(column > value, column.is_(None)) if self.field.nullable else column > value

    def beside(self, value: Any) -> Any:
        """That a row has this value."""
        return self.field.attribute.is_(None) if value is None else self.field.attribute == value


class Order:
    """What rows are sorted by; their keys come last, so that it is always the same.

    Args:
        by: The fields, in order.
        keys: The fields of the key.
    """

    def __init__(self, by: Sequence[Sorted], keys: Sequence[Field]) -> None:
        named = {one.field.name for one in by}
        self.by = (*by, *(Sorted(field) for field in keys if field.name not in named))

    @classmethod
    def read(cls, text: str | None, fields: Mapping[str, Field], keys: Sequence[Field]) -> Order:
        """What a client asks for: ``-year,name``.

        Raises:
            Refused: It names what rows cannot be sorted by, or the same twice.
        """
        by: list[Sorted] = []
        for name in text.split(",") if text is not None else ():
            bare = name.removeprefix("-")
            if bare not in fields:
                hint = near(bare, fields)
                raise bad_query([Wrong("__order", "unknown", f"rows cannot be sorted by {bare!r}.{hint}")])
            if any(one.field.name == bare for one in by):
                raise bad_query([Wrong("__order", "repeated", f"rows are sorted by {bare!r} once")])
            by.append(Sorted(fields[bare], name.startswith("-")))
        return cls(by, keys)

    @property
    def clauses(self) -> list[Any]:
        """For ORDER BY."""
        return [one.clause for one in self.by]

    @property
    def _told(self) -> list[str]:
        return [("-" if one.falling else "") + one.field.name for one in self.by]

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The place right after a row, as text."""
        place = [self._told, [_plain(one.field, row[one.field.name]) for one in self.by]]
        return base64.urlsafe_b64encode(to_json(place)).decode().rstrip("=")

    def after(self, cursor: str) -> ColumnElement[bool]:
        """That a row comes after a place.

        Raises:
            Refused: It is no place in this order.
        """
        values = self._values(cursor)
        ways: list[ColumnElement[bool]] = []
        for index, (one, value) in enumerate(zip(self.by, values, strict=True)):
            before = [other.beside(known) for other, known in zip(self.by[:index], values[:index], strict=True)]
            ways.append(and_(*before, one.behind(value)))
        return or_(*ways)

    def _values(self, cursor: str) -> list[Any]:
        try:
            told, plain = from_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
            if told != self._told or len(plain) != len(self.by):
                raise _no_place("it belongs to another order of rows")
            return [_value(one.field, value) for one, value in zip(self.by, plain, strict=True)]
        except (ValueError, TypeError, binascii.Error, ValidationError) as error:
            raise _no_place("give what `next` was in an answer") from error


def _plain(field: Field, value: Any) -> Any:
    return None if value is None else field.kind.value.dump_python(value, mode="json")


def _value(field: Field, plain: Any) -> Any:
    if plain is None:
        if not field.nullable:
            raise ValueError(field.name)
        return None
    return field.kind.value.validate_json(to_json(plain))


def _no_place(why: str) -> Refused:
    return bad_query([Wrong("__after", "cursor", f"is no place in the list: {why}")])
