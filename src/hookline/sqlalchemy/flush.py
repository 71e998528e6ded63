"""One flush: `before` and `check` on what is going to be written, `after` on what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.core.change import Change, chain
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.run import Steps, Subject, run_hook, run_phase
from hookline.errors import HookLoopError, PhaseError, ValidationError
from hookline.sqlalchemy.behind import edited_behind, rows_behind
from hookline.sqlalchemy.change import CHECKING, RowChange
from hookline.sqlalchemy.forecast import secondary_links
from hookline.sqlalchemy.links import Links
from hookline.sqlalchemy.load import load_values
from hookline.sqlalchemy.pending import Pending

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Flush:
    """The changes of one flush, from the first `before` to the last `after`.

    Args:
        host: The session.
        objects: Of a partial flush: the objects it is about.

    Attributes:
        rows: The changes of rows that are written, once `before` has settled them.
        links: The changes of links.
        objects: As given.
    """

    def __init__(self, host: SessionHost, objects: Any = None) -> None:
        self.host, self.objects = host, objects
        self.tx = host.open_transaction()
        self.plan = self.tx.book.plan
        self.concerns = host.schema.concerns(self.plan)
        self.rows: list[RowChange] = []
        self.links: list[LinkChange] = []
        self._links = Links(host, self.concerns)
        self._put_off: list[tuple[Hook, Subject]] = []

    # -- before the write

    def before(self) -> Steps[None]:
        """Run `before` in rounds until nothing new is pending, then `check`.

        Raises:
            ValidationError: All that these hooks refused.
            HookLoopError: They go on causing each other's writes.
        """
        refusals: list[ValidationError] = []
        pending = Pending(self.host, self.concerns, self.objects)
        try:
            yield from self._rounds(pending, refusals)
            self.rows, self.links = pending.settled()
            self._links = pending.links
            yield from self._check(pending, refusals)
        finally:
            pending.edits.release()
            self.tx.pending = []
        if refusals:
            raise ValidationError.gather(refusals)

    def _rounds(self, pending: Pending, refusals: list[ValidationError]) -> Steps[None]:
        tx, stir, edits = self.tx, self.host.stir, pending.edits
        stir.finish()
        while True:
            fresh = pending.fresh()
            for change in fresh:
                if change.depth > tx.book.max_depth:
                    raise _loop(change, tx.book.max_depth)
            if not any(self._has("before", change) for change in fresh):
                return
            tx.pending = list(pending.rows)
            stir.reset()
            edits.restless = False
            scope = self.host.scope()
            yield from run_phase(tx, self.plan, "before", fresh, scope, refusals=refusals, observer=stir)
            stir.finish()
            if not (edits or edits.restless or stir.origins or pending.rippling):
                return

    def _check(self, pending: Pending, refusals: list[ValidationError]) -> Steps[None]:
        checked: list[Change[Any]] = []
        for change in self.rows:
            if self._has("check", change):
                change.checked = dict(change.known_new())
                change.stage = CHECKING
                if change.event != "delete" and not pending.edits.watches(change.state):
                    pending.edits.watch(change.state)
                checked.append(change)
        checked.extend(link for link in self.links if self._has("check", link))
        if not checked:
            return
        pending.edits.locked = True
        sizes = self._sizes()
        for link in self.links:
            link.unsettle(True)
        scope = self.host.scope()
        yield from run_phase(self.tx, self.plan, "check", checked, scope, refusals=refusals, put_off=self._put_off)
        pending.edits.locked = False
        for link in self.links:
            link.unsettle(False)
        if self._sizes() != sizes:
            raise PhaseError(
                "A `check` hook added or deleted objects, or edited other ones, but no `before` hook would see that "
                "write. Move it to a `before`, `after` or `before_commit` hook."
            )

    def _has(self, phase: str, change: Change[Any]) -> bool:
        if isinstance(change, LinkChange):
            return bool(self.plan.for_link(phase, change.event, change.kind))
        concern = self.concerns.of(change.model)
        return concern is not None and phase in concern.phases

    def _sizes(self) -> tuple[int, int, int]:
        session = self.host.session
        return len(session._new), len(session._deleted), len(session.identity_map._modified)

    # -- after the write

    def written(self, context: UOWTransaction) -> None:
        """The statements were sent: keep the values, and look for what was written behind the hooks' backs."""
        control = self.tx.book.surroundings.control
        rows = self.rows
        gone = {change.identity for change in rows if change.event == "delete"}
        for change in rows:
            change.freeze()
            if gone and change.event == "insert" and change.identity in gone:
                change.switched = True
            if change.checked is not None and edited_behind(change):
                self._check_again(change)
        if len(context.states) != len(self.rows):
            for change in list(rows_behind(self.host, self.concerns, self.rows, context)):
                self.rows.append(change)
                self._check_again(change)
        self._complete()
        if self.concerns.links:
            foreseen = set(self.links)
            secondary = secondary_links(self.host.session, self.concerns, context, sent=True)
            self.links = self._links.written(self.rows, self.links, secondary)
            for link in self.links:
                if link not in foreseen:
                    self._check_link(link)
                for end in link.ends:
                    end.freeze()
        if control is not None:
            for one in (*self.rows, *self.links):
                one.control = control

    def _check_again(self, change: RowChange) -> None:
        for hook in self.plan.for_row("check", change.event, change.model):
            self._put_off.append((hook, change))

    def _check_link(self, link: LinkChange) -> None:
        for hook, side in self.plan.for_link("check", link.event, link.kind):
            self._put_off.append((hook, link.seen_from(side)))

    def after(self) -> Steps[None]:
        """Run the `check` hooks that had to wait, then `after`; keep the changes for the commit phases.

        Raises:
            ValidationError: What the late `check` hooks refused.
        """
        yield from self._late_checks()
        rows: list[Change[Any]] = [c for c in self.rows if c.followed and c.is_change]
        # A row that is deleted and inserted again by one flush is told of in that order; links likewise.
        first: list[Change[Any]] = [change for change in rows if change.event == "delete"]
        first += [link for link in self.links if link.event == "unlink"]
        rows.extend(self.links)
        if first:
            rows = first + [change for change in rows if change.event not in ("delete", "unlink")]
        self.tx.record(rows)
        stir = self.host.stir
        stir.reset()
        yield from run_phase(self.tx, self.plan, "after", rows, self.host.scope(), observer=stir)
        stir.finish()

    def _late_checks(self) -> Steps[None]:
        refusals: list[ValidationError] = []
        control = self.tx.book.surroundings.control
        for hook, subject in self._put_off:
            if control is None or control.permits(hook.category, hook.protected):
                changes = subject if isinstance(subject, list) else [subject]
                yield from run_hook(self.tx, hook, changes, self.host.scope(), refusals=refusals)
        if refusals:
            raise ValidationError.gather(refusals)

    def _complete(self) -> None:
        """Load the new values that only the database knows, and that may differ."""
        needs = [(c, c.key_tuple or (), names) for c in self.rows if c.event == "update" and (names := c.missing())]
        for change, values in load_values(self.host.session, needs):
            change.take_new(values)


def _loop(change: Change[Any], limit: int) -> HookLoopError:
    story = "\n".join(f"  {one.describe()}" + (f"   <- {one.cause}" if one.cause else "") for one in chain(change))
    return HookLoopError(
        f"Hooks go on causing each other's writes: {change.depth} causes in a chain, max_depth is {limit}. "
        f"The latest first:\n{story}\n"
        f"Give one of these hooks a condition that ends it, such as when=from_user() or when=changed('field')."
    )
