"""What a text of SQL writes to, as its database would understand it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_KEPT: Final = 1024
"""How many texts are remembered."""

_LONG: Final = 10_000
"""Texts of more characters are read anew each time: they are data with a little SQL around it, and never come twice."""

_WORDS: Final = re.compile(
    r"\b(?:insert|update|delete|merge|replace|upsert|truncate|copy|into|load|create)\b", re.IGNORECASE | re.ASCII
)
"""A text with none of them writes nothing that could be seen in it."""


class Write(NamedTuple):
    """A table that a text writes to, with names as the database stores them.

    Attributes:
        schema: None if the text does not say; with the database before it and a dot, if the text names that too.
        table: Its name.
        event: ``insert``, ``update`` or ``delete``.
        columns: Those that are assigned; None if that is not known, or all of them.
    """

    schema: str | None
    table: str
    event: str
    columns: frozenset[str] | None = None


class Reading(NamedTuple):
    """What a text writes to.

    Attributes:
        writes: Each table and event.
        unread: Why the text, or a part of it, could not be read; empty if it could. Then it may write to anything.
    """

    writes: tuple[Write, ...] = ()
    unread: str = ""


_NOTHING: Final = Reading()


def read(dialect: str, text: str) -> Reading:
    """Find out which tables a text writes to.

    Args:
        dialect: SQLAlchemy's name of the database.
        text: One statement or several, as the driver is given it, placeholders included.

    Example:
        >>> for write in read("postgresql", "WITH x AS (DELETE FROM crm.Person RETURNING id) SELECT * FROM x").writes:
        ...     print(write.schema, write.table, write.event)
        crm person delete
        >>> bool(read("postgresql", "UPDATE person SET age == WHERE").unread)
        True
    """
    if len(text) > _LONG:
        return _parsed.__wrapped__(dialect, text) if _WORDS.search(text) else _NOTHING
    return _parsed(dialect, text) if _may_write(text) else _NOTHING


@lru_cache(_KEPT)
def _may_write(text: str) -> bool:
    return _WORDS.search(text) is not None


@lru_cache(_KEPT)
def _parsed(dialect: str, text: str) -> Reading:
    try:
        from hookline.sqlalchemy.reading.parse import parse  # the parser takes its time to load; most never need it
    except ImportError as error:
        return Reading(unread=f"{error}: install hookline[sqlalchemy], which brings the SQL parser")
    return parse(dialect, text)
