"""Workflows as pictures by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from hypothesis import given, settings

from hookline.workflow.definition import Definition, State, Transition
from hookline.workflow.drawing import svg
from hookline.workflow.drawing.lettering import ems
from hookline.workflow.drawing.picture import one_line
from hookline.workflow.drawing.style import STYLE
from tests.workflow.drawing.definitions import NASTY, PARCEL, drawings, drawn_states, drawn_ways

SPACE = "{http://www.w3.org/2000/svg}"
Area = tuple[float, float, float, float]
Point = tuple[float, float]


def parsed(*drawing: object) -> Element:
    return ET.fromstring(svg(*drawing))  # type: ignore[arg-type]


def groups(root: Element, kind: str) -> list[Element]:
    return [one for one in root.iter(f"{SPACE}g") if kind in one.get("class", "").split()]


def title(group: Element) -> str:
    return group.findtext(f"{SPACE}title") or ""


def box(group: Element) -> Area:
    rect = next(one for one in group.iter(f"{SPACE}rect") if one.get("class") == "outer")
    x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def label(group: Element) -> Area | None:
    """What a way's label covers, about."""
    lines = [(float(one.get("x", "")), float(one.get("y", "")), one.text or "") for one in group.iter(f"{SPACE}tspan")]
    if not lines:
        return None
    half = max(ems(text) for _, _, text in lines) * 11.5 / 2
    return lines[0][0] - half, lines[0][1] - 9, lines[0][0] + half, lines[-1][1] + 3


