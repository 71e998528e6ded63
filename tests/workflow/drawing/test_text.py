"""Workflows for the terminal."""

from __future__ import annotations

import re

from hypothesis import given, settings

from hookline.workflow.definition import Approval, Definition, State, Transition
from hookline.workflow.drawing import text
from hookline.workflow.drawing.lettering import columns
from tests.workflow.drawing.definitions import PARCEL, drawings, drawn_states, drawn_ways

STATE = re.compile(r"[→ ][■ ] [●✓○] ")
WAY = re.compile(r"     [├└][─┄] ")


def test_a_small_workflow() -> None:
    assert (
        text(PARCEL)
        == """\
→  ○ New
     └─ → sent   (group courier)
   ○ sent
     ├─ hand over → arrived   (1. group courier, 2. permission sign)
     └─ back → New
 ■ ○ arrived
 ■ ○ lost (jump only)
"""
    )


def test_a_path_with_a_repeated_way_a_jump_and_a_state_that_is_gone() -> None:
    path = [("new", "sent"), ("sent", "new"), ("new", "sent"), ("sent", "held"), ("held", "lost")]
    assert (
        text(PARCEL, path, "lost")
        == """\
→  ✓ New
     └─ ✓ \N{MULTIPLICATION SIGN}2 → sent   (group courier)
   ✓ sent
     ├─ hand over → arrived   (1. group courier, 2. permission sign)
     ├─ ✓ back → New
     └┄ ✓ jump → held
 ■ ○ arrived
   ✓ held (gone)
     └┄ ✓ jump → lost
 ■ ● lost (jump only)
"""
    )


def test_long_lines_are_broken_under_their_beginning() -> None:
    groups = [Approval(groups=f"group-number-{number}") for number in range(6)]
    definition = Definition(
        "a", [Transition("a", "b", groups), Transition("a", "c", groups[:5])], [State("a", "word " * 20)]
    )
    assert (
        text(definition)
        == """\
→  ○ word word word word word word word word word word word word word word
       word word word word word word
     ├─ → b   (1. group group-number-0, 2. group group-number-1, 3. group
     │      group-number-2, 4. group group-number-3, 5. group group-number-4, 6.
     │      group group-number-5)
     └─ → c   (1. group group-number-0, 2. group group-number-1, 3. group
            group-number-2, 4. group group-number-3, 5. group group-number-4)
 ■ ○ b
 ■ ○ c
"""
    )


def test_a_cycle_is_told_once() -> None:
    cycle = Definition("a", [Transition("a", "b"), Transition("b", "c"), Transition("c", "a")])
    assert text(cycle, [("a", "b"), ("b", "c"), ("c", "a")] * 3, "a").splitlines() == [
        "→  ● a",
        "     └─ ✓ \N{MULTIPLICATION SIGN}3 → b",
        "   ✓ b",
        "     └─ ✓ \N{MULTIPLICATION SIGN}3 → c",
        "   ✓ c",
        "     └─ ✓ \N{MULTIPLICATION SIGN}3 → a",
    ]


@given(drawings())
@settings(max_examples=150)
def test_each_state_and_way_has_its_line_of_80_columns(
    drawing: tuple[Definition, list[tuple[str, str]], str | None],
) -> None:
    definition, path, current = drawing
    lines = text(*drawing).split("\n")[:-1]
    states = [line for line in lines if STATE.match(line)]
    assert len(states) == len(drawn_states(*drawing))
    assert sum(bool(WAY.match(line)) for line in lines) == len(drawn_ways(definition, path))
    assert sum("●" in line[3] for line in states) == (current is not None)
    visited = {state for pair in path for state in pair} - {current}
    assert sum("✓" in line[3] for line in states) == len(visited)
    for line in lines:
        assert columns(line) <= 80
        assert line == line.rstrip()
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", line)
