"""Which hooks run for what: compiled once, looked up afterwards."""

from __future__ import annotations

from typing import Any, NamedTuple

from hookline.core.events import LINK_EVENTS, PHASES, ROW_EVENTS
from hookline.core.family import Family
from hookline.core.hook import Hook
from hookline.core.link import Relation
from hookline.core.order import in_order
from hookline.core.step import Flow
from hookline.core.targets import RelationSet, concerns_flow, concerns_model, side_of_relation


class Interest(NamedTuple):
    """What the hooks want of one model.

    Attributes:
        phases: The phases in which a row event of it has hooks.
        asynchronous: The async hooks among them, in any phase of the session's own.
        followed: Whether its changes are kept for the transaction.
    """

    phases: frozenset[str]
    asynchronous: tuple[Hook, ...]
    followed: bool


class Plan:
    """The hooks of a rule book at one moment; never changed, replaced as a whole.

    So a flush that has begun with one goes on with it, whatever other threads register.

    Attributes:
        hooks: All of them, in the order of registration.
        followed: The models whose writes are followed without a hook.
        keyed: Whether some stand for many, each about a row of its own: see `Family`.
    """

    __slots__ = (
        "_interests",
        "_link_hooks",
        "_links",
        "_ordered",
        "_phases",
        "_rank",
        "_rows",
        "_sets",
        "_sides",
        "_steps",
        "followed",
        "hooks",
        "keyed",
    )

    def __init__(self, hooks: tuple[Hook, ...], followed: tuple[type, ...]) -> None:
        self.hooks = hooks
        self.followed = followed
        self.keyed = any(isinstance(hook, Family) for hook in hooks)
        self._ordered: tuple[Hook, ...] | None = None
        self._phases: frozenset[str] | None = None
        self._rank: dict[Hook, int] | None = None
        self._rows: dict[tuple[str, str, type], tuple[Hook, ...]] = {}
        self._links: dict[tuple[str, str, Any], tuple[tuple[Hook, str], ...]] = {}
        self._steps: dict[tuple[str, str, Flow, type], tuple[Hook, ...]] = {}
        self._link_hooks: dict[Relation, tuple[Hook, ...]] = {}
        self._interests: dict[type, Interest | None] = {}
        self._sets = tuple({id(t): t for hook in hooks for t in hook.targets if isinstance(t, RelationSet)}.values())
        self._sides = self._states()

    def _states(self) -> tuple[object, ...]:
        return tuple(one.state for one in self._sets)

    @property
    def stale(self) -> bool:
        """Whether a relation set has changed since the plan was made."""
        return bool(self._sets) and self._states() != self._sides

    @property
    def ordered(self) -> tuple[Hook, ...]:
        """All hooks, in the order in which they run within a phase."""
        if self._ordered is None:
            self._ordered = in_order(self.hooks, complete=True)
        return self._ordered

    @property
    def rank(self) -> dict[Hook, int]:
        """The place of each hook in that order."""
        if self._rank is None:
            self._rank = {hook: number for number, hook in enumerate(self.ordered)}
        return self._rank

    def phase(self, phase: str) -> tuple[Hook, ...]:
        """The hooks of one phase, in order."""
        return tuple(hook for hook in self.ordered if hook.phase == phase)

    def for_row(self, phase: str, event: str, model: type) -> tuple[Hook, ...]:
        """The hooks that run in a phase for an event of a model, in order."""
        at = (phase, event, model)
        found = self._rows.get(at)
        if found is None:
            found = self._rows[at] = tuple(
                hook
                for hook in self.ordered
                if hook.phase == phase and event in hook.events and concerns_model(hook.targets, hook.exact, model)
            )
        return found

    def for_link(self, phase: str, event: str, relation: Relation) -> tuple[tuple[Hook, str], ...]:
        """The hooks that run for a link, each with the side from which it sees it."""
        at = (phase, event, relation)
        found = self._links.get(at)
        if found is None:
            found = self._links[at] = tuple(
                (hook, side)
                for hook in self.ordered
                if hook.phase == phase
                and event in hook.events
                and (side := side_of_relation(hook.targets, hook.exact, relation)) is not None
            )
        return found

    def for_step(self, phase: str, event: str, flow: Flow, model: type) -> tuple[Hook, ...]:
        """The hooks that run in a phase for a step of a class's objects in a workflow, in order."""
        at = (phase, event, flow, model)
        found = self._steps.get(at)
        if found is None:
            found = self._steps[at] = tuple(
                hook
                for hook in self.ordered
                if hook.phase == phase and event in hook.events and concerns_flow(hook.targets, hook.exact, flow, model)
            )
        return found

    def interest(self, model: type) -> Interest | None:
        """What row hooks want of a model; None if nothing."""
        try:
            return self._interests[model]
        except KeyError:
            pass
        concerned = [
            hook
            for phase in PHASES
            for hook in {hook for event in ROW_EVENTS for hook in self.for_row(phase, event, model)}
        ]
        followed = bool(concerned) or any(issubclass(model, one) for one in self.followed)
        interest = (
            Interest(
                frozenset(hook.phase for hook in concerned),
                tuple(hook for hook in concerned if hook.awaited),
                followed,
            )
            if followed
            else None
        )
        self._interests[model] = interest
        return interest

    def follows(self, model: type) -> bool:
        """Whether the writes of a model, or of one of its subclasses, are known to the transaction."""
        if self.interest(model) is not None:
            return True
        named = (target for hook in self.hooks for target in hook.targets if isinstance(target, type))
        return any(issubclass(one, model) for one in (*named, *self.followed))

    def link_hooks(self, relation: Relation) -> tuple[Hook, ...]:
        """All hooks that concern a relation, in any phase."""
        found = self._link_hooks.get(relation)
        if found is None:
            found = self._link_hooks[relation] = tuple(
                {
                    hook: None
                    for phase in PHASES
                    for event in LINK_EVENTS
                    for hook, _ in self.for_link(phase, event, relation)
                }
            )
        return found

    @property
    def concerns_links(self) -> bool:
        """Whether any hook is about links."""
        return any(event in LINK_EVENTS for hook in self.hooks for event in hook.events)

    def has_phase(self, phase: str) -> bool:
        """Whether there is any hook of this phase."""
        if self._phases is None:
            self._phases = frozenset(hook.phase for hook in self.hooks)
        return phase in self._phases