def overlap(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def points(line: str) -> Iterator[Point]:
    """Points of a line, near each other."""
    x = y = 0.0
    for command, numbers in re.findall(r"([MHCA])([^MHCA]*)", line):
        given = [float(one) for one in numbers.split()]
        if command == "M":
            x, y = given
        elif command == "H":
            yield from ((x + (given[0] - x) * at / 20, y) for at in range(21))
            x = given[0]
        elif command == "A":
            x, y = given[-2:]
        else:
            for at in (part / 20 for part in range(21)):
                weights = [(1 - at) ** 3, 3 * (1 - at) ** 2 * at, 3 * (1 - at) * at**2, at**3]
                xs, ys = [x, *given[::2]], [y, *given[1::2]]
                yield (
                    sum(weight * one for weight, one in zip(weights, xs, strict=True)),
                    sum(weight * one for weight, one in zip(weights, ys, strict=True)),
                )
            x, y = given[-2:]


SMALL = """\
<svg xmlns="http://www.w3.org/2000/svg" class="workflow" role="img" width="230" height="80" viewBox="-54 -20 230 80">
<title>Workflow of 2 states, from a; now in b</title>
<style>
</style>
<rect class="paper" x="-54" y="-20" width="230" height="80"/>
<g class="way passed">
<title>a → b: go ✓</title>
<path class="line" d="M36.7 20.0H66.7H88.9H111.9"/>
<path class="head" d="M118.9 20.0L109.9 15.5V24.5Z"/>
<text>
<tspan x="77.8" y="14.0">go</tspan>
</text>
</g>
<g class="state initial visited">
<title>a: initial, visited</title>
<circle class="start" cx="-28.0" cy="20.0" r="6"/>
<path class="line" d="M-22.0 20.0H-7.0"/>
<path class="head" d="M0.0 20.0L-9.0 15.5V24.5Z"/>
<rect class="outer" x="0.0" y="0.0" width="36.7" height="40.0" rx="9"/>
<text>
<tspan x="18.3" y="25.0">a</tspan>
</text>
</g>
<g class="state final visited current">
<title>b: final, visited, current</title>
<rect class="outer" x="118.9" y="0.0" width="36.7" height="40.0" rx="9"/>
<rect class="inner" x="122.9" y="4.0" width="28.7" height="32.0" rx="6"/>
<text>
<tspan x="137.3" y="25.0">b</tspan>
</text>
</g>
</svg>
"""


def test_a_small_workflow() -> None:
    assert (
        svg(Definition("a", [Transition("a", "b", label="go")]), [("a", "b")], "b")
        .replace(STYLE, "")
        .replace("><", ">\n<")
        == SMALL
    )


def test_a_path_with_a_repeated_way_a_jump_and_a_state_that_is_gone() -> None:
    path = [("new", "sent"), ("sent", "new"), ("new", "sent"), ("sent", "held"), ("held", "lost")]
    root = parsed(PARCEL, path, "lost")
    assert root.findtext(f"{SPACE}title") == "Workflow of 5 states, from New; now in lost"
    assert {title(one): one.get("class") for one in groups(root, "state")} == {
        "New: initial, visited": "state initial visited",
        "sent: visited": "state visited",
        "arrived: final": "state final",
        "lost: final, jump-only, visited, current": "state final jump-only visited current",
        "held: gone, visited": "state gone visited",
    }
    assert [(title(one), one.get("class")) for one in groups(root, "way")] == [
        ("New → sent: group courier ✓ \N{MULTIPLICATION SIGN}2", "way passed"),
        ("sent → arrived: hand over; 1. group courier; 2. permission sign", "way"),
        ("sent → New: back ✓", "way passed"),
        ("sent → held: jump ✓", "way jump passed"),
        ("held → lost: jump ✓", "way jump passed"),
    ]
    twice = groups(root, "way")[0]
    assert [one.text for one in twice.iter(f"{SPACE}tspan")] == ["group courier", "\N{MULTIPLICATION SIGN}2"]


def test_a_line_of_states_is_a_straight_line() -> None:
    line = Definition("a", [Transition("a", "b"), Transition("b", "c", label="far"), Transition("c", "d")])
    boxes = [box(one) for one in groups(parsed(line), "state")]
    assert len({one[1] for one in boxes}) == 1
    assert boxes == sorted(boxes)


def test_a_way_back_leads_from_right_to_left() -> None:
    root = parsed(Definition("a", [Transition("a", "b"), Transition("b", "a")]))
    onward, back = ([*points(one.find(f"{SPACE}path").get("d", ""))] for one in groups(root, "way"))  # type: ignore[union-attr]
    assert onward[0][0] < onward[-1][0]
    assert back[0][0] > back[-1][0]
    assert onward[5][1] != back[-5][1]


def test_any_text_can_be_a_label() -> None:
    for text in NASTY:
        root = parsed(Definition("a", [Transition("a", "b", label=text)], [State("a", text)]))
        assert title(groups(root, "state")[0]) == f"{one_line(text or 'a')}: initial"
        assert title(groups(root, "way")[0]).endswith(one_line(text) if text else "anybody")


def test_a_long_label_is_cut_and_told_by_its_title() -> None:
    (state,) = groups(parsed(Definition("x" * 500, [])), "state")
    assert [one.text for one in state.iter(f"{SPACE}tspan")][-1] == "…"
    assert title(state).startswith("x" * 500)


@given(drawings())
@settings(max_examples=150)
def test_each_state_and_way_is_drawn_and_nothing_covers_anything(
    drawing: tuple[Definition, list[tuple[str, str]], str | None],
) -> None:
    definition, path, _ = drawing
    root = parsed(*drawing)
    states, ways = groups(root, "state"), groups(root, "way")
    assert len(states) == len(drawn_states(*drawing))
    assert len(ways) == len(drawn_ways(definition, path))
    assert all(title(one) for one in (*states, *ways))
    assert len([one for one in ways if "passed" in one.get("class", "")]) == len(set(path))
    boxes = [box(one) for one in states]
    labels = [area for one in ways if (area := label(one))]
    for one, other in combinations([*boxes, *labels], 2):
        assert not overlap(one, other)
    left, top, width, height = map(float, root.get("viewBox", "").split())
    for area in (*boxes, *labels):
        assert left <= area[0] and top <= area[1] and area[2] <= left + width and area[3] <= top + height
    for way in ways:
        for line in way.iter(f"{SPACE}path"):
            for x, y in points(line.get("d", "")) if line.get("class") == "line" else ():
                assert not any(one[0] + 1 < x < one[2] - 1 and one[1] + 1 < y < one[3] - 1 for one in boxes)
