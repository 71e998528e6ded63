"""In which layer each state stands: after all that lead to it, except those that lead back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from hookline.workflow.graph import Edges

Following = dict[str, list[str]]


def layers(states: Iterable[str], edges: Edges, initial: str) -> dict[str, int]:
    """The layer of each state: the longest way to it from the initial state, which is in layer 0, alone.

    An edge whose destination is in no later layer than its source leads back. A state that nothing leads to stands
    right before the nearest that it leads to, or in the last layer if it leads nowhere.

    Example:
        >>> layers(["new", "sent", "lost", "found"], [("new", "sent"), ("sent", "lost"), ("lost", "sent")], "new")
        {'new': 0, 'sent': 1, 'lost': 2, 'found': 2}
    """
    onward = _without_cycles(list(states), edges, initial)
    preceding = dict.fromkeys(onward, 0)
    for following in onward.values():
        for one in following:
            preceding[one] += 1
    loose = [state for state, count in preceding.items() if not count and state != initial]
    layer = dict.fromkeys(onward, 1) | {initial: 0}
    waiting = deque(state for state, count in preceding.items() if not count)
    while waiting:
        state = waiting.popleft()
        for one in onward[state]:
            layer[one] = max(layer[one], layer[state] + 1)
            preceding[one] -= 1
            if not preceding[one]:
                waiting.append(one)
    last = max(layer.values())
    for state in loose:
        layer[state] = min((layer[one] for one in onward[state]), default=last + 1) - 1
    return layer


def _without_cycles(states: list[str], edges: Edges, initial: str) -> Following:
    """Which states follow which, without the edges on which a search in depth meets the way that it has come."""
    following: Following = {state: [] for state in states}
    for source, destination in edges:
        following[source].append(destination)
    led_to = {destination for _, destination in edges}
    onward: Following = {state: [] for state in states}
    seen: set[str] = set()
    for root in (initial, *(state for state in states if state not in led_to), *states):
        if root in seen:
            continue
        seen.add(root)
        way: dict[str, Iterator[str]] = {root: iter(following[root])}
        while way:
            state, rest = next(reversed(way.items()))
            for one in rest:
                if one in way or one == initial:
                    continue
                onward[state].append(one)
                if one not in seen:
                    seen.add(one)
                    way[one] = iter(following[one])
                    break
            else:
                way.popitem()
    return onward
