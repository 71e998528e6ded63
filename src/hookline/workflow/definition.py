"""What a workflow is: states, transitions and who approves them; checked, and never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

from hookline.errors import WorkflowDefinitionError, near
from hookline.workflow.graph import unreachable


@dataclass(frozen=True, init=False)
class Approval:
    """What one approval asks of the one who gives it: any one of these is enough; if nothing is named, anybody may.

    Args:
        permissions: Names of permissions; one, or several.
        groups: Names of groups; likewise.
        users: Ids of users; likewise.

    Example:
        >>> Approval(groups="courier", users=[7])
        Approval(groups={'courier'}, users={'7'})
    """

    permissions: frozenset[str]
    groups: frozenset[str]
    users: frozenset[str]

    def __init__(
        self,
        *,
        permissions: str | Iterable[str] = (),
        groups: str | Iterable[str] = (),
        users: str | int | Iterable[Any] = (),
    ) -> None:
        object.__setattr__(self, "permissions", _names("permissions", permissions))
        object.__setattr__(self, "groups", _names("groups", groups))
        object.__setattr__(self, "users", _names("users", users))

    @property
    def anybody(self) -> bool:
        """Whether nothing is asked."""
        return not (self.permissions or self.groups or self.users)

    @property
    def criteria(self) -> Iterator[tuple[str, str]]:
        """Each kind with each name: what one of must be true of a user."""
        for kind in ("permission", "group", "user"):
            for name in sorted(getattr(self, f"{kind}s")):
                yield kind, name

    def __str__(self) -> str:
        return " or ".join(f"{kind} {name}" for kind, name in self.criteria) or "anybody"

    def __repr__(self) -> str:
        given = [
            f"{name}={{{', '.join(map(repr, sorted(getattr(self, name))))}}}"
            for name in ("permissions", "groups", "users")
            if getattr(self, name)
        ]
        return f"Approval({', '.join(given)})"


@dataclass(frozen=True)
class State:
    """A state, where more is to be said of it than its value.

    Args:
        value: As the field has it.
        label: For people; the value itself if left out.
        jump_only: Whether no transition leads to it: an object gets there by `jump_to`, or never.
    """

    value: Any
    label: str | None = None
    jump_only: bool = False


@dataclass(frozen=True)
class Transition:
    """A way from one state to another.

    Args:
        source: The state before, as the field has it.
        destination: The state after.
        approvals: What must be approved, in this order, before it happens; if nothing, one approval of anybody.
        label: For people.

    Example:
        >>> Transition("shipped", "arrived", [Approval(groups="courier"), Approval(permissions="sign")])
        Transition('shipped' -> 'arrived')
    """

    source: Any
    destination: Any
    approvals: Sequence[Approval] = ()
    label: str | None = None

    def __post_init__(self) -> None:
        given = (self.approvals,) if isinstance(self.approvals, (Approval, str)) else tuple(self.approvals)
        for one in given:
            if not isinstance(one, Approval):
                raise WorkflowDefinitionError(
                    f"{self!r} takes Approval objects, not {one!r}. Write approvals=[Approval(groups='courier')]."
                )
        object.__setattr__(self, "approvals", given or (Approval(),))

    def __repr__(self) -> str:
        return f"Transition({self.source!r} -> {self.destination!r})"


class Rule(NamedTuple):
    """One approval at its place.

    Attributes:
        number: Which it is in the whole definition, from 0.
        transition: What it belongs to.
        position: Which it is of that transition, from 0.
        approval: What is asked.
    """

    number: int
    transition: Transition
    position: int
    approval: Approval

    @property
    def last(self) -> bool:
        """Whether the transition happens once this one is given."""
        return self.position == len(self.transition.approvals) - 1


class Definition:
    """States, transitions and approvals, with the states as text.

    Args:
        initial: The state in which objects begin.
        transitions: All of them, in the order in which they are shown.
        states: Those of which more is to be said, or that no transition names.

    Raises:
        WorkflowDefinitionError: Something dangles, or cannot be reached; the message draws that part.

    Example:
        >>> parcel = Definition("new", [Transition("new", "sent"), Transition("sent", "arrived")])
        >>> list(parcel.states), parcel.final_states
        (['new', 'sent', 'arrived'], ('arrived',))
    """

    def __init__(self, initial: str, transitions: Iterable[Transition], states: Iterable[State] = ()) -> None:
        self.initial = initial
        self.transitions = tuple(transitions)
        declared = {state.value: state for state in states}
        named = dict.fromkeys((initial, *(end for one in self.transitions for end in (one.source, one.destination))))
        self.states: Mapping[str, State] = {name: declared.get(name, State(name)) for name in named} | declared
        self._check(declared)

    def _check(self, declared: Mapping[str, State]) -> None:
        seen: set[tuple[str, str]] = set()
        for one in self.transitions:
            if None in (one.source, one.destination):
                raise WorkflowDefinitionError(f"{one!r} dangles: both ends must be states.")
            if one.source == one.destination:
                raise WorkflowDefinitionError(
                    f"{one!r} leads nowhere: an object that stays in its state has made no transition."
                )
            if (one.source, one.destination) in seen:
                raise WorkflowDefinitionError(
                    f"There are two transitions {one.source!r} -> {one.destination!r}. Write one, with an Approval "
                    f"that names all who may give it."
                )
            seen.add((one.source, one.destination))
        if self.initial is None:
            raise WorkflowDefinitionError("A workflow has one initial state: initial='draft'.")
        jumped_to = [name for name, state in declared.items() if state.jump_only]
        for one in self.transitions:
            if one.destination in jumped_to:
                raise WorkflowDefinitionError(
                    f"{one.destination!r} is jump_only, but {one!r} leads there. Leave out one or the other."
                )
        if len(self.states) > 1:
            lost = unreachable(self.edges, [self.initial, *jumped_to], self.states)
            if lost:
                raise WorkflowDefinitionError(lost)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """The transitions as pairs of states."""
        return [(one.source, one.destination) for one in self.transitions]

    @cached_property
    def final_states(self) -> tuple[str, ...]:
        """The states that no transition leaves."""
        left = {one.source for one in self.transitions}
        return tuple(name for name in self.states if name not in left)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """All approvals, numbered."""
        places = ((one, at, approval) for one in self.transitions for at, approval in enumerate(one.approvals))
        return tuple(Rule(number, *place) for number, place in enumerate(places))

    @cached_property
    def _first_rules(self) -> Mapping[str, tuple[Rule, ...]]:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.position == 0:
                found.setdefault(rule.transition.source, []).append(rule)
        return {state: tuple(rules) for state, rules in found.items()}

    def first_rules(self, state: str) -> tuple[Rule, ...]:
        """The first approval of each transition that leaves a state."""
        return self._first_rules.get(state, ())

    def rule_of(self, source: str, destination: str, position: int) -> Rule | None:
        """The approval at a place; None if there is none."""
        for rule in self.first_rules(source):
            if rule.transition.destination == destination and position < len(rule.transition.approvals):
                return self.rules[rule.number + position]
        return None

    def named(self, state: str) -> State:
        """A state by name.

        Raises:
            WorkflowDefinitionError: There is none.
        """
        try:
            return self.states[state]
        except KeyError:
            raise WorkflowDefinitionError(f"There is no state {state!r}.{near(str(state), self.states)}") from None

    # -- as data

    def to_data(self) -> dict[str, Any]:
        """The same as JSON has it; equal definitions give equal data."""
        return {
            "initial": self.initial,
            "states": [
                {"value": name, "label": state.label, "jump_only": state.jump_only}
                for name, state in self.states.items()
            ],
            "transitions": [
                {
                    "source": one.source,
                    "destination": one.destination,
                    "label": one.label,
                    "approvals": [
                        {kind: sorted(getattr(a, kind)) for kind in ("permissions", "groups", "users")}
                        for a in one.approvals
                    ],
                }
                for one in self.transitions
            ],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Definition:
        """A definition from what `to_data` gave.

        Raises:
            WorkflowDefinitionError: It is none.
        """
        try:
            return cls(
                data["initial"],
                [
                    Transition(
                        one["source"],
                        one["destination"],
                        tuple(Approval(**approval) for approval in one["approvals"]),
                        one.get("label"),
                    )
                    for one in data["transitions"]
                ],
                [State(one["value"], one.get("label"), one.get("jump_only", False)) for one in data["states"]],
            )
        except (KeyError, TypeError) as error:
            raise WorkflowDefinitionError(f"This is no definition of a workflow: {error!r} in {data!r}.") from error

    @cached_property
    def json(self) -> str:
        """The data as text, always the same for the same definition."""
        return json.dumps(self.to_data(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def version(self, workflow: str) -> int:
        """The number by which a workflow's objects know what they began with: always the same for the same.

        Args:
            workflow: The name of the workflow.
        """
        return int.from_bytes(sha256(f"{workflow}\n{self.json}".encode()).digest()[:8], "big") >> 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.json)

    def __repr__(self) -> str:
        return f"<Definition: {len(self.states)} states, {len(self.transitions)} transitions, from {self.initial!r}>"

    def differences(self, other: Definition) -> list[str]:
        """What another definition has otherwise, a line each; empty if they are the same."""
        lines = []
        if self.initial != other.initial:
            lines.append(f"initial state: {self.initial!r}, now {other.initial!r}")
        lines += [f"state {name!r}: gone" for name in self.states if name not in other.states]
        lines += [f"state {name!r}: new" for name in other.states if name not in self.states]
        lines += [
            f"state {name!r}: {state}, now {other.states[name]}"
            for name, state in self.states.items()
            if name in other.states and other.states[name] != state
        ]
        mine, its = ({(one.source, one.destination): one for one in each.transitions} for each in (self, other))
        for pair in [*mine, *(pair for pair in its if pair not in mine)]:
            told = f"transition {pair[0]!r} -> {pair[1]!r}"
            if pair not in its:
                lines.append(f"{told}: gone")
            elif pair not in mine:
                lines.append(f"{told}: new")
            elif mine[pair] != its[pair]:
                before, after = (" then ".join(map(str, one[pair].approvals)) for one in (mine, its))
                lines.append(f"{told}: {before}, now {after}")
        if not lines and self != other:
            lines.append("the order of states or transitions")
        return lines


class Draft:
    """A definition that is being edited; `Workflow.edit` gives it, and publishes it if all is well.

    Attributes:
        initial: The initial state; may be assigned.
    """

    def __init__(self, definition: Definition, text: Any) -> None:
        self._initial = definition.initial
        self._states = dict(definition.states)
        self._transitions = {(one.source, one.destination): one for one in definition.transitions}
        self._text = text

    @property
    def initial(self) -> str:
        """The initial state, as text."""
        return self._initial

    @initial.setter
    def initial(self, state: Any) -> None:
        self._initial = self._text(state)

    def set_state(self, state: Any, *, label: str | None = None, jump_only: bool = False) -> None:
        """Add a state, or change what is said of it."""
        name = self._text(state)
        self._states[name] = State(name, label, jump_only)

    def remove_state(self, state: Any) -> None:
        """Remove a state, with the transitions from and to it.

        Raises:
            WorkflowDefinitionError: There is none.
        """
        name = self._text(state)
        if name not in self._states:
            raise WorkflowDefinitionError(f"There is no state {name!r}.{near(str(name), self._states)}")
        del self._states[name]
        self._transitions = {pair: one for pair, one in self._transitions.items() if name not in pair}

    def set_transition(
        self, source: Any, destination: Any, approvals: Sequence[Approval] | Approval = (), *, label: str | None = None
    ) -> None:
        """Add a transition, or give it other approvals."""
        pair = self._text(source), self._text(destination)
        self._transitions[pair] = Transition(*pair, approvals, label)  # type: ignore[arg-type]
        for end in pair:
            self._states.setdefault(end, State(end))

    def remove_transition(self, source: Any, destination: Any) -> None:
        """Remove a transition.

        Raises:
            WorkflowDefinitionError: There is none.
        """
        pair = self._text(source), self._text(destination)
        if pair not in self._transitions:
            known = [f"{one} -> {other}" for one, other in self._transitions]
            raise WorkflowDefinitionError(f"There is no transition {' -> '.join(pair)}. There are: {', '.join(known)}.")
        del self._transitions[pair]

    def definition(self) -> Definition:
        """What it has become.

        Raises:
            WorkflowDefinitionError: Something dangles, or cannot be reached.
        """
        return Definition(self._initial, self._transitions.values(), self._states.values())


def as_text(definition_of: Any, given: Transition) -> Transition:
    """A transition with its states as text."""
    return replace(given, source=definition_of(given.source), destination=definition_of(given.destination))


def _names(what: str, given: Any) -> frozenset[str]:
    several = (given,) if isinstance(given, (str, int)) or not isinstance(given, Iterable) else tuple(given)
    for one in several:
        if one is None or one == "":
            raise WorkflowDefinitionError(f"Approval({what}=...) names something, not {one!r}.")
    return frozenset(str(getattr(one, "id", one)) if what == "users" else str(one) for one in several)
