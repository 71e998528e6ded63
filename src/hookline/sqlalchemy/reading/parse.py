"""Reading a text with the SQL parser."""

from __future__ import annotations

import logging
import re
from threading import local
from typing import Final

from sqlglot import ErrorLevel, Token, Tokenizer
from sqlglot.dialects.dialect import Dialect

from hookline.sqlalchemy.reading.statements import UnreadableError, statements
from hookline.sqlalchemy.reading.text import Reading, Write
from hookline.sqlalchemy.reading.tree import writes_of

_PARSERS: Final = {
    "postgresql": "postgres",
    "cockroachdb": "postgres",
    "mssql": "tsql",
    "mariadb": "mysql",
}
"""SQLAlchemy's name of a database, and the parser's, where they differ."""

_PLACEHOLDERS: Final = re.compile(r"%%|%(?:\([^)]*\))?[sbt]|\?\d+|(?<![\w:\]]):\d+\b")
"""Of drivers that format the text, and numbered ones; the parser knows the others."""


class _Quiet(logging.Filter):
    """Keeps the parser's own warnings away while we parse: what they are about is in the reading."""

    def __init__(self) -> None:
        super().__init__()
        self.here = local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is somebody else's."""
        return not getattr(self.here, "reading", False)


_quiet: Final = _Quiet()
logging.getLogger("sqlglot").addFilter(_quiet)


def parse(dialect: str, text: str) -> Reading:
    """Read a text.

    Args:
        dialect: SQLAlchemy's name of the database.
        text: One statement or several.
    """
    plain = _PLACEHOLDERS.sub(lambda found: "%" if found[0] == "%%" else "NULL", text)
    reading = _read(dialect, plain)
    if not reading.unread or plain == text:
        return reading
    # What looks like a placeholder may be arithmetic: `a %b` without parameters.
    again = _read(dialect, text)
    return reading if again.unread else again


def _read(dialect: str, text: str) -> Reading:
    language = _language(dialect)
    writes: dict[Write, None] = {}
    _quiet.here.reading = True
    try:
        for tokens in statements(language, _tokens(language, text)):
            trees = language.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, text)
            for tree in trees:
                if tree is not None:
                    writes.update(dict.fromkeys(writes_of(dialect, tokens[0].text.upper(), tree)))
    except UnreadableError as error:
        return Reading(tuple(writes), str(error))
    except Exception as error:  # noqa: BLE001 - whatever the parser stumbles over, the text is unread, and that is said
        return Reading(tuple(writes), _first_line(error))
    finally:
        _quiet.here.reading = False
    return Reading(tuple(writes))


def _language(dialect: str) -> Dialect:
    name = _PARSERS.get(dialect, dialect)
    return Dialect.get_or_raise(name if Dialect.get(name) is not None else None)


_tokenizers: Final[dict[type[Dialect], type[Tokenizer]]] = {}


def _tokens(language: Dialect, text: str) -> list[Token]:
    """The tokens of a text; also those of statements that the parser itself would not look into."""
    kind = type(language)
    if kind not in _tokenizers:
        _tokenizers[kind] = type(f"{kind.__name__}Tokenizer", (kind.tokenizer_class,), {"COMMANDS": set()})
    return _tokenizers[kind](dialect=language).tokenize(text)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120] or type(error).__name__
