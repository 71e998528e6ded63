"""The statements of a text that may write rows, ready for the parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from sqlglot import Token, TokenType
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.tsql import TSQL

Tokens = list[Token]

_VERBS: Final = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "TRUNCATE", "COPY"))
_READABLE: Final = _VERBS | {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "("}
"""How statements begin that the parser reads."""

_HARMLESS: Final = frozenset((
    *("ALTER", "ANALYZE", "CLOSE", "COMMENT", "COMMIT", "CREATE", "DECLARE", "DROP", "FETCH", "GRANT", "IMPORT"),
    *("LISTEN", "LOCK", "NOTIFY", "PRAGMA", "REFRESH", "RELEASE", "RENAME", "REVOKE", "ROLLBACK", "SAVEPOINT"),
    *("SECURITY", "SET", "SHOW", "START", "VACUUM"),
))  # fmt: skip
"""How statements begin that write no rows, whatever words come after: schema, rights, settings, transactions."""

_ROUTINES: Final = frozenset(("EVENT", "FUNCTION", "PACKAGE", "PROCEDURE", "TRIGGER"))
_KINDS: Final = _ROUTINES | {"DATABASE", "INDEX", "ROLE", "RULE", "SCHEMA", "SEQUENCE", "TABLE", "TYPE", "USER", "VIEW"}
_WRITING: Final = re.compile("|".join((*_VERBS, "INTO", "LOAD")), re.IGNORECASE)


class UnreadableError(Exception):
    """A statement that nobody can look into."""


def statements(language: Dialect, tokens: Tokens) -> Iterator[Tokens]:
    """Cut a text into statements, and leave out those that write no rows.

    Raises:
        UnreadableError: There is one that may write, and that the parser cannot read.
    """
    routine = False
    for statement in _cut(tokens):
        words = [_word(token) for token in statement]
        if routine:  # the body goes on until it ends
            routine = words[0] != "END"
        elif _is_routine(words):
            routine = "BEGIN" in words
            if isinstance(language, TSQL):
                return  # the body is all the rest, and needs no BEGIN
        else:
            yield from _told_apart(language, statement, words)


def _told_apart(language: Dialect, statement: Tokens, words: list[str]) -> Iterator[Tokens]:
    first = words[0]
    if first in ("EXPLAIN", "DESCRIBE", "DESC", "PREPARE") or (first == "ANALYZE" and _VERBS & set(words)):
        start = _position(words, _READABLE - {"(", "TABLE", "FROM"})
        if start is None:
            if _WRITING.search(" ".join(words)):
                raise UnreadableError(f"what {first} is about cannot be seen in the text")
        elif first in ("ANALYZE", "PREPARE") or "ANALYZE" in words[:start]:
            yield from _told_apart(language, statement[start:], words[start:])
    elif first in _READABLE:
        yield _tidy(language, statement, words)
        if words[:3] == ["UPDATE", "OR", "REPLACE"]:  # which deletes the rows that are in its way
            named = statement[3 : words.index("SET")] if "SET" in words else []
            yield [_keyword(TokenType.DELETE), _keyword(TokenType.FROM), *named]
    elif _fills_a_table(words):
        yield statement
    elif first not in _HARMLESS:
        if _WRITING.search(" ".join(words)):
            raise UnreadableError(f"what {first} does cannot be seen in the text")
    elif isinstance(language, TSQL) and _another_begins(words):
        raise UnreadableError(f"{first} and another statement without a semicolon between them")


def _cut(tokens: Tokens) -> Iterator[Tokens]:
    statement: Tokens = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            statement.append(token)
        elif statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _word(token: Token) -> str:
    """What a keyword says; of a name in quotes, or a string that is one word, nothing that is mistaken for one."""
    return token.text.upper() if token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING) else f"'{token.text}'"


def _is_routine(words: list[str]) -> bool:
    """Whether it has a body of statements, which are not carried out now."""
    kind = next((word for word in words[1:] if word in _KINDS), None)
    return words[0] in ("CREATE", "ALTER") and kind in _ROUTINES


def _fills_a_table(words: list[str]) -> bool:
    """Whether it is CREATE TABLE .. AS; a temporary table is new, and nobody's."""
    is_table = words[0] == "CREATE" and "TABLE" in words[:5] and {"TEMP", "TEMPORARY"}.isdisjoint(words[:5])
    return is_table and _position(words, {"AS"}) is not None


def _position(words: list[str], wanted: frozenset[str] | set[str]) -> int | None:
    """Where the first of these words is that stands in no parentheses."""
    depth = 0
    for position, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and position and word in wanted:
            return position
    return None


def _another_begins(words: list[str]) -> bool:
    """Whether a second statement begins within one: Transact-SQL needs no semicolons."""
    part_of_it = {"FOR", "AFTER", ",", "GRANT", "REVOKE"} | ({"ON"} if words[0] != "SET" else set())
    depth = 0
    for before, word in pairwise(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in _VERBS and before not in part_of_it:
            return True
    return False


def _tidy(language: Dialect, statement: Tokens, words: list[str]) -> Tokens:
    """Rewrite what the parser does not know, and what makes no difference to the tables that are written."""
    if words[0] == "REPLACE":
        statement = [_keyword(TokenType.INSERT), _keyword(TokenType.OR), *statement]
    elif words[0] == "UPSERT":
        statement = [_keyword(TokenType.INSERT), _keyword(TokenType.OR), _keyword(TokenType.REPLACE), *statement[1:]]
    elif words[:2] == ["UPDATE", "OR"]:
        statement = [statement[0], *statement[3:]]
    for pattern in (("OVERRIDING", None, "VALUE"), ("WHERE", "CURRENT", "OF", None)):
        statement = _without(statement, pattern)
    return _without_top(statement) if isinstance(language, TSQL) else statement


def _without(statement: Tokens, pattern: tuple[str | None, ...]) -> Tokens:
    words = [_word(token) for token in statement]
    for start in range(len(words) - len(pattern) + 1):
        if all(one in (None, word) for one, word in zip(pattern, words[start:], strict=False)):
            return statement[:start] + statement[start + len(pattern) :]
    return statement


def _without_top(statement: Tokens) -> Tokens:
    """Transact-SQL: ``DELETE TOP (10) PERCENT FROM ..`` without its limit."""
    words = [_word(token) for token in statement]
    for start, (before, word) in enumerate(pairwise(words), start=1):
        if before in _VERBS and word == "TOP":
            end = start + 1
            depth = 0
            while end < len(words):
                depth += (words[end] == "(") - (words[end] == ")")
                end += 1
                if depth == 0:
                    break
            if words[end : end + 1] == ["PERCENT"]:
                end += 1
            return statement[:start] + statement[end:]
    return statement


def _keyword(kind: TokenType) -> Token:
    return Token(kind, kind.name)
