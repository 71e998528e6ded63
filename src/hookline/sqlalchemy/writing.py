"""One write with its hooks: what a flush and a statement have in common."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hookline.core.change import Change, chain
from hookline.core.family import by_row
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.run import Steps, Subject, run_hook, run_phase
from hookline.errors import HookLoopError, ValidationError
from hookline.sqlalchemy.links import Links

if TYPE_CHECKING:
    from hookline.core.plan import Plan
    from hookline.sqlalchemy.concern import Concerns
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.mapped import MappedChange


class Write:
    """The changes of one flush or statement, from the first `before` to the last `after`.

    Args:
        host: The session.

    Attributes:
        rows: The changes of rows that are written, once `before` has settled them.
        links: The changes of links.
        let_go: How many changes are not among them any more, because nothing needs them.
    """

    let_go = 0

    def __init__(self, host: SessionHost) -> None:
        self.host = host
        self.tx = host.open_transaction()
        self.rows: Sequence[MappedChange] = []
        self.links: list[LinkChange] = []
        self.put_off: list[tuple[Hook, Subject]] = []

    @cached_property
    def plan(self) -> Plan:
        """The hooks that it goes on with; asked for by what is written, not by what is only read again."""
        return self.host.plan

    @cached_property
    def concerns(self) -> Concerns:
        """What these hooks concern."""
        return self.host.schema.concerns(self.plan)

    @cached_property
    def found(self) -> Links:
        """The links of its rows."""
        return Links(self.host, self.concerns)

    def has(self, phase: str, change: Change[Any]) -> bool:
        """Whether a change has hooks in a phase."""
        if isinstance(change, LinkChange):
            return bool(self.plan.for_link(phase, change.event, change.kind))
        concern = self.concerns.of(change.model)
        return concern is not None and phase in concern.phases

    def pending_sizes(self) -> tuple[int, int, int]:
        """How much is pending in the session: as long as it stays, hooks that must not write have not."""
        return tuple(map(len, self.host.stir.pending()))  # type: ignore[return-value]

    def keep_control(self) -> None:
        """The categories that are switched off now are so in the commit phases, too."""
        control = self.tx.book.surroundings.control
        if control is not None:
            for one in (*self.rows, *self.links):
                one.control = control

    def check_depth(self, change: Change[Any]) -> None:
        """Refuse a chain of causes that has become too long."""
        limit = self.tx.book.max_depth
        if change.depth > limit:
            told = (f"  {one.describe()}" + (f"   <- {one.cause}" if one.cause else "") for one in chain(change))
            story = "\n".join(told)
            raise HookLoopError(
                f"Hooks go on causing each other's writes: {change.depth} causes in a chain, max_depth is {limit}. "
                f"The latest first:\n{story}\n"
                f"Give one of these hooks a condition that ends it, such as when=from_user() or when=changed('field')."
            )

    def check_again(self, change: MappedChange) -> None:
        """Let the `check` hooks of a row run after the write: it is not what they were shown."""
        for hook, _ in by_row((hook, [change]) for hook in self.plan.for_row("check", change.event, change.model)):
            self.put_off.append((hook, change))

    def check_link(self, link: LinkChange) -> None:
        """Likewise for a link that was not foreseen."""
        for hook, side in self.plan.for_link("check", link.event, link.kind):
            self.put_off.append((hook, link.seen_from(side)))

    def give_up(self) -> None:
        """It is not sent, or it failed."""

    def after(self) -> Steps[None]:
        """Run the `check` hooks that had to wait, then `after`; keep the changes for the commit phases.

        Raises:
            ValidationError: What the late `check` hooks refused.
        """
        yield from self._late_checks()
        rows = self.keep()
        stir = self.host.stir
        stir.reset()
        yield from run_phase(self.tx, self.plan, "after", rows, self.host.scope(), observer=stir)
        stir.finish()

    def keep(self) -> list[Change[Any]]:
        """Keep the changes for the commit phases, in the order in which they are told."""
        if self.host.attachment.capture is not None:
            number = len(self.tx.steps)
            self.host.unfollowed.extend((number, change) for change in self.rows if not change.followed)
        rows: list[Change[Any]] = [c for c in self.rows if c.followed and c.is_change]
        # A row that is deleted and inserted again by one flush is told of in that order; links likewise.
        first: list[Change[Any]] = [change for change in rows if change.event == "delete"]
        first += [link for link in self.links if link.event == "unlink"]
        rows.extend(self.links)
        if first:
            rows = first + [change for change in rows if change.event not in ("delete", "unlink")]
        self.tx.record(rows, self._moves() if self.concerns.links else {})
        return rows

    def _moves(self) -> dict[Hashable, Hashable]:
        """The rows that hooks do not follow, but perhaps their links, and whose keys change."""
        unfollowed = (change for change in self.rows if not change.followed and change.event == "update")
        pairs = ((change.identity_before, change.identity) for change in unfollowed)
        return {before: after for before, after in pairs if before != after}

    def _late_checks(self) -> Steps[None]:
        refusals: list[ValidationError] = []
        control = self.tx.book.surroundings.control
        for hook, subject in self.put_off:
            if control is None or control.permits(hook.category, hook.protected):
                changes = subject if isinstance(subject, list) else [subject]
                yield from run_hook(self.tx, hook, changes, self.host.scope(), refusals=refusals)
        if refusals:
            raise ValidationError.gather(refusals)
