"""Words of SQL: names and texts, quoted."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

DIALECTS: Final[dict[str, Dialect]] = {
    "postgresql": postgresql.dialect(paramstyle="named"),  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect(paramstyle="qmark"),
}
"""Not those of a driver, some of which write each percent sign twice."""

_LIKE_A_PARAMETER: Final = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")


class Quoter:
    """Quotes for one kind of database."""

    def __init__(self, kind: str) -> None:
        self._preparer = DIALECTS[kind].identifier_preparer

    def name(self, name: str) -> str:
        """A name."""
        return self._preparer.quote_identifier(name)

    def within(self, name: str, schema: str | None) -> str:
        """A name, in its schema if it has one."""
        return f"{self.name(schema)}.{self.name(name)}" if schema else self.name(name)

    def table(self, table: Table) -> str:
        """The name of a table, in its schema if it has one."""
        return self.within(table.name, table.schema)

    @staticmethod
    def text(text: str) -> str:
        """A text as a literal."""
        return "'" + text.replace("'", "''") + "'"


def for_text(statement: str) -> str:
    r"""A statement as `sqlalchemy.text` and Alembic's ``op.execute`` want it: nothing in it is a parameter.

    Example:
        >>> print(for_text('SELECT "a :b"'))
        SELECT "a \:b"
    """
    return _LIKE_A_PARAMETER.sub(r"\:", statement)
