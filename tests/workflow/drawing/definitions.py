"""Definitions to be drawn: one that is small, and any at all."""

from __future__ import annotations

from hypothesis import strategies as st

from hookline.workflow.definition import Approval, Definition, State, Transition
from hookline.workflow.graph import reachable

PARCEL = Definition(
    "new",
    [
        Transition("new", "sent", [Approval(groups="courier")]),
        Transition("sent", "arrived", [Approval(groups="courier"), Approval(permissions="sign")], "hand over"),
        Transition("sent", "new", label="back"),
    ],
    [State("new", "New"), State("lost", jump_only=True)],
)

NASTY = [
    "end", "state", "[*]", "]", "}", "{", "--", "-->", "a --> b", "x:y;z#q", "%% c", "%%{init: {}}%%", "#quot;",
    "&amp;", "direction LR", "to a DIRECTION  tb now", "note left of", "<<fork>>", "<b>&\"'</b>", "]]>", "a\nb", "\r\n",
    "", " ", "\x00\x1b[31m", "\ud800", "\ufffe", "\u202egnp.exe", "Черновик", "配送中", "🚀 go", "1. x", "- y",
    "__init__", "`c`", "├─ → x", "style:a#b;", "accTitle: t", "class s0 x", "default", "long " * 40, "w" * 200,
]  # fmt: skip

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=12))
approvals = st.lists(
    st.builds(
        lambda groups, users: Approval(groups=groups, users=users),
        *[st.lists(texts.filter(bool), max_size=2)] * 2,
    ),
    max_size=3,
)


@st.composite
def definitions(draw: st.DrawFn, names: st.SearchStrategy[str] = texts) -> Definition:
    """Any definition: what cannot be reached from the first state is left out, or is there by jumps only."""
    states = draw(st.lists(names, min_size=1, max_size=9, unique=True))
    pairs = st.tuples(st.sampled_from(states), st.sampled_from(states))
    edges = [pair for pair in draw(st.lists(pairs, max_size=16, unique=True)) if len(set(pair)) == 2]
    found = reachable(edges, states[:1])
    lonely = {state for state in states if state not in found and draw(st.booleans())}
    kept = [(a, b) for a, b in edges if b in found and (a in found or a in lonely)]
    return Definition(
        states[0],
        [Transition(a, b, draw(approvals), draw(st.none() | texts)) for a, b in kept],
        [State(name, draw(st.none() | texts), jump_only=name in lonely) for name in found.keys() | lonely],
    )


@st.composite
def paths(draw: st.DrawFn, definition: Definition) -> list[tuple[str, str]]:
    """Any path: through transitions, by jumps, several times, and through states that the definition does not have."""
    states = st.sampled_from([*definition.states, "was once", "was too"])
    return draw(st.lists(st.tuples(states, states) | st.sampled_from([*definition.edges, ("a", "b")]), max_size=8))


@st.composite
def drawings(draw: st.DrawFn) -> tuple[Definition, list[tuple[str, str]], str | None]:
    """All that is given to a drawing."""
    definition = draw(definitions())
    return definition, draw(paths(definition)), draw(st.none() | st.sampled_from([*definition.states, "elsewhere"]))


def drawn_states(definition: Definition, path: list[tuple[str, str]], current: str | None) -> set[str]:
    """The states that a drawing must have."""
    return {*definition.states, *(state for pair in path for state in pair), *({current} - {None})}  # type: ignore[arg-type]


def drawn_ways(definition: Definition, path: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The ways that a drawing must have."""
    return [*definition.edges, *dict.fromkeys(pair for pair in path if pair not in definition.edges)]
