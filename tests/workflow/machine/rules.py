"""The rules of workflows in plain Python: what should come of every step, whatever the library does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

Criteria = dict[str, list[str]]
"""By kind (permissions, groups, users) the names of which a user must have one; anybody, if there are none."""


class Person(NamedTuple):
    """A user: what may be asked of one."""

    id: str
    groups: list[str]
    permissions: list[str]

    def may(self, asked: Criteria) -> bool:
        """Whether this one may give an approval."""
        has = {"permissions": self.permissions, "groups": self.groups, "users": [self.id]}
        return not any(asked.values()) or any(name in has[kind] for kind, names in asked.items() for name in names)


class Step(NamedTuple):
    """What hooks are told."""

    event: str
    key: int
    source: str
    destination: str
    by: str | None
    jump: bool
    position: int | None = None
    """Which approval it was; None of a jump."""


class NothingAvailable(Exception):
    """The user can give no such approval, or there is no such jump."""


class SeveralAvailable(Exception):
    """The user must say which."""


@dataclass
class Plan:
    """A definition.

    Attributes:
        initial: Where objects begin.
        states: Each with whether it is reached by jumps only.
        transitions: By source and destination, the approvals in their order.
    """

    initial: str
    states: dict[str, bool]
    transitions: dict[tuple[str, str], list[Criteria]]

    def settle(self) -> Plan:
        """The same with all states that it names: first those of transitions, in their order."""
        named = dict.fromkeys([self.initial, *(end for pair in self.transitions for end in pair)], False)
        self.states = {state: self.states.get(state, False) for state in named} | self.states
        return self

    def same_as(self, other: Plan) -> bool:
        """Whether nothing is otherwise, not even the order."""
        return self._in_order() == other._in_order()

    def _in_order(self) -> object:
        return self.initial, list(self.states.items()), list(self.transitions.items())

    def leaving(self, state: str) -> list[str]:
        """Where transitions lead from a state."""
        return [destination for source, destination in self.transitions if source == state]

    def is_final(self, state: str) -> bool:
        """Whether no transition leaves it."""
        return not self.leaving(state)

    def is_sound(self) -> bool:
        """Whether each transition leads elsewhere, none to where only jumps lead, and everything can be reached."""
        if any(source == destination or self.states[destination] for source, destination in self.transitions):
            return False
        reached = {self.initial} | {state for state, by_jump in self.states.items() if by_jump}
        while more := {end for state in reached for end in self.leaving(state)} - reached:
            reached |= more
        return reached == set(self.states)


@dataclass
class Line:
    """An approval that waits, was given, was cancelled or was left behind; or a jump."""

    source: str
    destination: str
    position: int
    iteration: int
    asked: Criteria | None
    status: str = "pending"
    by: str | None = None
    completes: bool = False


@dataclass
class Thing:
    """An object.

    Attributes:
        state: Where it is.
        plan: The definition that it goes by.
        lines: Its way, in the order in which each began to wait.
        stays: By state, how often it has waited there before; not counting the stay that still lasts.
        waited: Whether it has waited in its state since it came there.
    """

    state: str
    plan: Plan
    lines: list[Line] = field(default_factory=list)
    stays: Counter[str] = field(default_factory=Counter)
    waited: bool = False

    def waiting(self) -> list[Line]:
        """What waits for somebody."""
        return [line for line in self.lines if line.status == "pending"]

    def past(self) -> list[Line]:
        """What waits no more."""
        return [line for line in self.lines if line.status != "pending"]

    def recent(self) -> Line | None:
        """The approval that was given last."""
        return next((line for line in reversed(self.lines) if line.status == "approved"), None)

    def to_come(self) -> list[Line]:
        """What waits, each with the approvals that its transition asks for after it."""
        found = []
        for line in self.waiting():
            for position, asked in enumerate(self.plan.transitions[line.source, line.destination]):
                if position >= line.position:
                    found.append(Line(line.source, line.destination, position, line.iteration, asked))
        return found

    def available(self, person: Person, to: str | None = None) -> list[Line]:
        """What a user may approve now."""
        return [
            line
            for line in self.waiting()
            if line.asked is not None and person.may(line.asked) and to in (None, line.destination)
        ]

    def wait_for(self, destination: str, position: int) -> None:
        """Wait for one approval."""
        asked = self.plan.transitions[self.state, destination][position]
        self.lines.append(Line(self.state, destination, position, self.stays[self.state], asked))
        self.waited = True

    def wait_for_first(self) -> None:
        """Wait for the first approval of each transition that leaves the state."""
        for destination in self.plan.leaving(self.state):
            self.wait_for(destination, 0)

    def enter(self, state: str) -> None:
        """Be in another state, and wait there."""
        if self.waited:
            self.stays[self.state] += 1
        self.state, self.waited = state, False
        self.wait_for_first()


@dataclass
class World:
    """All that a transaction can see.

    Attributes:
        plan: The definition with which objects begin.
        things: By key.
        steps: What happened in this transaction so far.
        fresh: What happened since somebody last looked.
    """

    plan: Plan
    things: dict[int, Thing] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    fresh: list[Step] = field(default_factory=list)

    def copy(self) -> World:
        """The same, for a savepoint."""
        return deepcopy(self)

    def publish(self, plan: Plan) -> None:
        """Objects begin with another definition; those that are there keep theirs."""
        self.plan = plan

    def insert(self, keys: Iterable[int]) -> None:
        """Objects begin."""
        for key in keys:
            thing = self.things[key] = Thing(self.plan.initial, self.plan)
            thing.wait_for_first()

    def approve(self, key: int, person: Person, to: str | None) -> Line:
        """An approval is given; the others that wait are cancelled."""
        thing = self.things[key]
        found = thing.available(person, to)
        if not found:
            raise NothingAvailable
        if len(found) > 1:
            raise SeveralAvailable
        given = found[0]
        for line in thing.waiting():
            line.status = "cancelled"
        given.status, given.by = "approved", person.id
        self._happens("approve", key, given.destination, person.id, given.position)
        if given.position + 1 < len(thing.plan.transitions[given.source, given.destination]):
            thing.wait_for(given.destination, given.position + 1)
        else:
            given.completes = True
            self._move(key, given.destination, person.id, given.position)
        return given

    def jump(self, key: int, state: str, by: str | None) -> None:
        """An object is put into any state of its definition."""
        thing = self.things[key]
        if state == thing.state or state not in thing.plan.states:
            raise NothingAvailable
        for line in thing.waiting():
            line.status = "cancelled"
        iteration = thing.stays[thing.state]
        thing.lines.append(Line(thing.state, state, 0, iteration, None, "jumped", by, completes=True))
        self._move(key, state, by, None)

    def _move(self, key: int, state: str, by: str | None, position: int | None) -> None:
        thing = self.things[key]
        self._happens("transition", key, state, by, position)
        if thing.plan.is_final(state):
            self._happens("complete", key, state, by, position)
        thing.enter(state)

    def _happens(self, event: str, key: int, destination: str, by: str | None, position: int | None) -> None:
        source = self.things[key].state
        step = Step(event, key, source, destination, by, position is None, position)
        self.steps.append(step)
        self.fresh.append(step)

    def migrate(self, keys: Collection[int], instead: Mapping[str, str], by: str | None) -> dict[str, object]:
        """Objects go on by the current definition.

        What an object of a state that is still there waits for, it waits for anew: for the same approval, if all
        before it are asked for still, and else for the first ones. From a state that is gone it jumps to the one that
        takes its place, or stays as it is. One that waits for nothing before and after is left alone.
        """
        moved = restarted = 0
        jumping: list[int] = []
        kept: Counter[str] = Counter()
        for key in sorted(keys):
            thing = self.things[key]
            if thing.plan.same_as(self.plan):
                continue
            waiting = thing.waiting()
            if thing.state not in self.plan.states:
                if thing.state not in instead:
                    kept[thing.state] += 1
                    continue
                jumping.append(key)
            elif not waiting and self.plan.is_final(thing.state):
                continue
            moved += 1
            for line in waiting:
                line.status, line.by = "moved", by
            before, thing.plan = thing.plan, self.plan
            if thing.state not in self.plan.states:
                continue
            line = waiting[0] if waiting else None
            if line is None or line.position == 0:
                thing.wait_for_first()
                continue
            pair = line.source, line.destination
            given = before.transitions[pair][: line.position]
            now = self.plan.transitions.get(pair, [])
            if len(now) > line.position and now[: line.position] == given:
                thing.wait_for(line.destination, line.position)
            else:
                restarted += 1
                thing.wait_for_first()
        for key in jumping:
            self.jump(key, instead[self.things[key].state], by)
        return {"moved": moved, "restarted": restarted, "jumped": len(jumping), "kept": dict(kept)}

    def counts(self) -> dict[str, int]:
        """How many objects are in each state."""
        found = dict.fromkeys(self.plan.states, 0)
        return found | Counter(thing.state for thing in self.things.values())

    def awaiting(self, person: Person) -> list[int]:
        """The objects that wait for a user."""
        return sorted(key for key, thing in self.things.items() if thing.available(person))
