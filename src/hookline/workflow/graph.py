"""What can be reached from where; and a part of a graph in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Edges = Sequence[tuple[str, str]]


def reachable(edges: Edges, roots: Iterable[str]) -> dict[str, int]:
    """The states that can be reached, each with the number of steps to it; the nearest first.

    Example:
        >>> reachable([("a", "b"), ("b", "c"), ("x", "y")], ["a"])
        {'a': 0, 'b': 1, 'c': 2}
    """
    following: dict[str, list[str]] = {}
    for source, destination in edges:
        following.setdefault(source, []).append(destination)
    found = dict.fromkeys(roots, 0)
    waiting = list(found)
    for state in waiting:
        for one in following.get(state, ()):
            if one not in found:
                found[one] = found[state] + 1
                waiting.append(one)
    return found


def unreachable(edges: Edges, roots: Sequence[str], states: Iterable[str]) -> str:
    """What to say of the states that nothing leads to; empty if there are none.

    Args:
        edges: The transitions.
        roots: The states in which objects can begin.
        states: All of them.
    """
    found = reachable(edges, roots)
    lost = [state for state in states if state not in found]
    if not lost:
        return ""
    near = {state for pair in edges if set(pair) & set(lost) for state in pair} | {roots[0]}
    part = drawn([(a, b) for a, b in edges if a in near and b in near], [roots[0], *lost])
    several = len(lost) > 1
    return (
        f"Nothing leads to {', '.join(map(repr, lost))}:\n{part}\n"
        f"Add a transition to {'them' if several else 'it'}, or say that objects get there by jump_to() only: "
        f"states=[State({lost[0]!r}, jump_only=True)]."
    )


def drawn(edges: Edges, first: Iterable[str]) -> str:
    """A few transitions as text, a line for each state that they leave.

    Example:
        >>> print(drawn([("a", "b"), ("a", "c")], ["a", "d"]))
            a -> b, c
            d
    """
    following: dict[str, list[str]] = {state: [] for state in first}
    for source, destination in edges:
        following.setdefault(source, []).append(destination)
    return "\n".join(
        f"    {state} -> {', '.join(ends)}" if ends else f"    {state}" for state, ends in following.items()
    )
