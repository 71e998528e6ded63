"""Rows that clients write: with the hooks of requests around, and the hooks of data beneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from hookline.errors import UsageError, ValidationError, near
from hookline.http.hooks import Asked, HookType, RequestHooks
from hookline.http.problems import refusal_of
from hookline.http.resource import Resource
from hookline.sqlalchemy.statements.locks import take_write_lock


class Writer:
    """What one request writes.

    Args:
        resource: What the rows are.
        hooks: The hooks on requests.
        session: The session of this request.
        held: What hooks may ask for by name.

    Attributes:
        connection: Where the rows are written.
    """

    def __init__(self, resource: Resource, hooks: RequestHooks, session: Session, held: Mapping[str, Any]) -> None:
        self._resource, self._hooks, self._session, self._held = resource, hooks, session, held
        self._index_of: dict[int, int] = {}
        self.connection = session.connection(bind_arguments={"mapper": resource.mapper})
        # SQLite may refuse a transaction that reads first and writes later; this one waits for its turn instead.
        take_write_lock(self.connection, resource.table)

    def find_one(self, key: Sequence[Any], where: Sequence[ColumnElement[bool]]) -> Any | None:
        """The object with a key, kept from being written by others; None if it does not meet conditions."""
        query = self._resource.one_held.where(*where) if where else self._resource.one_held
        return self._session.scalars(query, self._resource.parameters(key)).first()

    def find_many(self, where: Sequence[ColumnElement[bool]], limit: int) -> list[Any]:
        """The objects that meet conditions, in the order of their keys, kept from being written by others."""
        return list(self._session.scalars(self._resource.held.where(*where).limit(limit)))

    def create(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Write new rows."""
        entities: list[Any] = []
        with self.told_by_place():
            for values in rows:
                entity = self._resource.model(**values)
                self._index_of[id(entity)] = len(entities)
                entity = self._saved(HookType.pre_save, "insert", entity)
                self._index_of[id(entity)] = len(entities)
                entities.append(entity)
            self._session.add_all(entities)
            self._session.flush()
            return [self._saved(HookType.post_save, "insert", entity) for entity in entities]

    def replace(self, entity: Any, values: Mapping[str, Any]) -> None:
        """Give a row these values, and to the rest of it what a new row would have."""
        for name, field in self._resource.fields.items():
            if field.writable:
                setattr(entity, name, values.get(name, field.default))
        self._same(HookType.pre_save, entity)
        self._session.flush()
        self._same(HookType.post_save, entity)

    def patch(self, entities: Sequence[Any], values: Mapping[str, Any]) -> None:
        """Give rows these values."""
        self._index_of.update({id(entity): index for index, entity in enumerate(entities)})
        with self.told_by_place():
            written = [self._edited(HookType.pre_patch, entity, dict(values)) for entity in entities]
            for entity, own in zip(entities, written, strict=True):
                for name, value in own.items():
                    setattr(entity, self._known(name), value)
            self._session.flush()
            for entity, own in zip(entities, written, strict=True):
                self._edited(HookType.post_patch, entity, own)

    def delete(self, entities: Sequence[Any]) -> None:
        """Delete rows."""
        keys = [self._resource.key_of(entity) for entity in entities]
        for entity, key in zip(entities, keys, strict=True):
            self._hooks.run(HookType.pre_delete, self._asked("delete", entity, row_id=_single(key)), None)
        for entity in entities:
            self._session.delete(entity)
        self._session.flush()
        for entity, key in zip(entities, keys, strict=True):
            self._hooks.run(HookType.post_delete, self._asked("delete", entity, row_id=_single(key)), None)

    def _asked(self, event: str, entity: Any, **given: Any) -> Asked:
        return Asked(self._session, event, entity, {**self._held, **given})

    def _saved(self, when: HookType, event: str, entity: Any) -> Any:
        left = self._hooks.run(when, self._asked(event, entity), entity)
        if not isinstance(left, self._resource.model):
            raise UsageError(
                f"A hook on requests ({when.value}) returned {left!r}. It gives back the row, a {self._resource.name}, "
                f"or None for no change."
            )
        return left

    def _same(self, when: HookType, entity: Any) -> None:
        if self._saved(when, "update", entity) is not entity:
            raise UsageError(
                f"A hook on requests ({when.value}) returned another {self._resource.name} than the one that is being "
                f"replaced. Edit the row that it is given."
            )

    def _edited(self, when: HookType, entity: Any, values: Mapping[str, Any]) -> Mapping[str, Any]:
        key = _single(self._resource.key_of(entity))
        return self._hooks.run(when, self._asked("update", entity, row_id=key), values)

    def _known(self, name: str) -> str:
        names = self._resource.mapper.attrs.keys()
        if name not in names:
            raise UsageError(
                f"A hook on requests (pre_patch) gave back {name!r}, and {self._resource.name} has no such field."
                f"{near(name, names)}"
            )
        return name

    @contextmanager
    def told_by_place(self) -> Iterator[None]:
        """Say of which row it is that something is wrong with: when it is written, or when all are committed."""
        try:
            yield
        except ValidationError as error:
            if len(self._index_of) < 2:
                raise
            raise refusal_of(error, self._resource, self._index_of) from error


def _single(key: tuple[Any, ...]) -> Any:
    return key[0] if len(key) == 1 else key
