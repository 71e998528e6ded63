"""Workflows as Mermaid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from hookline.workflow.definition import Approval, Definition, State, Transition
from hookline.workflow.drawing import mermaid
from hookline.workflow.drawing.picture import one_line
from tests.workflow.drawing.definitions import NASTY, PARCEL, drawings, drawn_states, drawn_ways

STATE = re.compile(r'    state "([^"]+)" as (s\d+)')
WAY = re.compile(r"    (s\d+) --> (s\d+)(?: : (.+))?")
OTHER = re.compile(
    r"stateDiagram-v2|    (direction LR|\[\*\] --> s\d+|s\d+ --> \[\*\]|"
    r"classDef \w+ [\w:#, -]+|class s[\d,s]+ \w+)"
)
ENTITY = re.compile(r"#(\d+);")


def read(text: str) -> str:
    return ENTITY.sub(lambda found: chr(int(found[1])), text)


def test_a_small_workflow() -> None:
    assert (
        mermaid(PARCEL)
        == """\
stateDiagram-v2
    direction LR
    state "New" as s0
    state "sent" as s1
    state "arrived" as s2
    state "lost" as s3
    [*] --> s0
    s0 --> s1 : group courier
    s1 --> s2 : hand over<br/>1#46; group courier<br/>2#46; permission sign
    s1 --> s0 : back
    s2 --> [*]
    s3 --> [*]
    classDef jump_only stroke-dasharray:5 4
    class s3 jump_only
"""
    )


def test_a_path_with_a_repeated_way_a_jump_and_a_state_that_is_gone() -> None:
    path = [("new", "sent"), ("sent", "new"), ("new", "sent"), ("sent", "held"), ("held", "lost")]
    lines = mermaid(PARCEL, path, "lost").splitlines()
    assert lines[5:] == [
        '    state "lost" as s3',
        '    state "held #40;gone#41;" as s4',
        "    [*] --> s0",
        "    s0 --> s1 : ✓ \N{MULTIPLICATION SIGN}2<br/>group courier",
        "    s1 --> s2 : hand over<br/>1#46; group courier<br/>2#46; permission sign",
        "    s1 --> s0 : ✓ back",
        "    s1 --> s4 : ✓ jump",
        "    s4 --> s3 : ✓ jump",
        "    s2 --> [*]",
        "    s3 --> [*]",
        "    classDef visited stroke:#0969da,stroke-width:3px",
        "    class s0,s1,s3,s4 visited",
        "    classDef current fill:#0969da,color:#ffffff,stroke:#0969da",
        "    class s3 current",
        "    classDef jump_only stroke-dasharray:5 4",
        "    class s3 jump_only",
        "    classDef gone stroke-dasharray:5 4,font-style:italic",
        "    class s4 gone",
    ]


@pytest.mark.parametrize("label", NASTY, ids=repr)
def test_a_label_is_read_back_as_it_was(label: str) -> None:
    definition = Definition("a", [Transition("a", "b", [Approval(groups=label or "g")], label)], [State("a", label)])
    lines = mermaid(definition).splitlines()
    state = STATE.fullmatch(lines[2])
    way = WAY.fullmatch(lines[5])
    assert state and read(state[1]) == one_line(label or "a")
    told = ([one_line(label)] if label else []) + [one_line(f"group {label or 'g'}")]
    assert way and [read(part) for part in way[3].split("<br/>")] == told


@given(drawings())
@settings(max_examples=150)
def test_no_line_can_be_read_otherwise(drawing: tuple[Definition, list[tuple[str, str]], str | None]) -> None:
    definition, path, _ = drawing
    lines = mermaid(*drawing).split("\n")[:-1]
    ids: dict[str, str] = {}
    ways: list[tuple[str, str]] = []
    for line in lines:
        if state := STATE.fullmatch(line):
            ids[state[2]] = state[1]
            told = state[1]
        elif way := WAY.fullmatch(line):
            ways.append((way[1], way[2]))
            told = (way[3] or "").replace("<br/>", "")
        else:
            assert OTHER.fullmatch(line), line
            continue
        assert not re.search(r'[:;#%"<>\[\]{}`*\\&|~=]|--|direction\s', ENTITY.sub("", told), re.IGNORECASE), line
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]", line)
    assert len(ids) == len(drawn_states(*drawing))
    numbers = {name: f"s{at}" for at, name in enumerate(drawn_order(*drawing))}
    assert ways == [(numbers[a], numbers[b]) for a, b in drawn_ways(definition, path)]


def drawn_order(definition: Definition, path: list[tuple[str, str]], current: str | None) -> list[str]:
    after = [state for pair in path for state in pair] + ([] if current is None else [current])
    return list(dict.fromkeys([*definition.states, *after]))
