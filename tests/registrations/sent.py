"""What is sent to a database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def sent(engine: Engine) -> Iterator[list[str]]:
    """The statements of a block, without those by which SQLite becomes the writer."""
    found: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "WHERE 0 = 1" not in statement and statement != "BEGIN":
            found.append(" ".join(statement.split()))

    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", listen)


def about_registrations(statements: list[str]) -> list[str]:
    """Those on the tables of registrations, shortened to what they begin with and the table."""
    found = []
    for one in statements:
        tables = re.findall(r"(?:FROM|INTO|UPDATE) hookline_registration(\w*)", one)
        found += [f"{one.split()[0]} {table.lstrip('_') or 'registration'}" for table in tables]
    return found
