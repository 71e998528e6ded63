"""The fields of a mapped class that clients may see, and what they may do with each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Column
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Mapped, Mapper, RelationshipProperty

from hookline.errors import TargetError, near
from hookline.http.kinds import Kind, kind_of, python_of

SECRET: Final = "secret"  # noqa: S105 - a name, not one
"""What a column's ``info`` has, ``mapped_column(info={"secret": True})``, if no client may ever see it."""


class Field(NamedTuple):
    """One field.

    Attributes:
        name: The attribute's.
        attribute: The attribute of the class, for queries.
        kind: Its values.
        nullable: Whether it may be without a value.
        key: Whether it is part of the key.
        given: Whether a client may give it to a new row.
        writable: Whether a client may change it.
        required: Whether a client must give it to a new row.
        replaced: Whether a row that is replaced must be given it, as nobody knows its default.
        default: What it is if nobody gives it.
        about: What the column says of itself.
    """

    name: str
    attribute: InstrumentedAttribute[Any]
    kind: Kind
    nullable: bool
    key: bool
    given: bool
    writable: bool
    required: bool
    replaced: bool
    default: Any
    about: str | None


def fields_of(
    mapper: Mapper[Any],
    *,
    secret: Iterable[Any] = (),
    read_only: Iterable[str] = (),
    types: Mapping[str, Any] | None = None,
    dialect: str | None = None,
) -> dict[str, Field]:
    """The fields that clients may see, by name.

    Args:
        mapper: Of the class.
        secret: Attributes, or names of them, that no client may see, besides those that say so of themselves; they
            may be of other classes.
        read_only: Names of those that no client may write.
        types: Their types by name, where the class does not say enough.
        dialect: The database, if that is known.

    Raises:
        TargetError: A name is none of the class's, or nobody knows a field's type.
    """
    hidden, fixed, known = _names(mapper, secret), set(read_only), dict(types or {})
    there = {prop.key for prop in mapper.column_attrs}
    for name in (*fixed, *known):
        if name not in there:
            raise TargetError(f"{mapper.class_.__name__} has no field {name!r}.{near(name, there)}")
    hints = _hints(mapper.class_)
    found: dict[str, Field] = {}
    for prop in mapper.column_attrs:
        if prop.key in hidden or _is_secret(prop):
            continue
        hint = known.get(prop.key, hints.get(prop.key))
        found[prop.key] = _field(mapper, prop, hint, dialect, fixed=prop.key in fixed)
    missing = [prop.key for prop in keys_of(mapper) if prop.key not in found]
    if missing:
        raise TargetError(
            f"{mapper.class_.__name__}.{missing[0]} is part of the key, so it is in the address of every row: "
            f"it cannot be secret."
        )
    return found


def relations_of(mapper: Mapper[Any], *, secret: Iterable[Any] = ()) -> dict[str, RelationshipProperty[Any]]:
    """The relations that clients may follow, by name; `secret` as for fields."""
    hidden = _names(mapper, secret)
    return {one.key: one for one in mapper.relationships if one.key not in hidden and not _is_secret(one)}


def _is_secret(prop: ColumnProperty[Any] | RelationshipProperty[Any]) -> bool:
    """Whether an attribute says so of itself."""
    columns = prop.columns if isinstance(prop, ColumnProperty) else []
    return prop.key.startswith("_") or any(getattr(one, "info", {}).get(SECRET) for one in (prop, *columns))


def keys_of(mapper: Mapper[Any]) -> list[ColumnProperty[Any]]:
    """The attributes of the key, in its order."""
    found = [mapper.get_property_by_column(column) for column in mapper.primary_key]
    return [one for one in found if isinstance(one, ColumnProperty)]


def _names(mapper: Mapper[Any], given: Iterable[Any]) -> set[str]:
    """The names of those attributes that are of this class; others may be of related ones."""
    return {
        one if isinstance(one, str) else one.key
        for one in given
        if isinstance(one, str) or mapper.isa(getattr(one, "parent", mapper))
    }


def _field(mapper: Mapper[Any], prop: ColumnProperty[Any], hint: Any, dialect: str | None, *, fixed: bool) -> Field:
    name = f"{mapper.class_.__name__}.{prop.key}"
    column: Any = prop.columns[-1]  # of a class that inherits by joins: its base's
    attribute: InstrumentedAttribute[Any] = getattr(mapper.class_, prop.key)
    if hint is None and not isinstance(column, Column):  # nobody writes it, so it may be whatever it is
        hint = python_of(column.type) or Any
    kind = kind_of(name, hint, column.type, dialect)
    key = any(one in mapper.primary_key for one in prop.columns)
    if not isinstance(column, Column):
        return Field(prop.key, attribute, kind, True, False, False, False, False, False, None, None)
    made = _is_made(column)
    fixed = fixed or _is_kept(mapper, column)
    given = not fixed and not (key and made)
    scalar = column.default is not None and column.default.is_scalar
    default: Any = column.default.arg if scalar and column.default is not None else None  # type: ignore[attr-defined]
    nullable = bool(column.nullable) and not key
    return Field(
        prop.key,
        attribute,
        kind,
        nullable,
        key,
        given,
        writable=given and not key,
        required=given and not nullable and not made,
        replaced=given and not key and not nullable and not scalar,
        default=default,
        about=column.comment or column.doc,
    )


def _is_made(column: Column[Any]) -> bool:
    """Whether a column gets a value if nobody gives it one."""
    table = column.table
    counted = getattr(table, "autoincrement_column", None) is column
    return counted or any(one is not None for one in (column.default, column.server_default, column.identity))


def _is_kept(mapper: Mapper[Any], column: Column[Any]) -> bool:
    """Whether the application itself, or the database, keeps a column."""
    return (
        column.computed is not None
        or getattr(column.identity, "always", False)
        or column.onupdate is not None
        or column.server_onupdate is not None
        or column is mapper.version_id_col
        or column is mapper.polymorphic_on
    )


def _hints(model: type) -> dict[str, Any]:
    """The types that a class declares for its columns, without what says that they may be missing."""
    found: dict[str, Any] = {}
    for owner in reversed(model.__mro__):
        for name, hint in _annotations(owner):
            if get_origin(hint) is Mapped:
                found[name] = _bare(get_args(hint)[0])
    return {name: hint for name, hint in found.items() if hint is not Any}


def _annotations(owner: type) -> Iterator[tuple[str, Any]]:
    try:
        every = get_type_hints(owner, include_extras=False)
    except (NameError, TypeError):  # names that are there for type checkers only: each for itself, then
        every = {}
        for name, text in get_annotations(owner).items():
            one = type(owner.__name__, (), {"__annotations__": {name: text}, "__module__": owner.__module__})
            try:
                every.update(get_type_hints(one))
            except (NameError, TypeError):
                continue
    yield from ((name, every[name]) for name in get_annotations(owner) if name in every)


def _bare(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        kept = [one for one in get_args(hint) if one is not NoneType]
        return kept[0] if len(kept) == 1 else Any
    return hint
