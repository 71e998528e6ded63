"""Conditions on the rows that a client asks for: ``year__gte=1990``, ``name__contains=love``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from sqlalchemy import JSON, Boolean, ColumnElement, Numeric, String, cast, func, literal, not_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hookline.http.fields import Field
from hookline.http.problems import Wrong, bad_query
from hookline.http.query import Query


class Filter(NamedTuple):
    """One parameter by which rows are chosen.

    Attributes:
        field: What is compared.
        operator: How; empty for equality.
    """

    field: Field
    operator: str

    @property
    def about(self) -> str:
        """What it means."""
        return ABOUT[self.operator].format(self.field.name)


ABOUT: Final[Mapping[str, str]] = {
    "": "{} is this",
    "ne": "{} is something else, or nothing",
    "in": "{} is one of these: the parameter may be repeated",
    "null": "whether {} has no value",
    "lt": "{} is less",
    "lte": "{} is this or less",
    "gt": "{} is more",
    "gte": "{} is this or more",
    "contains": "{} has this in it",
    "starts": "{} begins with this",
    "ends": "{} ends with this",
    "icontains": "{} has this in it, in capitals or not, as far as the database knows letters",
}


class _Found(FunctionElement[bool]):
    """Whether a text has another one in it, in the very same letters: `LIKE` has a mind of its own on each database."""

    type = Boolean()
    inherit_cache = True


@compiles(_Found)
def _instr(element: Any, compiler: Any, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(_Found, "postgresql")
def _strpos(element: Any, compiler: Any, **options: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **options)}) > 0)"


def _starts(column: Any, value: str) -> Any:
    return func.substr(column, 1, len(value)) == value


def _ends(column: Any, value: str) -> Any:
    return (func.length(column) >= len(value)) & (func.substr(column, func.length(column) - len(value) + 1) == value)


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "": lambda column, value: column == value,
    "ne": lambda column, value: column.is_distinct_from(value),
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "contains": lambda column, value: _Found(column, literal(value, column.type)),
    "starts": _starts,
    "ends": _ends,
    "icontains": lambda column, value: column.icontains(value, autoescape=True),
}


def filters_of(fields: Iterable[Field]) -> dict[str, Filter]:
    """The parameters by which rows of these fields can be chosen, by name."""
    found: dict[str, Filter] = {}
    for field in fields:
        operators = (*field.kind.operators, *(("null",) if field.nullable else ()))
        for operator in operators:
            found[f"{field.name}__{operator}" if operator else field.name] = Filter(field, operator)
    return found


def conditions(query: Query, filters: Mapping[str, Filter]) -> list[ColumnElement[bool]]:
    """What rows must meet for a query.

    Args:
        query: The query.
        filters: What it may ask.

    Raises:
        Refused: A value is none of its field's.
    """
    found: list[ColumnElement[bool]] = []
    wrong: list[Wrong] = []
    for name in query:
        if name not in filters:
            continue
        field, operator = filters[name]
        try:
            if operator == "null":
                found += [_null(field, text) for text in query.all(name)]
            elif operator == "in":
                found.append(field.attribute.in_([_read(field, text) for text in query.all(name)]))
            else:
                apply = _OPERATORS[operator]
                found += [apply(field.attribute, _read(field, text)) for text in query.all(name)]
        except ValidationError as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)
            wrong += [Wrong(name, one["type"], one["msg"]) for one in told]
        except ValueError as error:
            wrong.append(Wrong(name, "null", str(error)))
    if wrong:
        raise bad_query(wrong)
    return found


def _read(field: Field, text: str) -> Any:
    value = field.kind.read(text)
    # PostgreSQL would round it to the places that the column has, or fail if it is too large for that.
    return literal(value, Numeric()) if type(field.attribute.type) is Numeric else value


def _null(field: Field, text: str) -> Any:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    empty = field.attribute.is_(None)
    if isinstance(field.attribute.type, JSON):  # the null that JSON itself has is told like the one of SQL
        empty = or_(empty, cast(field.attribute, String) == "null")
    return empty if text == "true" else not_(empty)
