"""One flush: `before` and `check` on what is going to be written, `after` on what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.core.change import Change
from hookline.core.run import Steps, run_phase
from hookline.errors import PhaseError, ValidationError
from hookline.sqlalchemy.behind import edited_behind, rows_behind
from hookline.sqlalchemy.change import RowChange
from hookline.sqlalchemy.forecast import secondary_links
from hookline.sqlalchemy.load import load_values
from hookline.sqlalchemy.mapped import CHECKING
from hookline.sqlalchemy.pending import Pending
from hookline.sqlalchemy.writing import Write

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Flush(Write):
    """The changes of one flush.

    Args:
        host: The session.
        objects: Of a partial flush: the objects it is about.

    Attributes:
        objects: As given.
    """

    rows: list[RowChange]

    def __init__(self, host: SessionHost, objects: Any = None) -> None:
        super().__init__(host)
        self.objects = objects
        self.rows = []

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
            self.found = pending.links
            yield from self._check(pending, refusals)
        finally:
            pending.edits.release()
            self.tx.pending = []
        if refusals:
            raise ValidationError.gather(refusals)

    def _rounds(self, pending: Pending, refusals: list[ValidationError]) -> Steps[None]:
        tx, stir, edits = self.tx, self.host.stir, pending.edits
        stir.finish(*pending.caller)
        while True:
            fresh = pending.fresh()
            for change in fresh:
                self.check_depth(change)
            if not (self.plan.has_phase("before") and any(self.has("before", change) for change in fresh)):
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
        if not self.plan.has_phase("check"):
            return
        checked: list[Change[Any]] = []
        for change in self.rows:
            if self.has("check", change):
                change.checked = dict(change.known_new())
                change.stage = CHECKING
                if change.event != "delete" and not pending.edits.watches(change.state):
                    pending.edits.watch(change.state)
                checked.append(change)
        checked.extend(link for link in self.links if self.has("check", link))
        if not checked:
            return
        pending.edits.locked = True
        sizes = self.pending_sizes()
        for link in self.links:
            link.unsettle(True)
        scope = self.host.scope()
        yield from run_phase(self.tx, self.plan, "check", checked, scope, refusals=refusals, put_off=self.put_off)
        pending.edits.locked = False
        for link in self.links:
            link.unsettle(False)
        if self.pending_sizes() != sizes:
            raise PhaseError(
                "A `check` hook added or deleted objects, or edited other ones, but no `before` hook would see that "
                "write. Move it to a `before`, `after` or `before_commit` hook."
            )

    # -- after the write

    def written(self, context: UOWTransaction) -> None:
        """The statements were sent: keep the values, and look for what was written behind the hooks' backs."""
        rows = self.rows
        gone = {change.identity for change in rows if change.event == "delete"}
        for change in rows:
            change.freeze()
            if gone and change.event == "insert" and change.identity in gone:
                change.switched = True
            if change.checked is not None and edited_behind(change):
                self.check_again(change)
        if len(context.states) != len(self.rows):
            for change in list(rows_behind(self.host, self.concerns, self.rows, context)):
                self.rows.append(change)
                self.check_again(change)
        self._complete()
        if self.concerns.links:
            foreseen = set(self.links)
            secondary = secondary_links(self.host.session, self.concerns, context, sent=True)
            self.links = self.found.written(self.rows, self.links, secondary)
            for link in self.links:
                if link not in foreseen:
                    self.check_link(link)
                for end in link.ends:
                    end.freeze()
        self.keep_control()

    def _complete(self) -> None:
        """Load the new values that only the database knows, and that may differ."""
        needs = [(c, c.key_tuple or (), names) for c in self.rows if c.event == "update" and (names := c.missing())]
        for change, values in load_values(self.host.session, needs):
            change.take_new(values)
