"""Reading rows past the session: values as they are in the database, many rows in one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Select, select, tuple_
from sqlalchemy.orm import Session

from hookline.sqlalchemy.facts import Facts

if TYPE_CHECKING:
    from hookline.sqlalchemy.mapped import MappedChange

_CHUNK: Final = 500
"""Rows per query: below every database's limit of parameters, composite keys included."""

Key = tuple[Any, ...]
C = TypeVar("C", bound="MappedChange")
Need = tuple["MappedChange", Key, Sequence[str]]
"""A change, the key of its row in the database now, and the attributes that are wanted."""


def load_rows(session: Session, facts: Facts, keys: Iterable[Key], names: Sequence[str]) -> dict[Key, dict[str, Any]]:
    """Read some columns of some rows, by key.

    Goes around the session's identity map, its events and its loader criteria: what comes back is what is in the
    database for this transaction.

    Args:
        session: Whose connection to use.
        facts: The class.
        keys: The primary keys, as tuples.
        names: The attributes.

    Returns:
        By key, the values by name; rows that are not there are not there.
    """
    connection: Connection = session.connection(bind_arguments={"mapper": facts.mapper})
    key_columns = [facts.columns[name] for name in facts.key_names]
    wanted = [facts.columns[name] for name in names]
    query = select(*key_columns, *wanted).select_from(facts.mapper.selectable)
    width = len(key_columns)
    found = by_key(connection, query, key_columns, keys)
    return {tuple(row[:width]): dict(zip(names, row[width:], strict=True)) for row in found}


def by_key(
    connection: Connection, query: Select[Any], key_columns: Sequence[Any], keys: Iterable[Key]
) -> Iterator[Sequence[Any]]:
    """The rows of a query whose keys are among these; as many queries as the number of parameters allows."""
    waiting = list(dict.fromkeys(keys))
    for start in range(0, len(waiting), _CHUNK):
        chunk = waiting[start : start + _CHUNK]
        if len(key_columns) == 1:
            among = key_columns[0].in_([key[0] for key in chunk])
        else:
            among = tuple_(*key_columns).in_(chunk)
        yield from connection.execute(query.where(among))


def load_values(session: Session, needs: Iterable[tuple[C, Key, Sequence[str]]]) -> Iterator[tuple[C, dict[str, Any]]]:
    """Read what some changes need, in one query per class.

    Yields:
        Each change with the values of its needs; of a row that is not there, none.
    """
    by_class: dict[Facts, list[tuple[C, Key, Sequence[str]]]] = {}
    for need in needs:
        if need[1] and need[2]:
            by_class.setdefault(need[0].facts, []).append(need)
    for facts, some in by_class.items():
        union = list(dict.fromkeys(name for _, _, names in some for name in names))
        rows = load_rows(session, facts, [key for _, key, _ in some], union)
        for change, key, names in some:
            row = rows.get(key, {})
            yield change, {name: row[name] for name in names if name in row}
