"""What every drawing shows: states and ways between them, in words, and which of them an object has passed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hookline.workflow.definition import Approval, Definition

# Control characters, halves of surrogate pairs and what turns the direction of writing: nothing to look at, refused
# by XML, or taken as a command by a terminal.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Shown:
    """A state as it is shown.

    Attributes:
        name: Its value.
        label: For people, on one line.
        initial: Whether objects begin there.
        final: Whether no transition leaves it.
        jump_only: Whether no transition may lead to it.
        gone: Whether the path has it, but the definition no longer.
        visited: Whether the path has it.
        current: Whether the object is there.
    """

    name: str
    label: str
    initial: bool
    final: bool
    jump_only: bool
    gone: bool
    visited: bool
    current: bool


@dataclass(frozen=True)
class Way:
    """A transition as it is shown, or a jump.

    Attributes:
        source: The state before.
        destination: The state after.
        label: For people, on one line; empty if there is none.
        approvals: Who approves, in order, numbered if several; empty if anybody may.
        times: How often the path takes it.
        jump: Whether only the path has it, not the definition.
    """

    source: str
    destination: str
    label: str
    approvals: tuple[str, ...]
    times: int
    jump: bool

    @property
    def mark(self) -> str:
        """A tick if it is on the path, and how often if more than once."""
        return " ".join(part for part in ("✓" if self.times else "", self.often) if part)

    @property
    def often(self) -> str:
        """How many times the path takes it, if more than once."""
        return f"\N{MULTIPLICATION SIGN}{self.times}" if self.times > 1 else ""


@dataclass(frozen=True)
class Picture:
    """States by name, those of the definition first; and ways, the jumps last."""

    states: dict[str, Shown]
    ways: tuple[Way, ...]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """The ways as pairs of states."""
        return [(way.source, way.destination) for way in self.ways]


def picture(definition: Definition, path: Sequence[tuple[str, str]] = (), current: str | None = None) -> Picture:
    """What is to be drawn.

    Args:
        definition: The workflow.
        path: Which ways an object has gone. What is no transition of the definition is a jump.
        current: Where it is now.
    """
    times = Counter((source, destination) for source, destination in path)
    visited = {state: None for pair in times for state in pair}
    names = dict.fromkeys([*definition.states, *visited, *([] if current is None else [current])])
    ways = [
        Way(
            one.source,
            one.destination,
            one_line(one.label) if one.label else "",
            _numbered(one.approvals),
            times.pop((one.source, one.destination), 0),
            jump=False,
        )
        for one in definition.transitions
    ]
    ways += [Way(*pair, "", (), count, jump=True) for pair, count in times.items()]
    finals = set(definition.final_states)
    return Picture(
        {name: _shown(definition, name, name in finals, name in visited, name == current) for name in names},
        tuple(ways),
    )


def _shown(definition: Definition, name: str, final: bool, visited: bool, current: bool) -> Shown:
    state = definition.states.get(name)
    return Shown(
        name,
        label=one_line((state and state.label) or name),
        initial=name == definition.initial,
        final=final,
        jump_only=state is not None and state.jump_only,
        gone=state is None,
        visited=visited,
        current=current,
    )


def _numbered(approvals: Sequence[Approval]) -> tuple[str, ...]:
    if len(approvals) == 1:
        return () if approvals[0].anybody else (one_line(str(approvals[0])),)
    return tuple(f"{number}. {one_line(str(one))}" for number, one in enumerate(approvals, 1))


def one_line(text: str) -> str:
    r"""A text without line breaks and control characters; as Python writes it if nothing would be left to see.

    Example:
        >>> one_line("in\nreview"), one_line("")
        ('in review', "''")
    """
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split())) or repr(text)
