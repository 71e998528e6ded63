"""One statement with its hooks: `before` and `check` on what it is going to write, `after` on what it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.run import Steps, run_phase
from hookline.errors import PhaseError, ValidationError
from hookline.sqlalchemy.load import load_values
from hookline.sqlalchemy.pending import refusal
from hookline.sqlalchemy.statements.chunks import chunks
from hookline.sqlalchemy.statements.held import Held
from hookline.sqlalchemy.writing import Write

if TYPE_CHECKING:
    from hookline.sqlalchemy.attachment import Attachment
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.relations import SQLRelation
    from hookline.sqlalchemy.statements.change import StatementChange

_LATER: Final = ("after", "before_commit", "after_commit", "after_rollback", "durable")


class StatementWrite(Write):
    """The changes of one statement.

    Args:
        host: The session.
        door: How the statement came in, for `Change.door`.

    Attributes:
        held: The objects that the session holds of its rows.
        told: The rows that hooks were told of, or would have been, but for those that were let go.
        edited: Whether hooks edited any row.
    """

    rows: list[StatementChange]

    def __init__(self, host: SessionHost, door: str) -> None:
        super().__init__(host)
        self.door = door
        self.rows = []
        self.held = Held(host, self.tx)
        self.told: list[StatementChange] = []
        self.edited = False
        self._origin = host.origin

    def before(self, changes: list[StatementChange], links: Sequence[LinkChange] = ()) -> Steps[None]:
        """Run `before`, then `check`, on what a statement is going to write.

        Args:
            changes: Of rows.
            links: Of a secondary table; those of foreign keys follow from the rows.

        Raises:
            ValidationError: All that these hooks refused.
            HookLoopError: They go on causing each other's writes.
        """
        for link in links:
            link.caused_by(self._origin)
        yield from self.before_each(chunks(changes) if changes else [[]], links)

    def before_each(self, some: Iterable[list[StatementChange]], links: Sequence[LinkChange] = ()) -> Steps[None]:
        """The same, some rows at a time: one chunk is through `check` before the next one is asked for.

        A chunk that nothing needs later is let go when the next one comes.

        Args:
            some: Changes of rows.
            links: As of `before`; they go with the first chunk.

        Raises:
            ValidationError: As of `before`; no chunk is asked for after one that was refused.
        """
        loose: tuple[int, int] | None = None
        try:
            for changes in some:
                if loose is not None:
                    self._let_go(*loose)
                loose = len(self.told), len(self.rows)
                self.told += changes
                self._introduce(changes)
                rows, its_links = yield from self._rule(changes, links)
                self.rows += rows
                self.links += its_links
                if its_links or self.put_off or self._others or self.keeps(self._models(rows)):
                    loose = None
                links = ()
        finally:
            self.held.release()

    def _let_go(self, told: int, rows: int) -> None:
        """Of the last chunk, keep only those rows whose objects hooks may have seen, or which they edited."""
        count = len(self.told)
        self.told[told:] = [change for change in self.told[told:] if change.held is not None or change.foreseen]
        del self.rows[rows:]
        self.let_go += count - len(self.told)

    def _rule(
        self, changes: list[StatementChange], links: Sequence[LinkChange]
    ) -> Steps[tuple[list[StatementChange], list[LinkChange]]]:
        """Run the hooks; returns what is going to be written."""
        refusals: list[ValidationError] = []
        if any(self._ruled(changes, links, phase) for phase in ("before", "check")):
            self.held.find(changes)
        rows = [one for one in changes if (one.is_change if one.changed is None else one.changed)]
        if self._ruled(changes, links, "before"):
            yield from self._phase("before", rows, [*self._links_of(rows), *links], refusals)
            if self._take_edits(changes):
                self.edited = True
                rows = [change for change in changes if change.is_change]
        its_links = [*self._links_of(rows), *links]
        if self._ruled(rows, its_links, "check"):
            yield from self._check(rows, its_links, refusals)
        if refusals:
            raise ValidationError.gather(refusals)
        return rows, its_links

    def _take_edits(self, changes: list[StatementChange]) -> bool:
        edited = False
        for change in changes:
            if change.held is not None:
                change.take_edits()
            if change.foreseen and change.edits():
                edited = True
        return edited

    def _check(
        self, rows: list[StatementChange], links: list[LinkChange], refusals: list[ValidationError]
    ) -> Steps[None]:
        for change in rows:
            change.settle()
        sizes = self.pending_sizes()
        for link in links:
            link.unsettle(True)
        yield from self._phase("check", rows, links, refusals)
        for link in links:
            link.unsettle(False)
        if self.pending_sizes() != sizes:
            raise PhaseError(
                "A `check` hook added, deleted or edited objects, but no `before` hook would see that "
                "write. Move it to a `before`, `after` or `before_commit` hook."
            )

    def after(self) -> Steps[None]:
        """Run `after`, if anything is to be done with what was written."""
        if self.kept:
            yield from super().after()

    def written(self) -> None:
        """The statement was sent, and its rows are frozen: read what it computed, find their links again."""
        needs = [(c, c.key_tuple or (), sorted(c.unsettled - set(c.known_new()))) for c in self.rows if c.unsettled]
        for change, values in load_values(self.host.session, needs):
            change.take_new(values)
        secondary = [link for link in self.links if cast("SQLRelation", link.kind).kind == "secondary"]
        if self.concerns.links:
            self.links = [*self.found.of_rows(self.rows), *secondary]
            for link in self.links:
                for end in link.ends:
                    end.freeze()
        self.keep_control()

    @cached_property
    def kept(self) -> bool:
        """Whether anything is done with the changes once they are written."""
        return bool(self.links) or bool(self.put_off) or self.keeps(self._models(self.rows))

    def keeps(self, models: Iterable[type]) -> bool:
        """Whether anything is done with changes of these classes once they are written."""
        if self.host.attachment.capture is not None:
            return True
        for model in models:
            concern = self.concerns.of(model)
            if concern is not None and (
                concern.keys
                or not concern.phases.isdisjoint(_LATER)
                or any(issubclass(model, one) for one in self.plan.followed)
            ):
                return True
        return False

    @cached_property
    def _others(self) -> list[Attachment]:
        """Other rule books, whose hooks may edit the statement, so that everything has to be looked at again."""
        return self.host.attachment.others(self.host.session)

    def _introduce(self, changes: list[StatementChange]) -> None:
        asynchronous = self.host.asynchronous
        for model in self._models(changes):
            concern = self.concerns.of(model)
            if concern is not None and concern.asynchronous and not asynchronous:
                raise refusal(concern)
        if self._origin[0] is not None or self._origin[1] is not None:
            for change in changes:
                change.caused_by(self._origin)
            for change in changes[:1]:
                self.check_depth(change)
        unfollowed = {m for m in self._models(changes) if (con := self.concerns.of(m)) is None or con.interest is None}
        if unfollowed:
            for change in changes:
                change.followed = change.model not in unfollowed

    def _models(self, changes: Sequence[StatementChange]) -> set[type]:
        """The classes of changes; most statements are about rows of one."""
        if not changes:
            return set()
        first = changes[0].facts.mapper
        if len(changes) > 1 and first.polymorphic_on is not None:
            return {change.model for change in changes}
        return {first.class_}

    def _ruled(self, changes: Sequence[StatementChange], links: Sequence[LinkChange], phase: str) -> bool:
        models = self._models(changes)
        if any((concern := self.concerns.of(model)) is not None and phase in concern.phases for model in models):
            return True
        if any(self.has(phase, link) for link in links):
            return True
        return any(
            hook.phase == phase
            for model in models
            if (concern := self.concerns.of(model)) is not None
            for relation in concern.keys
            for hook in self.plan.link_hooks(relation)
        )

    def _links_of(self, changes: Sequence[StatementChange]) -> list[LinkChange]:
        return self.found.of_rows(changes) if self.concerns.links else []

    def _phase(
        self, phase: str, changes: Sequence[StatementChange], links: Sequence[LinkChange],
        refusals: list[ValidationError],
    ) -> Steps[None]:  # fmt: skip
        stir, scope = self.host.stir, self.host.scope()
        everything: list[Change[Any]] = [*changes, *links]
        before = self.tx.pending
        # As in a flush, a hook's query does not write what is pending: the statement comes first.
        with self.host.session.no_autoflush:
            for some in chunks(everything):
                self.tx.pending = some
                stir.reset()
                yield from run_phase(
                    self.tx, self.plan, phase, some, scope, refusals=refusals,
                    put_off=self.put_off if phase == "check" else None, observer=stir if phase == "before" else None,
                )  # fmt: skip
                stir.finish()
                if refusals:
                    break
        self.tx.pending = before

    def doubt(self) -> None:
        """Hooks of another rule book have changed the statement since: its rows are read again, and checked again."""
        for change in self.told:
            change.unsettled |= frozenset(change.facts.names).difference(change.facts.key_names)
            self.check_again(change)
        self.rows = self.told
        self.__dict__.pop("kept", None)

    def doubt_others(self) -> None:
        """Do so if hooks of another rule book may have edited what was sent."""
        for other in self._others:
            host = other.host_of(self.host.session)
            concerns = other.schema.concerns(other.book.plan if host is None else host.plan)
            known = (concerns.of(model) for model in self._models(self.told))
            if any(concern is not None and "before" in concern.phases for concern in known):
                self.doubt()
                return

    def give_up(self) -> None:
        """It is not sent, or it failed: objects forget the values that were going to be written."""
        self._forget(self.told)

    def synchronize(self) -> None:
        """It was sent: objects that hooks have seen, or whose rows they edited, load what was really written."""
        self._forget(change for change in self.told if change.held is not None or change.foreseen)

    def _forget(self, changes: Iterable[StatementChange]) -> None:
        session = self.host.session
        for change in changes:
            if change.event == "update":
                held = self.host.held(change.facts.mapper, change.stored_key)
                if held is not None:
                    names = {*change.touched, *(change.foreseen or ())} - change.elsewhere
                    session.expire(held, names)
