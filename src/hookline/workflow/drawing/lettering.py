"""How much room a text takes, and where its lines break."""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import combining, east_asian_width


def columns(text: str) -> int:
    """How many columns of a terminal a text takes.

    Example:
        >>> columns("déjà"), columns("配送")
        (4, 4)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def ems(text: str) -> float:
    """About how wide a text is in a proportional typeface, in font sizes; rather too much than too little."""
    return sum(map(_ems, text))


def _ems(character: str) -> float:
    if character in " .,:;!|'ijlI()[]-/":
        return 0.4
    if character in "mwMW@%→✓":
        return 0.95
    if character.isupper():
        return 0.74
    return (0.0, 0.62, 1.1)[_columns(character)]


def wrapped(text: str, room: float, measure: Callable[[str], float] = columns) -> list[str]:
    """Break a text into lines at spaces, and a word that is wider than a line within it.

    Args:
        text: One line, single spaces.
        room: How wide a line may be.
        measure: How wide a text is; of a whole, the sum of its characters.

    Example:
        >>> wrapped("group courier or permission sign", 16)
        ['group courier or', 'permission sign']
    """
    lines, line, taken, space = [], "", 0.0, measure(" ")
    for word in text.split(" "):
        width = measure(word)
        if line and taken + space + width <= room:
            line, taken = f"{line} {word}", taken + space + width
            continue
        if line:
            lines.append(line)
        *full, line = _cut(word, room, measure) if width > room else [word]
        lines += full
        taken = measure(line)
    return [*lines, line]


def _cut(word: str, room: float, measure: Callable[[str], float]) -> list[str]:
    parts, start, taken = [], 0, 0.0
    for at, character in enumerate(word):
        width = measure(character)
        if at > start and taken + width > room:
            parts.append(word[start:at])
            start, taken = at, 0.0
        taken += width
    return [*parts, word[start:]]
