"""A mapped class as clients see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, NotRequired, Required

from pydantic import Field as About
from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, select
from sqlalchemy import inspect as inspected
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper, lazyload
from typing_extensions import TypedDict

from hookline.errors import TargetError, near
from hookline.http import keys
from hookline.http.fields import Field, fields_of, keys_of, relations_of
from hookline.http.kinds import CONFIG


class Resource:
    """A mapped class as clients see it.

    Args:
        model: The class.
        secret: What no client may see.
        read_only: What no client may write.
        types: The types of fields whose class does not say enough.
        dialect: The database, if that is known.

    Attributes:
        model: The class.
        name: Its name, for schemas.
        mapper: Its mapper.
        secret: What no client may see, of related classes too.
        fields: What clients may see, by name.
        keys: The fields of its key.
        relations: The relations that clients may follow, by name.
    """

    def __init__(
        self, model: type, *, secret: Iterable[Any] = (), read_only: Iterable[str] = (),
        types: Mapping[str, Any] | None = None, dialect: str | None = None,
    ) -> None:  # fmt: skip
        self.mapper: Mapper[Any] = _mapper_of(model)
        self.model, self.name, self.secret, self._dialect = model, model.__name__, tuple(secret), dialect
        self.fields: dict[str, Field] = fields_of(
            self.mapper, secret=self.secret, read_only=read_only, types=types, dialect=dialect
        )
        self.keys: tuple[Field, ...] = tuple(self.fields[prop.key] for prop in keys_of(self.mapper))
        self.relations = relations_of(self.mapper, secret=self.secret)
        self._at = tuple(f"hookline_key_{index}" for index, _ in enumerate(self.keys))
        self._place = {name: index for index, name in enumerate(self.fields)}
        self._plain = {name: field.kind.plain for name, field in self.fields.items() if field.kind.plain is not None}

    def related(self, name: str) -> Resource:
        """What a relation leads to."""
        return Resource(self.relations[name].mapper.class_, secret=self.secret, dialect=self._dialect)

    def must_have(self, names: Iterable[str]) -> None:
        """Refuse names that the class does not have.

        Raises:
            TargetError: There is no such attribute.
        """
        there = self.mapper.attrs.keys()
        for name in names:
            if name not in there:
                raise TargetError(f"{self.name} has no field {name!r}.{near(name, there)}")

    # -- bodies

    @cached_property
    def new(self) -> TypeAdapter[dict[str, Any]]:
        """A new row."""
        return TypeAdapter(self._new)

    def several(self, most: int) -> TypeAdapter[list[dict[str, Any]]]:
        """So many new rows at most."""
        rows: Any = Annotated[list[self._new], About(max_length=most)]  # type: ignore[name-defined]
        return TypeAdapter(rows)

    @cached_property
    def replacement(self) -> TypeAdapter[dict[str, Any]]:
        """All of a row but its key."""
        fields = [(one, one.replaced) for one in self.fields.values() if one.writable]
        return TypeAdapter(self._body("Replacement", fields))

    @cached_property
    def patch(self) -> TypeAdapter[dict[str, Any]]:
        """Some fields of a row."""
        return TypeAdapter(self._body("Patch", [(one, False) for one in self.fields.values() if one.writable]))

    @cached_property
    def row(self) -> Any:
        """A row as it is told, of which a client may have asked for some fields only."""
        return self.row_with({})

    def row_with(self, related: Mapping[str, Any]) -> Any:
        """The same, with related rows if a client asks for them.

        Args:
            related: The types of what is told of them, by relation.
        """
        return self._body("Related" if related else "", [(one, False) for one in self.fields.values()], related)

    @cached_property
    def _new(self) -> Any:
        return self._body("New", [(one, one.required) for one in self.fields.values() if one.given])

    def _body(self, kind: str, fields: Iterable[tuple[Field, bool]], more: Mapping[str, Any] | None = None) -> Any:
        """The type of a body: its fields, and whether each must be there; and more that may be."""
        members = {one.name: (Required if needed else NotRequired)[_typed(one)] for one, needed in fields}
        members |= {name: NotRequired[kind] for name, kind in (more or {}).items()}
        make: Any = TypedDict
        made = make(f"{self.name}{kind}", members)
        made.__pydantic_config__ = CONFIG
        made.__doc__ = None
        return made

    # -- rows

    @property
    def columns(self) -> list[Any]:
        """What a query selects for `plain`."""
        return [field.attribute for field in self.fields.values()]

    def plain(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row that was selected, as JSON has it: what pydantic cannot write by itself is made simple."""
        row = dict(zip(self.fields, values, strict=True))
        for name, kind in self._plain.items():
            if row[name] is not None:
                row[name] = kind.dump_python(row[name], mode="json")
        return row

    def seen(self, entity: object) -> dict[str, Any]:
        """An object that was just read, likewise."""
        return self.plain([getattr(entity, name) for name in self.fields])

    def key_in(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The key of a row that was selected."""
        return tuple(values[self._place[one.name]] for one in self.keys)

    def key_of(self, entity: object) -> tuple[Any, ...]:
        """The key of an object."""
        return tuple(getattr(entity, one.name) for one in self.keys)

    def key_from(self, text: str) -> tuple[Any, ...] | None:
        """The key that a part of an address stands for; None if there can be no such row."""
        return keys.read(text, [one.kind for one in self.keys])

    @cached_property
    def at(self) -> ColumnElement[bool]:
        """That a row has the key that a statement is given by `parameters`.

        What is said with parameters is said once, and SQLAlchemy remembers what it made of it.
        """
        return and_(
            *(
                one.attribute == bindparam(name, type_=one.attribute.type)
                for name, one in zip(self._at, self.keys, strict=True)
            )
        )

    def parameters(self, key: Sequence[Any]) -> dict[str, Any]:
        """A key as `at` takes it."""
        return dict(zip(self._at, key, strict=True))

    @cached_property
    def one(self) -> Select[Any]:
        """The query for what `plain` takes, of the row with a key."""
        return select(*self.columns).where(self.at)

    @cached_property
    def held(self) -> Select[Any]:
        """The query for objects, in the order of their keys, kept from being written by others."""
        query: Select[Any] = select(self.model).order_by(*(field.attribute for field in self.keys))
        return query.with_for_update(of=self.model).options(lazyload("*"))

    @cached_property
    def one_held(self) -> Select[Any]:
        """The same for the one with a key."""
        return self.held.where(self.at)

    @property
    def table(self) -> Table:
        """The table that its own columns are in."""
        table = self.mapper.local_table
        assert isinstance(table, Table)
        return table

    @property
    def hidden(self) -> frozenset[str]:
        """The names of attributes and columns that clients do not see."""
        names = {*self.mapper.attrs.keys(), *(column.name for column in self.mapper.columns)}
        return frozenset(names - self.fields.keys() - self.relations.keys())

    def named(self, column: str) -> str:
        """The field that a column of the table is; its own name if clients do not see it."""
        for name, field in self.fields.items():
            if getattr(field.attribute.property.columns[-1], "name", None) == column:
                return name
        return column


def _typed(field: Field) -> Any:
    """The type of a field in a body, with what the schema tells about it."""
    kind = field.kind.body | None if field.nullable else field.kind.body
    told: dict[str, Any] = {} if field.default is None else {"default": _simple(field)}
    examples = None if field.kind.example is None else [field.kind.example]
    return Annotated[kind, About(description=field.about, examples=examples, json_schema_extra=told or None)]


def _simple(field: Field) -> Any:
    return field.kind.value.dump_python(field.default, mode="json")


def _mapper_of(model: type) -> Mapper[Any]:
    try:
        mapper: Any = inspected(model)
    except NoInspectionAvailable:
        mapper = None
    if not isinstance(mapper, Mapper):
        raise TargetError(f"CRUD() serves a mapped class, and {model!r} is none.")
    return mapper
