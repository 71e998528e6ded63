"""Rows as they are told: whole pages of columns, never objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from hookline.http.order import Order
from hookline.http.resource import Resource
from hookline.http.selection import Selection

_AT_ONCE = 500
"""How many keys one query names."""


class Page(NamedTuple):
    """Some rows, and the place after them.

    Attributes:
        rows: As JSON has them.
        next: The place after the last of them; None if there are no more.
    """

    rows: list[dict[str, Any]]
    next: str | None


def row_at(
    session: Session, resource: Resource, key: Sequence[Any], where: Sequence[ColumnElement[bool]] = ()
) -> tuple[Any, ...] | None:
    """The row with a key, as it was selected; None if there is none, or it does not meet conditions."""
    query = resource.one.where(*where) if where else resource.one
    found = session.execute(query, resource.parameters(key)).first()
    return None if found is None else tuple(found)


def all_meet(
    session: Session, resource: Resource, keys: Sequence[tuple[Any, ...]], where: Sequence[ColumnElement[bool]]
) -> bool:
    """Whether the rows with these keys meet conditions."""
    if not where:
        return True
    count = select(func.count()).select_from(resource.model).where(*where)
    return sum(session.scalar(count.where(some)) or 0 for some in _among(resource, keys)) == len(keys)


def page(
    session: Session, selection: Selection, where: Sequence[ColumnElement[bool]], order: Order, size: int, *,
    number: int = 1, most: int,
) -> Page:  # fmt: skip
    """The rows of one page.

    Args:
        session: Where they are read.
        selection: What is told of them.
        where: What they meet.
        order: What they are sorted by.
        size: How many there are on a page.
        number: Which page, from 1.
        most: How many related rows are told of each.
    """
    resource = selection.resource
    query = select(*resource.columns).where(*where).order_by(*order.clauses).limit(size + 1)
    if number > 1:
        query = query.offset((number - 1) * size)
    found = [tuple(row) for row in session.execute(query)]
    more, found = len(found) > size, found[:size]
    place = order.cursor(dict(zip(resource.fields, found[-1], strict=True))) if more else None
    return Page(told(session, selection, found, most), place)


def told(session: Session, selection: Selection, found: list[tuple[Any, ...]], most: int) -> list[dict[str, Any]]:
    """Rows that were selected, with what is asked of them and of related rows."""
    resource = selection.resource
    rows = [resource.plain(values) for values in found]
    if len(selection.names) < len(resource.fields):
        rows = [{name: row[name] for name in selection.names} for row in rows]
    for name, further in selection.related.items():
        keys = [resource.key_in(values) for values in found]
        related = _related(session, resource, name, further, keys, most)
        several = bool(resource.relations[name].uselist)
        for row, key in zip(rows, keys, strict=True):
            others = related.get(key, [])
            if several:
                row[name] = {"rows": others[:most], "more": len(others) > most}
            else:
                row[name] = others[0] if others else None
    return rows


def _related(
    session: Session, resource: Resource, name: str, selection: Selection, keys: Sequence[tuple[Any, ...]], most: int
) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The rows that a relation leads to, by the key where it begins; of each one more than are told."""
    other: Any = aliased(selection.resource.model)
    relation: Any = getattr(resource.model, name)
    own = [field.attribute.label(f"own_{index}") for index, field in enumerate(resource.keys)]
    theirs = [getattr(other, field).label(f"their_{index}") for index, field in enumerate(selection.resource.fields)]
    place = func.row_number().over(
        partition_by=[field.attribute for field in resource.keys],
        order_by=[getattr(other, field.name) for field in selection.resource.keys],
    )
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for some in _among(resource, keys):
        numbered = (
            select(*own, *theirs, place.label("place")).select_from(resource.model)
            .join(relation.of_type(other)).where(some).subquery()
        )  # fmt: skip
        query = select(*numbered.c[:-1]).where(numbered.c.place <= most + 1).order_by(*numbered.c[: len(own)], "place")
        for row in session.execute(query):
            found.setdefault(tuple(row[: len(own)]), []).append(tuple(row[len(own) :]))
    flat = [values for rows in found.values() for values in rows]
    rows = iter(told(session, selection, flat, most))
    return {key: [next(rows) for _ in values] for key, values in found.items()}


def _among(resource: Resource, keys: Sequence[tuple[Any, ...]]) -> Iterator[ColumnElement[bool]]:
    """That a row has one of these keys, some of them at a time."""
    for begin in range(0, len(keys), _AT_ONCE):
        some = keys[begin : begin + _AT_ONCE]
        if len(resource.keys) == 1:
            yield resource.keys[0].attribute.in_([key[0] for key in some])
        else:
            yield tuple_(*(field.attribute for field in resource.keys)).in_(some)
