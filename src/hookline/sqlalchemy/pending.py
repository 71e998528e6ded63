"""The changes of a flush that has not sent anything yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.errors import AsyncHookError
from hookline.sqlalchemy.change import NO_VALUE, RowChange
from hookline.sqlalchemy.concern import Concern, Concerns
from hookline.sqlalchemy.defaults import fill_defaults
from hookline.sqlalchemy.edits import Edits, Origin
from hookline.sqlalchemy.facts import State, unloaded
from hookline.sqlalchemy.forecast import Forecast, forecast
from hookline.sqlalchemy.links import Links
from hookline.sqlalchemy.load import Key, load_values

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Pending:
    """Makes a change of each row and link that is going to be written, and tells which of them are new.

    Args:
        host: The session.
        concerns: What the rule book wants.
        objects: Of a partial flush: the objects it is about.

    Attributes:
        edits: What hooks edit.
        links: Finds the links.
        caller: Whose writes these are, where nobody was seen to make them pending.
    """

    def __init__(self, host: SessionHost, concerns: Concerns, objects: Any) -> None:
        self.host, self.concerns, self._objects = host, concerns, objects
        self._changes: dict[State, RowChange] = {}
        self.links = Links(host, concerns)
        self._outlook = Forecast()
        self._announced = False
        tx = host.open_transaction()
        self.edits = Edits(tx, self._changes)
        self.caller: Origin = host.origin
        self._watched = concerns.plan.has_phase("before")

    @property
    def rows(self) -> list[RowChange]:
        """The changes of rows so far."""
        return list(self._changes.values())

    @property
    def rippling(self) -> bool:
        """Whether any of the rows may have others written along relationships."""
        outlook = self._outlook
        return any(one.ripples for rows in (outlook.inserts, outlook.updates, outlook.deletes) for _, one in rows)

    def fresh(self) -> list[Change[Any]]:
        """Look at the session again: the changes that were not there, or not told of, before."""
        outlook = self._outlook = forecast(self.host.session, self.concerns, self._objects)
        made: list[tuple[RowChange, Concern]] = []
        told: list[RowChange] = []
        changes, make = self._changes, self._make
        for event, rows in outlook.by_event():
            for state, concern in rows:
                change = changes.get(state)
                if change is None or change.event != event:
                    change = changes[state] = make(event, state, concern)
                    made.append((change, concern))
                if not change.announced:
                    told.append(change)
        for state, synced in outlook.synced.items():
            if state in changes:
                changes[state].synced = synced
        self._prepare(made)
        fresh: list[Change[Any]] = []
        for change in told:
            if change.is_change:
                change.announced = True
                fresh.append(change)
        self._announced = True
        fresh.extend(self._second_writes())
        if self.concerns.links:
            fresh.extend(self.links.fresh(outlook, changes))
        return fresh

    def settled(self) -> tuple[list[RowChange], list[LinkChange]]:
        """What is going to be written, as of the last look: each row and each link once."""
        rows: list[RowChange] = []
        for event, some in self._outlook.by_event():
            for state, _ in some:
                change = self._changes[state]
                if change.is_change:
                    if event == "update":
                        change.keep_expressions()
                    rows.append(change)
        updated = Counter(change.facts for change in rows if change.event == "update" and change.facts.called)
        for change in rows if updated else ():
            if change.event == "update" and updated[change.facts] > 1:
                change.distrust(change.facts.called)
        links = self.links.settled(self._outlook, self._changes) if self.concerns.links else []
        return rows, links

    def _make(self, event: str, state: State, concern: Concern) -> RowChange:
        if concern.asynchronous and not self.host.asynchronous:
            raise refusal(concern)
        change = RowChange(event, state, concern.facts, self.host)
        if concern.interest is None:
            change.followed = False
        origins = self.host.stir.origins
        if origins or self.caller[0] is not None:
            change.caused_by(origins.pop(state, (None, None) if self._announced else self.caller))
        return change

    def _prepare(self, made: list[tuple[RowChange, Concern]]) -> None:
        """Get old values that the session does not have and defaults that Python computes; watch for edits."""
        watch = self.edits.watch
        stored: list[RowChange] = []
        for change, concern in made:
            if change.event == "insert":
                if concern.ruled and change.facts.defaults:
                    fill_defaults(change.facts, change.state)
            else:
                stored.append(change)
            if self._watched and change.event != "delete":
                watch(change.state)
        if stored:
            for change, values in load_values(self.host.session, _needs(stored)):
                change.take_loaded(values)
                if change.event == "update":
                    change.commit_loaded(values)

    def _second_writes(self) -> Iterator[RowChange]:
        """What hooks of other rows wrote to rows whose own write was told of before."""
        for first, earlier, origin in self.edits.take_elsewhere():
            if first.event == "delete" or not first.announced:
                continue
            write = RowChange("update", first.state, first.facts, self.host)
            write.synced = first.synced
            write.earlier = {
                name: value if value is not NO_VALUE else first.read_old(name) if first.event == "update" else None
                for name, value in earlier.items()
            }
            write.caused_by(origin)
            if write.fields:
                yield write


def _needs(stored: Iterable[RowChange]) -> Iterator[tuple[RowChange, Key, Sequence[str]]]:
    """The old values that the session does not have."""
    for change in stored:
        state, facts = change.state, change.facts
        if change.event == "delete":
            names = unloaded(state, facts.names)
        else:
            columns, committed = facts.columns, state.committed_state
            names = [name for name, value in committed.items() if value is NO_VALUE and name in columns]
            if change.synced:
                names += unloaded(state, [name for name in change.synced if name in columns and name not in committed])
            for name in facts.silent:
                if name not in state.committed_state:
                    if name in state.dict:
                        change.take_loaded({name: state.dict[name]})
                    else:
                        names.append(name)
        yield change, change.stored_key, names


def refusal(concern: Concern) -> AsyncHookError:
    """The error about async hooks in a sync session."""
    names = ", ".join(str(hook) for hook in concern.asynchronous)
    return AsyncHookError(
        f"{names} {'is' if len(concern.asynchronous) == 1 else 'are'} async, but this is a sync session, where "
        f"nothing can await. Write `def` instead of `async def`, or write through an AsyncSession."
    )
