"""What a hook is about: classes, relations, live sets of relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hookline.core.link import Relation
from hookline.core.step import Flow
from hookline.errors import TargetError


class RelationSet:
    """A set of relations that may change while hooks on it are registered; the change is obeyed at once.

    CubicWeb's hooks know such sets as the relations that a hook is enabled for.

    Example:
        >>> parents = RelationSet()
        >>> len(parents)
        0
    """

    def __init__(self, relations: Iterable[object] = ()) -> None:
        self._relations = tuple(relations)

    def add(self, relation: object) -> None:
        """Add one; hooks on the set concern it from the next flush on."""
        if relation not in self:
            self._relations = (*self._relations, relation)

    def discard(self, relation: object) -> None:
        """Take one out."""
        self._relations = tuple(known for known in self._relations if known is not relation)

    def __contains__(self, relation: object) -> bool:
        return any(known is relation for known in self._relations)

    def __iter__(self) -> Iterator[object]:
        return iter(self._relations)

    def __len__(self) -> int:
        return len(self._relations)

    @property
    def state(self) -> tuple[object, ...]:
        """What is in it now: a new tuple after each change."""
        return self._relations


def targets_of(given: object) -> tuple[Any, ...]:
    """The targets as a tuple; empty for all.

    Raises:
        TargetError: One can be neither a class nor a relation.
    """
    if given is None:
        return ()
    several = tuple(given) if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    if not several:
        raise TargetError("The target is empty: leave it out to mean all models, or name one.")
    for target in several:
        if target is None or isinstance(target, (str, bytes, int, float, bool, dict)):
            raise TargetError(
                f"The target must be a mapped class, a relation or a relation set, not {target!r}. "
                f"Write @hooks.before('save', Person) or @hooks.check('link', Company.boss)."
            )
    return several


def concerns_model(targets: tuple[Any, ...], exact: bool, model: type) -> bool:
    """Whether row events of a model concern a hook with these targets."""
    if not targets:
        return True
    for target in targets:
        if isinstance(target, type) and (model is target if exact else issubclass(model, target)):
            return True
    return False


def concerns_flow(targets: tuple[Any, ...], exact: bool, flow: Flow, model: type) -> bool:
    """Whether the steps of a class's objects in a workflow concern a hook with these targets."""
    return concerns_model(targets, exact, model) or any(
        flow.named_by(target) for target in targets if not isinstance(target, (type, RelationSet))
    )


def side_of_relation(targets: tuple[Any, ...], exact: bool, relation: Relation) -> str | None:
    """From which side a hook with these targets sees a relation; None if it does not."""
    if not targets:
        return "near"
    for target in targets:
        if isinstance(target, RelationSet):
            for member in target:
                side = relation.side_of(member)
                if side is not None:
                    return side
        elif isinstance(target, type):
            for side, model in (("near", relation.near_model), ("far", relation.far_model)):
                if model is target if exact else issubclass(model, target):
                    return side
        else:
            side = relation.side_of(target)
            if side is not None:
                return side
    return None
