"""In which layer each state stands."""

from __future__ import annotations

from hypothesis import given, settings

from hookline.workflow.definition import Definition
from hookline.workflow.drawing.layers import layers
from tests.workflow.drawing.definitions import definitions


def test_the_longest_way_counts() -> None:
    edges = [("a", "d"), ("a", "b"), ("b", "c"), ("c", "d")]
    assert layers("abcd", edges, "a") == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_a_way_back_moves_nothing() -> None:
    edges = [("open", "done"), ("done", "closed"), ("closed", "open"), ("closed", "done")]
    assert layers(["open", "done", "closed"], edges, "open") == {"open": 0, "done": 1, "closed": 2}


def test_what_nothing_leads_to_stands_before_what_it_leads_to_or_last() -> None:
    edges = [("a", "b"), ("b", "c"), ("jumped", "c")]
    assert layers(["a", "b", "c", "jumped", "alone"], edges, "a") == {"a": 0, "b": 1, "c": 2, "jumped": 1, "alone": 2}


def test_nothing_stands_before_the_initial_state() -> None:
    assert layers(["a", "b", "held"], [("a", "b"), ("held", "a")], "a") == {"a": 0, "b": 1, "held": 1}


@given(definitions())
@settings(max_examples=150)
def test_a_state_stands_right_after_the_last_that_leads_onward_to_it(definition: Definition) -> None:
    layer = layers(definition.states, definition.edges, definition.initial)
    assert layer.keys() == definition.states.keys()
    assert layer[definition.initial] == 0
    assert set(layer.values()) == set(range(max(layer.values()) + 1))
    assert not any(layer[a] == layer[b] for a, b in definition.edges)
    for state in definition.states:
        before = [layer[a] for a, b in definition.edges if b == state and layer[a] < layer[b]]
        assert not before or layer[state] == max(before) + 1
