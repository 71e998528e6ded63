"""Registrations as rows, and their history."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, update

from hookline.registrations.generation import PASSING, Generation, next_generation
from hookline.registrations.registration import HistoryEntry, Registration
from hookline.registrations.tables import Tables

_CHUNK: Final = 500
"""Values in a statement: below every database's limit of parameters."""

_TIMES: Final = ("created_at", "changed_at")
_COLUMNS: Final = {"when": "condition", "order": "position"}
"""Fields whose names would have to be quoted in SQL."""


class RowStore:
    """Reads and writes the tables by one connection; the generation moves once, with the first change.

    Args:
        connection: The connection.
        tables: The tables.
        source: The name of the registrations.
    """

    def __init__(self, connection: Connection, tables: Tables, source: str) -> None:
        self._connection, self._tables, self._source = connection, tables, source
        self._generation: Generation | None = None

    # -- writing

    def insert(self, draft: Registration) -> Registration:
        """Keep a new one, and write its history."""
        values = {**_row(draft), "created_at": func.current_timestamp()}
        result = self._send(insert(self._tables.registration).values(values))
        return self._noted(result.inserted_primary_key[0], "added", draft.created_by, None)

    def update(self, one: Registration, action: str, by: str | None, why: str | None = None) -> Registration:
        """Keep other values of one, and write its history."""
        table = self._tables.registration
        values = {**_row(one), "changed_at": func.current_timestamp()}
        del values["created_at"]
        self._send(update(table).where(table.c.id == one.id).values(values))
        return self._noted(one.id, action, by, why)

    def delete(self, one: Registration, by: str | None, why: str | None = None) -> None:
        """Remove one, and write its history."""
        table = self._tables.registration
        if self._send(delete(table).where(table.c.id == one.id)).rowcount:
            self._note(one, "removed", by, why)

    def _noted(self, number: int, action: str, by: str | None, why: str | None) -> Registration:
        one = self.one(number)
        assert one is not None
        self._note(one, action, by, why)
        return one

    def _note(self, one: Registration, action: str, by: str | None, why: str | None) -> None:
        assert self._generation is not None
        values = {
            "registration": one.id, "action": action, "by": by, "why": why, "state": _as_text(one),
            "at": func.current_timestamp(), "generation": self._generation.number, "stamp": self._generation.stamp,
        }  # fmt: skip
        self._send(insert(self._tables.history).values(values))

    def _send(self, statement: Any) -> Any:
        if self._generation is None:
            self._generation = next_generation(self._connection, self._tables)
        return self._connection.execute(statement, execution_options=PASSING)

    # -- reading

    def one(self, number: int) -> Registration | None:
        """The registration of this number."""
        table = self._tables.registration
        return next(self._read(select(table).where(table.c.id == number)), None)

    def select(
        self, callback: str | None = None, target: str | None = None, key: tuple[Any, ...] | None = None
    ) -> list[Registration]:
        """Those of a callback, a target, an object; in order of their numbers. None is for any."""
        table = self._tables.registration
        query = select(table).order_by(table.c.id)
        if callback is not None:
            query = query.where(table.c.callback == callback)
        if target is not None:
            query = query.where(table.c.target == target)
        if key is not None:
            query = query.where(table.c.key == _key_text(key))
        return list(self._read(query))

    def keyed(self, keys: Iterable[tuple[Any, ...]]) -> list[Registration]:
        """Those for single objects with one of these keys, of whichever class."""
        table = self._tables.registration
        return list(self._among(select(table), table.c.key, [_key_text(key) for key in keys]))

    def numbered(self, numbers: Iterable[int]) -> Iterator[Registration]:
        """Those of these numbers that are there."""
        table = self._tables.registration
        return self._among(select(table), table.c.id, list(numbers))

    def changed_since(self, generation: Generation) -> set[int] | None:
        """The numbers of those that were changed after a generation; None if that generation was rolled back."""
        table = self._tables.history
        query = select(table.c.registration, table.c.generation, table.c.stamp)
        rows = self._connection.execute(query.where(table.c.generation >= generation.number)).all()
        if not any(Generation(row.generation, row.stamp) == generation for row in rows):
            return None
        return {row.registration for row in rows if row.generation > generation.number}

    def history(self, number: int | None) -> Sequence[HistoryEntry]:
        """What was done to one, or to all, the oldest first."""
        table: Table = self._tables.history
        query = select(table).order_by(table.c.id)
        if number is not None:
            query = query.where(table.c.registration == number)
        return [
            HistoryEntry(self._of_text(row.state), row.action, row.by, _utc(row.at), row.why)
            for row in self._connection.execute(query)
        ]

    def _among(self, query: Select[Any], column: Any, values: Sequence[Any]) -> Iterator[Registration]:
        for start in range(0, len(values), _CHUNK):
            yield from self._read(query.where(column.in_(values[start : start + _CHUNK])))

    def _read(self, query: Select[Any]) -> Iterator[Registration]:
        for row in self._connection.execute(query):
            yield self._registration(row)

    def _registration(self, row: Any) -> Registration:
        (
            number, callback, phase, event, target, key, condition, enabled, position, category,
            created_by, created_at, changed_by, changed_at,
        ) = row  # fmt: skip
        return Registration(
            number, callback, phase, event, target, _key(key), _condition(condition), enabled, position, category,
            created_by, _utc(created_at), changed_by, None if changed_at is None else _utc(changed_at), self._source,
        )  # fmt: skip

    def _of_text(self, text: str) -> Registration:
        values = json.loads(text)
        for name in _TIMES:
            values[name] = None if values[name] is None else dt.datetime.fromisoformat(values[name])
        one = Registration(**values)
        return replace(one, key=None if one.key is None else tuple(one.key), source=self._source)


def _row(one: Registration) -> dict[str, Any]:
    names = [field.name for field in fields(one) if field.name not in ("id", "source")]
    row = {_COLUMNS.get(name, name): getattr(one, name) for name in names}
    row["key"] = None if one.key is None else _key_text(one.key)
    row["condition"] = None if one.when is None else json.dumps(one.when, sort_keys=True)
    return row


def _key_text(key: tuple[Any, ...]) -> str:
    return json.dumps(list(key), sort_keys=True, separators=(",", ":"))


def _as_text(one: Registration) -> str:
    values = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "source"}
    for name in _TIMES:
        values[name] = None if values[name] is None else values[name].isoformat()
    return json.dumps(values)


def _key(text: str | None) -> tuple[Any, ...] | None:
    """A key as data; of a row that somebody has spoiled by hand, what is there, which is then reported."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return (text,)
    return tuple(found) if isinstance(found, list) else (found,)


def _condition(text: str | None) -> Any:
    """Likewise a condition."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _utc(at: dt.datetime) -> dt.datetime:
    """A time in UTC; SQLite gives it without saying so."""
    return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
