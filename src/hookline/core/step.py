"""One step of an object through a workflow: an approval, a transition, or the last one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hookline.core.change import Change
from hookline.core.link import End

if TYPE_CHECKING:
    from hookline.core.registry import Hooks


class Flow(ABC):
    """A workflow as the engine knows it.

    Attributes:
        name: The same in all processes.
        model: The class of its objects.
        field: The attribute that holds the state.
    """

    name: str
    model: type
    field: str

    @abstractmethod
    def join(self, book: Hooks) -> None:
        """Belong to a rule book from now on; `Hooks.use` calls it.

        Raises:
            WorkflowStoreError: It belongs to another one.
        """

    @abstractmethod
    def follow(self, book: Hooks) -> None:
        """Serve a rule book that has its hooks already; `Hooks.include` calls it."""

    @abstractmethod
    def named_by(self, target: object) -> bool:
        """Whether the target of a hook, an attribute of a class, names it."""

    @abstractmethod
    def to_data(self, step: StepChange) -> dict[str, Any]:
        """A step as JSON has it, but for its object."""

    @abstractmethod
    def from_data(self, event: str, row: End, data: Mapping[str, Any]) -> StepChange:
        """A step of an object from what `to_data` gave."""


class StepChange(Change[Any]):
    """An approval that is given, a transition that is made, or the one that ends in a final state.

    Nothing of it can be edited: a `before` hook may refuse it. Steps are never folded: each is told of, unless it was
    rolled back.

    Attributes:
        event: ``"approve"``, ``"transition"`` or ``"complete"``.
        flow: The workflow.
        source: The state before, as the field has it.
        destination: The state after; of an approval, the one that its transition leads to.
        approval: The approval that is given, whose time only the database knows yet; None of a jump.
        by: The id of the user who gives it, as text; None if a jump has nobody.
        user: What was given as the user; None in a worker.
        jump: Whether no approval was needed: `jump_to`, or a write that went around the workflow with its leave.
    """

    def __init__(
        self,
        event: str,
        flow: Flow,
        row: End,
        source: Any,
        destination: Any,
        *,
        approval: Any = None,
        by: str | None = None,
        user: Any = None,
        jump: bool = False,
    ) -> None:
        self.event, self.flow, self.row = event, flow, row
        self.model = row.model
        self.source, self.destination = source, destination
        self.approval, self.by, self.user, self.jump = approval, by, user, jump
        self.door = "workflow"
        self.cause, self.parent, self.depth, self.control = None, None, 0, None

    @property
    def field(self) -> str:
        """The attribute that holds the state."""
        return self.flow.field

    @property
    def group(self) -> Any:
        return self.flow, self.model

    @property
    def entity(self) -> Any:
        return self.row.entity

    @property
    def key(self) -> Any:
        return self.row.key

    @property
    def old(self) -> Mapping[str, Any]:
        """The state before, by the field's name."""
        return MappingProxyType({self.field: self.source})

    @property
    def new(self) -> Any:
        """The state after, by the field's name; an approval that is not the last one of its transition has none yet."""
        return MappingProxyType({self.field: self.source if self.event == "approve" else self.destination})

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(() if self.event == "approve" else (self.field,))

    @property
    def identity(self) -> Hashable:
        return id(self)

    @property
    def about(self) -> Hashable:
        return self.row.identity

    @property
    def offers(self) -> Mapping[str, Any]:
        """What callbacks may ask for that were written for django-river."""
        return {"field_name": self.field, "transition_approval": self.approval}

    def __repr__(self) -> str:
        return f"<{self.event} {self.model.__name__} {self.key!r}: {self.source!r} -> {self.destination!r}>"

    def describe(self) -> str:
        by = f", by {self.by}" if self.by is not None else ""
        return (
            f"{self.event} {self.model.__name__} {self.key!r} ({self.field}: {self.source!r} -> {self.destination!r}"
            f"{by}{', a jump' if self.jump else ''})"
        )


class Unknown:
    """The row of a step that nobody has made: for questions.

    Args:
        model: Its class.
    """

    key = entity = identity = None

    def __init__(self, model: type) -> None:
        self.model = model

    def freeze(self) -> None:
        """It has nothing to keep."""

    def find(self) -> None:
        """It has no object."""

    def unsettle(self, yes: bool) -> None:
        """It has no key."""

    def moved(self, identity: Hashable) -> Unknown:
        """It moves nowhere."""
        del identity
        return self
