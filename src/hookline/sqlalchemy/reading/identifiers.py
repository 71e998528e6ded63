"""How databases tell names apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_UNQUOTED: Final[dict[str, Callable[[str], str]]] = {
    "postgresql": str.lower,
    "cockroachdb": str.lower,
    "oracle": str.upper,
}
"""What becomes of a name without quotes, where names in quotes keep their case."""


def folded(dialect: str, name: str, quoted: bool) -> str:
    """A name in the one form that all ways of writing it have in common.

    Elsewhere than in the databases that are listed, names that differ in case only are taken for one. There are
    databases where that is a setting, and others where it is not so; but to take two tables for one is loud, and to
    take one for two would be silent.

    Args:
        dialect: SQLAlchemy's name of the database.
        name: The name, without its quotes.
        quoted: Whether it had any.

    Example:
        >>> folded("postgresql", "Person", quoted=False), folded("postgresql", "Person", quoted=True)
        ('person', 'Person')
        >>> folded("sqlite", "Person", quoted=False), folded("sqlite", "Person", quoted=True)
        ('person', 'person')
    """
    unquoted = _UNQUOTED.get(dialect)
    if unquoted is None:
        return name.lower()
    return name if quoted else unquoted(name)
