"""One flush: `before` and `check` on what is going to be written, `after` on what was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import attributes
from sqlalchemy.orm.unitofwork import UOWTransaction

from hookline.core.change import NOTHING, Change, chain
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.run import Steps, Subject, first_of, run_hook, run_phase
from hookline.errors import (
    AsyncHookError,
    HookLoopError,
    PhaseError,
    ReadOnlyError,
    UnhookedWriteWarning,
    ValidationError,
)
from hookline.sqlalchemy.change import CHECKING, RowChange
from hookline.sqlalchemy.concern import Concern
from hookline.sqlalchemy.defaults import fill_defaults
from hookline.sqlalchemy.facts import State, unloaded
from hookline.sqlalchemy.forecast import Forecast, forecast
from hookline.sqlalchemy.links import Links
from hookline.sqlalchemy.load import load_rows
from hookline.sqlalchemy.warn import warn
from hookline.sqlalchemy.watch import Watcher

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

Origin = tuple[Hook | None, Change[Any] | None]


class Flush:
    """The changes of one flush, from the first `before` to the last `after`.

    Attributes:
        rows: The changes of rows that are written, once `before` has settled them.
        links: The changes of links.
    """

    def __init__(self, host: SessionHost, objects: Any = None) -> None:
        self.host, self.objects = host, objects
        self.session, self.tx = host.session, host.open_transaction()
        self.plan = self.tx.book.plan
        self.concerns = host.schema.concerns(self.plan)
        self.rows: list[RowChange] = []
        self.links: list[LinkChange] = []
        self._changes: dict[State, RowChange] = {}
        self._announced: set[RowChange] = set()
        self._links = Links(host, self.concerns)
        self._watcher = Watcher(self._edited)
        self._edits: dict[State, tuple[dict[str, Any], Origin]] = {}
        self._own: tuple[int, set[State]] = (0, set())
        self._restless = False
        self._checking = False
        self._put_off: list[tuple[Hook, Subject]] = []
        self._caller: Origin = (self.tx.cause, first_of(self.tx.subject)) if self.tx.cause else host.caller

    # -- before the write

    def before(self) -> Steps[None]:
        """Run `before` in rounds until nothing new is pending, then `check`.

        Raises:
            ValidationError: All that these hooks refused.
        """
        refusals: list[ValidationError] = []
        try:
            outlook = yield from self._rounds(refusals)
            self._settle(outlook)
            yield from self._check(refusals)
        finally:
            self._watcher.release()
            self.tx.pending = []
        if refusals:
            raise ValidationError.gather(refusals)

    def _rounds(self, refusals: list[ValidationError]) -> Steps[Forecast]:
        tx, stir = self.tx, self.host.stir
        stir.finish()
        while True:
            outlook = forecast(self.session, self.concerns, self.objects)
            fresh = self._fresh(outlook)
            for change in fresh:
                if change.depth > tx.book.max_depth:
                    raise self._loop(change)
            if not any("before" in self._phases(change) for change in fresh):
                return outlook
            tx.pending = list(self._changes.values())
            stir.reset()
            self._restless = False
            scope = self.host.scope()
            yield from run_phase(tx, self.plan, "before", fresh, scope, refusals=refusals, observe=stir.observe)
            stir.finish()
            if not (self._restless or self._edits or stir.origins or self._rippling(outlook)):
                return outlook

    def _rippling(self, outlook: Forecast) -> bool:
        rows = (*outlook.inserts, *outlook.updates, *outlook.deletes)
        return any(concern.ripples for _, concern in rows)

    def _phases(self, change: Change[Any]) -> frozenset[str]:
        if isinstance(change, LinkChange):
            return frozenset(("before",)) if self.plan.for_link("before", change.event, change.kind) else frozenset()
        concern = self.concerns.of(change.model)
        return concern.phases if concern is not None else frozenset()

    def _fresh(self, outlook: Forecast) -> list[Change[Any]]:
        """The changes that no hook of this flush has seen yet."""
        fresh: list[Change[Any]] = []
        made: list[RowChange] = []
        for event, rows in (("insert", outlook.inserts), ("update", outlook.updates), ("delete", outlook.deletes)):
            for state, concern in rows:
                change = self._changes.get(state)
                if change is None or change.event != event:
                    change = self._changes[state] = self._make(event, state, concern)
                    made.append(change)
                synced = outlook.synced.get(state)
                if synced is not None:
                    change.synced = synced
        self._preload(made)
        watched = any(hook.phase == "before" for hook in self.plan.hooks)
        for change in made:
            if change.event == "insert" and (change.facts.defaults and {"before", "check"} & self._phases(change)):
                fill_defaults(change.facts, change.state)
            if watched and change.event != "delete":
                self._watcher.watch(change.state)
        for event, rows in (("insert", outlook.inserts), ("update", outlook.updates), ("delete", outlook.deletes)):
            for state, _ in rows:
                change = self._changes[state]
                if change not in self._announced and (event != "update" or change.fields):
                    self._announced.add(change)
                    fresh.append(change)
        fresh.extend(self._second_writes(fresh))
        if self.concerns.links:
            fresh.extend(self._links.fresh(outlook, self._changes))
        return fresh

    def _make(self, event: str, state: State, concern: Concern) -> RowChange:
        self._refuse_async(concern)
        change = RowChange(event, state, concern.facts, self.host)
        origins = self.host.stir.origins
        if origins or self._caller[0] is not None:
            self._attribute(change, origins.pop(state, self._caller if not self._announced else (None, None)))
        return change

    def _attribute(self, change: RowChange, origin: Origin) -> None:
        change.cause, change.parent = origin
        if origin[1] is not None:
            change.depth = origin[1].depth + 1
        elif origin[0] is not None:
            change.depth = 1

    def _refuse_async(self, concern: Concern) -> None:
        if concern.asynchronous and not self.host.asynchronous:
            names = ", ".join(str(hook) for hook in concern.asynchronous)
            raise AsyncHookError(
                f"{names} {'is' if len(concern.asynchronous) == 1 else 'are'} async, but this is a sync session, where "
                f"nothing can await. Write `def` instead of `async def`, or write through an AsyncSession."
            )

    def _preload(self, made: Iterable[RowChange]) -> None:
        """Load, in one query per class, the old values that the session does not have."""
        wanted: dict[Any, list[tuple[RowChange, list[str]]]] = {}
        for change in made:
            if change.event == "insert":
                continue
            state, facts = change.state, change.facts
            if change.event == "delete":
                names = unloaded(state, facts.names)
            else:
                touched = {**state.committed_state, **change.synced}
                names = unloaded(state, [name for name in touched if name in facts.columns])
                for name in facts.silent:
                    if name not in state.committed_state:
                        if name in state.dict:
                            change.take_loaded({name: state.dict[name]})
                        else:
                            names.append(name)
            if names and state.key is not None:
                wanted.setdefault(facts, []).append((change, names))
        for facts, needs in wanted.items():
            union = list(dict.fromkeys(name for _, names in needs for name in names))
            rows = load_rows(self.session, facts, [change.state.key[1] for change, _ in needs], union)
            for change, names in needs:
                row = rows.get(change.state.key[1], {})
                known = {name: row[name] for name in names if name in row}
                change.take_loaded(known)
                if change.event == "update":
                    change.commit_loaded(known)

    def _second_writes(self, fresh: list[Change[Any]]) -> list[RowChange]:
        """What hooks of other rows wrote to rows whose own write was announced before."""
        writes = []
        for state, (earlier, origin) in self._edits.items():
            first = self._changes.get(state)
            if first is None:
                continue
            first.elsewhere = NOTHING
            if first.event == "delete" or first in fresh:
                continue
            write = RowChange("update", state, first.facts, self.host)
            write.synced = first.synced
            write.earlier = {
                name: first.read_old(name) if value is attributes.NO_VALUE and first.event == "update"
                else None if value is attributes.NO_VALUE else value
                for name, value in earlier.items()
            }  # fmt: skip
            self._attribute(write, origin)
            if write.fields:
                writes.append(write)
        self._edits.clear()
        return writes

    def _edited(self, state: State, attribute: Any, previous: Any) -> None:
        """A hook edits a row of this flush: is it the row whose turn it is?"""
        hook, subject = self.tx.cause, self.tx.subject
        if self._checking:
            raise ReadOnlyError(
                f"{hook or 'A check hook'} assigns {attribute.key!r} of {state.class_.__name__}, but `check` sees values as "
                f"they will be written and cannot change them. Register it with @hooks.before(...) to edit."
            )
        if attribute is None:
            return
        if attribute.uses_objects:
            self._restless = True
        if hook is None or subject is None or self._is_own(subject, state):
            return
        if attribute.collection:
            return
        change = self._changes.get(state)
        if change is None:
            return
        earlier, _ = self._edits.setdefault(state, ({}, (hook, first_of(subject))))
        for name in change.facts.aliases.get(attribute.key, (attribute.key,)):
            if name in change.facts.columns:
                value = previous if name == attribute.key else state.dict.get(name, attributes.NO_VALUE)
                earlier.setdefault(name, value)
        change.elsewhere = earlier

    def _is_own(self, subject: Subject, state: State) -> bool:
        if not isinstance(subject, list):
            return isinstance(subject, RowChange) and subject.state is state
        if self._own[0] != id(subject):
            self._own = id(subject), {one.state for one in subject if isinstance(one, RowChange)}
        return state in self._own[1]

    def _loop(self, change: Change[Any]) -> HookLoopError:
        story = "\n".join(f"  {one.describe()}" + (f"   <- {one.cause}" if one.cause else "") for one in chain(change))
        return HookLoopError(
            f"Hooks go on causing each other's writes: {change.depth} causes in a chain, max_depth is "
            f"{self.tx.book.max_depth}. The latest first:\n{story}\n"
            f"Give one of these hooks a condition that ends it, such as when=from_user() or when=changed('field')."
        )

    def _settle(self, outlook: Forecast) -> None:
        """What is going to be written, each row once."""
        for event, rows in (("insert", outlook.inserts), ("update", outlook.updates), ("delete", outlook.deletes)):
            for state, _ in rows:
                change = self._changes[state]
                if change.event == event and (event != "update" or change.fields):
                    change.keep_expressions()
                    self.rows.append(change)
        if self.concerns.links:
            self.links = self._links.settled(outlook, self._changes)

    def _check(self, refusals: list[ValidationError]) -> Steps[None]:
        checked: list[Change[Any]] = []
        for change in self.rows:
            if "check" in self._phases(change):
                change.checked = dict(change.known_new())
                change.stage = CHECKING
                if change.event != "delete" and change.state not in self._watcher:
                    self._watcher.watch(change.state)
                checked.append(change)
        checked.extend(link for link in self.links if self.plan.for_link("check", link.event, link.kind))
        if checked:
            self._checking = True
            sizes = self._sizes()
            for link in self.links:
                link.unsettle(True)
            yield from run_phase(
                self.tx, self.plan, "check", checked, self.host.scope(), refusals=refusals, put_off=self._put_off
            )
            self._checking = False
            for link in self.links:
                link.unsettle(False)
            if self._sizes() != sizes:
                raise PhaseError(
                    "A `check` hook added or deleted objects, or edited other ones, but no `before` hook would see that write. "
                    "Move it to a `before`, `after` or `before_commit` hook."
                )

    def _sizes(self) -> tuple[int, int, int]:
        session = self.session
        return len(session._new), len(session._deleted), len(session.identity_map._modified)

    # -- after the write

    def written(self, context: UOWTransaction) -> None:
        """The statements were sent: keep the values, and look for what was written behind the hooks' backs."""
        control = self.tx.book.surroundings.control
        gone = {change.identity for change in self.rows if change.event == "delete"}
        for change in self.rows:
            change.freeze()
            change.control = control
            if gone and change.event == "insert" and change.identity in gone:
                change.switched = True
        for link in self.links:
            link.control = control
            for end in link.ends:
                end.freeze()  # type: ignore[attr-defined]
        if len(context.states) != len(self.rows) or any(change.checked is not None for change in self.rows):
            self._look_behind(context)

    def _look_behind(self, context: UOWTransaction) -> None:
        known = {change.state: change for change in self.rows}
        for state, (is_delete, list_only) in list(context.states.items()):
            concern = self.concerns.of(state.class_)
            if list_only or concern is None or concern.interest is None or state._deleted:
                continue
            change = known.get(state)
            if change is not None:
                if change.checked is not None and self._edited_behind(change):
                    self._recheck(change)
                continue
            event = "delete" if is_delete else "insert" if state in self.session._new else "update"
            change = RowChange(event, state, concern.facts, self.host)
            change.freeze()
            if event == "update" and not change.fields:
                continue
            self.rows.append(change)
            self._recheck(change)
            skipped = self.plan.for_row("before", event, change.model)
            if skipped:
                warn(
                    f"{change!r} was written by another listener of this flush, after the `before` hooks had run; "
                    f"{', '.join(str(hook) for hook in skipped)} did not see it. `check` and `after` do. "
                    f"Register that listener before attach(), or make it a hook.",
                    UnhookedWriteWarning,
                )

    def _edited_behind(self, change: RowChange) -> bool:
        checked, now = change.checked or {}, change.known_new()
        return any(name in now and not change.same(name, value, now[name]) for name, value in checked.items()
                   if name not in change.facts.silent and not (value is None and name in change.facts.filled)
                   and name not in change.synced)  # fmt: skip

    def _recheck(self, change: RowChange) -> None:
        for hook in self.plan.for_row("check", change.event, change.model):
            subject: Subject = [change] if hook.arguments.set_at_a_time else change
            self._put_off.append((hook, subject))

    def after(self) -> Steps[None]:
        """Run the `check` hooks that had to wait, then `after`; keep the changes for the commit phases.

        Raises:
            ValidationError: What the late `check` hooks refused.
        """
        self._complete()
        refusals: list[ValidationError] = []
        control = self.tx.book.surroundings.control
        for hook, subject in self._put_off:
            if control is None or control.permits(hook.category, hook.protected):
                changes = subject if isinstance(subject, list) else [subject]
                yield from run_hook(self.tx, hook, changes, self.host.scope(), refusals=refusals)
        if refusals:
            raise ValidationError.gather(refusals)
        rows = [c for c in self.rows if c.event != "update" or c.fields]
        followed = [c for c in rows if (one := self.concerns.of(c.model)) is not None and one.interest is not None]
        deletes_first = sorted(followed, key=lambda change: change.event != "delete")
        self.tx.record([*deletes_first, *sorted(self.links, key=lambda link: link.event != "unlink")])
        self.host.stir.reset()
        yield from run_phase(
            self.tx, self.plan, "after", [*followed, *self.links], self.host.scope(), observe=self.host.stir.observe
        )
        self.host.stir.finish()

    def _complete(self) -> None:
        """Load, in one query per class, the new values that only the database knows and that may differ."""
        wanted: dict[Any, list[tuple[RowChange, list[str]]]] = {}
        for change in self.rows:
            if change.event == "update" and (names := change.missing()):
                wanted.setdefault(change.facts, []).append((change, names))
        for facts, needs in wanted.items():
            union = list(dict.fromkeys(name for _, names in needs for name in names))
            rows = load_rows(self.session, facts, [c.key_tuple for c, _ in needs if c.key_tuple], union)
            for change, _ in needs:
                change.take_new(rows.get(change.key_tuple or (), {}))
