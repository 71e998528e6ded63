"""What a client asks for behind the question mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hookline.errors import near
from hookline.http.problems import Refused, Wrong, bad_query

MOST: Final = 200
"""How many parameters one query may have."""

LONGEST: Final = 16_384
"""How many bytes a query may have; SQLite takes no pattern of more than 50,000."""

TOLD: Final = 10
"""How many unknown parameters an answer names: it lists the known ones for each."""


class Query:
    """The parameters of one request.

    Args:
        request: The request.
        known: The names that may be given.

    Raises:
        Refused: A name is unknown, something is no text that a database can hold, or there is too much.
    """

    def __init__(self, request: Request, known: Iterable[str]) -> None:
        raw: bytes = request.scope["query_string"]
        if len(raw) > LONGEST:
            raise Refused(414, "too-long", "The address is too long", f"A query has {LONGEST:,} bytes at most.")
        self._given: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST)
        except UnicodeError:
            raise bad_query([Wrong("", "encoding", "what is behind the question mark is not UTF-8")]) from None
        except ValueError:
            raise bad_query([Wrong("", "too_many", f"more than {MOST} parameters")]) from None
        for name, value in pairs:
            if "\x00" in value:
                raise bad_query([Wrong(name, "nul", "no database keeps the character of number zero")])
            self._given.setdefault(name, []).append(value)
        allowed = known if isinstance(known, (set, frozenset, Mapping)) else set(known)
        unknown = [name for name in self._given if name not in allowed]
        if unknown:
            raise bad_query(Wrong(name, "unknown", _unknown(name, allowed)) for name in unknown[:TOLD])

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return self._given.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of a parameter that can be given once.

        Raises:
            Refused: It is given several times.
        """
        given = self._given.get(name)
        if given is None:
            return None
        if len(given) > 1:
            raise bad_query([Wrong(name, "repeated", "can be given once")])
        return given[0]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """The value of a parameter that is a number.

        Raises:
            Refused: It is none, or out of bounds.
        """
        given = self.one(name)
        if given is None:
            return default
        if not given.isascii() or not given.isdigit() or len(given) > 18 or not least <= int(given) <= most:
            raise bad_query([Wrong(name, "number", f"must be a number from {least} to {most}")])
        return int(given)

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __contains__(self, name: str) -> bool:
        return name in self._given


def _unknown(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    hint = near(name, names) if names else ""
    listed = "" if hint.startswith(" There are") or not names else f" There are: {', '.join(names)}."
    return f"there is no such parameter.{hint}{listed}" if names else "there are no parameters here"
