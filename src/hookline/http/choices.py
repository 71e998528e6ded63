"""Rows by name, for people who choose one: those of the resource itself, and those that a foreign key may refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, cast, select
from sqlalchemy.orm import Session

from hookline.errors import TargetError, near
from hookline.http.fields import Field
from hookline.http.order import Order, Sorted
from hookline.http.resource import Resource

_NAMES = ("name", "title", "label")


class Choices:
    """Rows by name.

    Args:
        resource: What the rows are.
        label: The field that names one; the key if None.
        values: The fields that stand for one; the key if None.
    """

    def __init__(self, resource: Resource, label: Field | None, values: Sequence[Field] | None = None) -> None:
        self._resource, self._label = resource, label
        self._values = tuple(values) if values is not None else resource.keys
        by = [Sorted(label)] if label is not None else []
        self.order = Order(by, resource.keys)

    def page(
        self, session: Session, where: Sequence[ColumnElement[bool]], size: int, after: str | None, search: str | None
    ) -> tuple[list[tuple[tuple[Any, ...], str]], str | None]:
        """Values and names of some rows, and the place after them."""
        fields = list(dict.fromkeys([one.field for one in self.order.by] + list(self._values)))
        query = select(*(field.attribute for field in fields)).where(*where)
        if after is not None:
            query = query.where(self.order.after(after))
        if search:
            query = query.where(self._named.icontains(search, autoescape=True))
        query = query.order_by(*self.order.clauses).limit(size + 1)
        rows = [dict(zip((field.name for field in fields), row, strict=True)) for row in session.execute(query)]
        more, rows = len(rows) > size, rows[:size]
        found = [(tuple(row[field.name] for field in self._values), self._told(row)) for row in rows]
        return found, self.order.cursor(rows[-1]) if more else None

    @property
    def _named(self) -> Any:
        if self._label is not None:
            return cast(self._label.attribute, String)
        return cast(self._resource.keys[0].attribute, String)

    def _told(self, row: Mapping[str, Any]) -> str:
        if self._label is not None and row[self._label.name] is not None:
            return str(row[self._label.name])
        return ", ".join(str(row[key.name]) for key in self._resource.keys)


def labelled(resource: Resource, label: str | None) -> Field | None:
    """The field that names a row: the one that was chosen, or one that is called so.

    Raises:
        TargetError: There is no such field.
    """
    if label is not None:
        if label not in resource.fields or "lt" not in resource.fields[label].kind.operators:
            raise TargetError(
                f"{resource.name} has no field {label!r} that can name a row.{near(label, resource.fields)}"
            )
        return resource.fields[label]
    known = (resource.fields[name] for name in _NAMES if name in resource.fields)
    return next((one for one in known if "lt" in one.kind.operators), None)


class Reference(NamedTuple):
    """A foreign key for which clients may see the choices."""

    resource: Resource
    choices: Choices
    field: Field


def references_of(resource: Resource, offered: Mapping[str, str]) -> dict[str, Reference]:
    """The choices for foreign keys, by field.

    Args:
        resource: What has the foreign keys.
        offered: By field, what names a row at the other end.

    Raises:
        TargetError: A field is no foreign key of one column, or the other end has no such field.
    """
    found: dict[str, Reference] = {}
    for name, label in offered.items():
        if name not in resource.fields:
            raise TargetError(f"{resource.name} has no field {name!r}.{near(name, resource.fields)}")
        column: Any = resource.fields[name].attribute.property.columns[-1]
        ends = [key.column for key in column.foreign_keys]
        mappers = [one for one in resource.mapper.registry.mappers if ends and one.local_table is ends[0].table]
        if not mappers:
            raise TargetError(
                f"{resource.name}.{name} is no foreign key to a mapped class: there is nothing to choose."
            )
        other = Resource(min(mappers, key=lambda one: len(list(one.iterate_to_root()))).class_, secret=resource.secret)
        field = other.fields.get(other.named(ends[0].name))
        if field is None:
            raise TargetError(f"{resource.name}.{name} refers to {ends[0]}, which clients do not see.")
        found[name] = Reference(other, Choices(other, labelled(other, label), [field]), field)
    return found
