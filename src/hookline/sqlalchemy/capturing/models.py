"""The tables of mapped classes and relationships."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, RelationshipProperty, class_mapper
from sqlalchemy.orm.exc import UnmappedClassError

from hookline.errors import TargetError


def tables_of(targets: Iterable[Any]) -> tuple[Table, ...]:
    """The tables that rows and links of some targets are in, each once.

    Args:
        targets: Mapped classes: their tables, those of their subclasses, and the secondary tables of their
            relationships. Relationships: their secondary table, or the table that has the foreign key. Tables.

    Raises:
        TargetError: A target is none of these.
    """
    return tuple(dict.fromkeys(table for target in targets for table in _tables_of(target)))


def _tables_of(target: Any) -> Iterator[Table]:
    prop = getattr(target, "property", None)
    if isinstance(target, Table):
        yield target
    elif isinstance(prop, RelationshipProperty):
        columns = [remote for pairs in (prop.local_remote_pairs or (),) for pair in pairs for remote in pair]
        found = [prop.secondary] if prop.secondary is not None else [c.table for c in columns if c.foreign_keys]
        yield from (table for table in found if isinstance(table, Table))
    elif isinstance(target, type):
        try:
            mapper: Mapper[Any] = class_mapper(target)
        except (InvalidRequestError, UnmappedClassError) as error:
            raise _not_one(target) from error
        for one in mapper.self_and_descendants:
            yield from _of_mapper(one)
    else:
        raise _not_one(target)


def _of_mapper(mapper: Mapper[Any]) -> Iterator[Table]:
    yield from (table for table in mapper.tables if isinstance(table, Table))
    for relation in mapper.relationships:
        if isinstance(relation.secondary, Table):
            yield relation.secondary


def _not_one(target: object) -> TargetError:
    return TargetError(f"capture() takes mapped classes, relationships and tables, not {target!r}.")
