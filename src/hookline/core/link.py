"""One link between two rows, set or unset."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from hookline.core.change import NOTHING, Change

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.core.transaction import Transaction


class Relation(Protocol):
    """A relation between two models, whichever attributes, columns or sides name it.

    An adapter brings it: it is hashable, equal for all names of the same relation, and knows its two ends.
    The *near* end owns the attribute or the foreign key that the relation is usually named by.
    """

    near_model: type
    far_model: type

    def side_of(self, target: object) -> str | None:
        """``"near"`` or ``"far"`` if the target names this relation from that side; None if it does not."""

    def name_from(self, side: str) -> str:
        """The attribute that names the relation on that side."""


class End(Protocol):
    """One of the two rows that a link ties together."""

    @property
    def model(self) -> type:
        """The class of the row."""

    @property
    def entity(self) -> Any:
        """The object."""

    @property
    def key(self) -> Any:
        """Its primary key; None if not known yet."""

    @property
    def identity(self) -> Hashable:
        """What tells it from all others."""

    def freeze(self) -> None:
        """It was written: keep what identifies the row."""

    def find(self) -> None:
        """Look the object up now, for hooks that cannot wait for it."""

    def unsettle(self, yes: bool) -> None:
        """Whether a key that is not known yet must not be read as None."""

    def moved(self, identity: Hashable) -> End:
        """The same row under another identity: its key has changed since."""


class LinkChange(Change[Any]):
    """One link set or unset, as seen from the side that the hook named.

    Attributes:
        event: ``"link"`` or ``"unlink"``.
        model: The class of the subject.
        relation: The name of the attribute that the hook named.
        side: ``"near"`` or ``"far"``: from where the link is seen.
    """

    def __init__(
        self,
        event: str,
        kind: Relation,
        near: End,
        far: End,
        *,
        door: str = "unit of work",
        tx: Transaction | None = None,
        cause: Hook | None = None,
        parent: Change[Any] | None = None,
        depth: int = 0,
        side: str = "near",
    ) -> None:
        self.event, self.kind, self.side, self.door = event, kind, side, door
        if tx is not None:
            self.tx = tx
        self.cause, self.parent, self.depth, self.control = cause, parent, depth, None
        self._subject, self._object = (near, far) if side == "near" else (far, near)
        self.model = self._subject.model
        self.relation = kind.name_from(side)
        self._turned: LinkChange | None = None

    @property
    def group(self) -> Any:
        return self.kind

    def seen_from(self, side: str) -> LinkChange:
        """The same link with the subject on that side."""
        if side == self.side:
            return self
        if self._turned is None:
            near, far = self.ends
            self._turned = LinkChange(
                self.event, self.kind, near, far, door=self.door, tx=self.tx, cause=self.cause,
                parent=self.parent, depth=self.depth, side=side,
            )  # fmt: skip
            self._turned.control = self.control
            self._turned._turned = self
        return self._turned

    def moved(self, moves: Mapping[Hashable, Hashable]) -> LinkChange:
        """The same link between rows whose keys have changed since.

        Args:
            moves: New identities by old ones.
        """
        near, far = (end.moved(moves[end.identity]) if end.identity in moves else end for end in self.ends)
        moved = LinkChange(
            self.event, self.kind, near, far, door=self.door, tx=self.tx, cause=self.cause, parent=self.parent,
            depth=self.depth,
        )  # fmt: skip
        moved.control = self.control
        return moved

    @property
    def ends(self) -> tuple[End, End]:
        """The near and the far end."""
        return (self._subject, self._object) if self.side == "near" else (self._object, self._subject)

    def unsettle(self, yes: bool) -> None:
        """For the time of ``check``: a key that is not known yet must not be read as None."""
        self._subject.unsettle(yes)
        self._object.unsettle(yes)

    @property
    def subject(self) -> Any:
        """The owner of the attribute that the hook named."""
        return self._subject.entity

    @property
    def object(self) -> Any:
        """What the subject is linked to."""
        return self._object.entity

    @property
    def subject_key(self) -> Any:
        """The subject's primary key."""
        return self._subject.key

    @property
    def object_key(self) -> Any:
        """The object's primary key."""
        return self._object.key

    @property
    def entity(self) -> Any:
        """The subject."""
        return self._subject.entity

    @property
    def key(self) -> Any:
        """The keys of subject and object."""
        return self._subject.key, self._object.key

    @property
    def old(self) -> Mapping[str, Any]:
        """The object's key by the relation's name, if the link was unset."""
        return {self.relation: self.object_key} if self.event == "unlink" else NOTHING

    @property
    def new(self) -> Any:
        """The object's key by the relation's name, if the link was set."""
        return {self.relation: self.object_key} if self.event == "link" else NOTHING

    @property
    def fields(self) -> frozenset[str]:
        return frozenset((self.relation,))

    @property
    def identity(self) -> Hashable:
        near, far = self.ends
        return self.kind, near.identity, far.identity

    @property
    def identity_before(self) -> Hashable:
        return self.identity

    def __repr__(self) -> str:
        return f"<{self.event} {self.describe_link()}>"

    def describe(self) -> str:
        return f"{self.event} {self.describe_link()}"

    def describe_link(self) -> str:
        """Subject, relation and object, by name and key."""
        return f"{self._subject} -{self.relation}-> {self._object}"
