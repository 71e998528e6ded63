"""Large workflows: nothing recurs, and nothing takes time by the square."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import process_time
from xml.etree import ElementTree as ET

import pytest

from hookline.workflow.definition import Definition, Transition
from hookline.workflow.drawing import mermaid, svg, text

FORMS = [mermaid, svg, text]


@pytest.mark.parametrize("form", FORMS)
def test_a_line_of_5000_states(form: Callable[[Definition], str]) -> None:
    line = Definition("0", [Transition(str(at), str(at + 1)) for at in range(4_999)])
    assert form(line).count("\n") >= 9_999


@pytest.mark.parametrize("form", FORMS)
def test_500_states_and_1000_transitions_in_seconds(form: Callable[[Definition], str]) -> None:
    random = Random(1)
    edges = dict.fromkeys((random.randrange(state), state) for state in range(1, 500))
    while len(edges) < 1_000:
        source, destination = random.randrange(500), random.randrange(500)
        if source != destination:
            edges[source, destination] = None
    definition = Definition("0", [Transition(str(source), str(destination)) for source, destination in edges])
    began = process_time()
    form(definition)
    assert process_time() - began < 10  # two, on a machine that does nothing else


def test_ways_that_are_too_long_for_all_rows_run_under_the_drawing() -> None:
    onward = [(at, at + 1) for at in range(999)]
    back = [(999 - at, at) for at in range(100)]
    definition = Definition("0", [Transition(str(a), str(b)) for a, b in onward + back])
    root = ET.fromstring(svg(definition))
    ways = [one for one in root.iter() if one.get("class") == "way"]
    assert len(ways) == 1_099
    assert float(root.get("height", "0")) > 500
