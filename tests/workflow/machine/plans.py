"""Random definitions, and random users to walk through them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.workflow.machine.rules import Criteria, Person, Plan

STATES = ["новый", "it's", 'say "ok"', "50% готово", "x:y;--", "plain", "там"]
NAMES = ["desk", "юрист", "3", "o'hara"]
"""Of groups and of permissions: the same, and one is the id of a user, so that mixing them up shows."""
IDS = ["1", "2", "3", "4"]

some = st.integers(0, 63)


def asking(**names: list[str]) -> Criteria:
    """Criteria; anybody, if none are given."""
    return {kind: sorted(names.get(kind, [])) for kind in ("permissions", "groups", "users")}


_few = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)

criteria = st.one_of(
    st.just(asking()),
    st.builds(lambda name: asking(groups=[name]), st.sampled_from(NAMES)),
    st.builds(lambda name: asking(permissions=[name]), st.sampled_from(NAMES)),
    st.builds(lambda one: asking(users=[one]), st.sampled_from(IDS)),
    st.builds(
        lambda permissions, groups, users: asking(permissions=permissions, groups=groups, users=users),
        _few,
        _few,
        st.lists(st.sampled_from(IDS), max_size=2, unique=True),
    ),
)
approvals = st.lists(criteria, min_size=1, max_size=3)


@st.composite
def plans(draw: Any) -> Plan:
    """A sound definition of 1 to 6 states: a tree from the initial one, more transitions, some jump-only states."""
    states = draw(st.permutations(STATES))[: draw(st.integers(1, 6))]
    plan = Plan(states[0], dict.fromkeys(states, False), {})
    for number, state in enumerate(states[1:], start=1):
        parent = draw(st.integers(-1, number - 1))
        if parent < 0:
            plan.states[state] = True
        else:
            plan.transitions[states[parent], state] = draw(approvals)
    for source, destination in draw(st.lists(st.tuples(st.sampled_from(states), st.sampled_from(states)), max_size=6)):
        if source != destination and not plan.states[destination]:
            plan.transitions.setdefault((source, destination), draw(approvals))
    return plan.settle()


@st.composite
def people(draw: Any) -> list[Person]:
    """2 to 4 users; the first has nothing, and the last has most."""
    number = draw(st.integers(2, 4))
    middle = [Person(one, draw(_few), draw(_few)) for one in IDS[1 : number - 1]]
    return [Person(IDS[0], [], []), *middle, Person(IDS[number - 1], NAMES[:3], NAMES[1:])]


edits = st.lists(
    st.one_of(
        st.tuples(st.just("set transition"), st.sampled_from(STATES), st.sampled_from(STATES), approvals),
        st.tuples(st.just("set approvals"), some, approvals),
        st.tuples(st.just("remove transition"), some),
        st.tuples(st.just("set state"), st.sampled_from(STATES), st.booleans()),
        st.tuples(st.just("remove state"), some),
        st.tuples(st.just("initial"), some),
    ),
    min_size=1,
    max_size=3,
)

taking_place = st.lists(st.tuples(st.sampled_from(STATES), some), max_size=4)
"""States that may be gone, each with which of the current ones takes its place."""
