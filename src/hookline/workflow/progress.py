"""The way of one object through its workflow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, object_session

from hookline.core.step import StepChange
from hookline.errors import ChoiceError, NotAvailableError, ProgressConflictError, WorkflowStoreError, near
from hookline.workflow.allowed import allowing
from hookline.workflow.callbacks import Callbacks
from hookline.workflow.definition import Definition, Rule
from hookline.workflow.entries import APPROVED, CANCELLED, PENDING, RESTS, Entry
from hookline.workflow.jumping import Jump, jump
from hookline.workflow.starting import waiting, write_rows

if TYPE_CHECKING:
    from hookline.workflow.users import Actor
    from hookline.workflow.workflow import Workflow


class _Waiting(NamedTuple):
    """An approval that waits, as it was read.

    Attributes:
        entry: The approval.
        rule: Its place in the definition.
        iteration: That of the state that its transition leads to.
    """

    entry: Entry
    rule: Rule
    iteration: int


class Progress(Callbacks):
    """The way of one object; ``workflow.of(entity)`` gives it.

    Each question asks the database. From async code: ``await session.run_sync(lambda _: workflow.of(box).history)``.

    Args:
        workflow: The workflow.
        entity: The object.

    Raises:
        WorkflowStoreError: It is none of the workflow's model, or in no session.

    Example:
        >>> parcel = session.get(Parcel, 1)
        >>> way = shipping.of(parcel)
        >>> way.state, way.available_states(desk)
        ('new', ['sent'])
        >>> entry = way.approve(desk)
        >>> parcel.status, entry.by, way.on_final_state
        ('sent', '1', False)
    """

    def __init__(self, workflow: Workflow, entity: Any) -> None:
        if not isinstance(entity, workflow.model):
            raise WorkflowStoreError(f"{workflow!r} is about {workflow.model.__name__} objects, not about {entity!r}.")
        self._flow, self._entity = workflow, entity

    def __repr__(self) -> str:
        return f"<{self._flow.name} of {self._entity!r}>"

    @property
    def _session(self) -> Session:
        session = object_session(self._entity)
        if session is None:
            raise WorkflowStoreError(f"{self._entity!r} is in no session, so nothing can be asked. Add it to one.")
        if self._key is None:
            session.flush()
        return session

    @property
    def _key(self) -> tuple[Any, ...] | None:
        return sa.inspect(self._entity).identity  # type: ignore[no-any-return]

    def _mine(self, steps: Any) -> list[Any]:
        key = self._key
        assert key is not None
        return [steps.c[column.name] == value for column, value in zip(self._flow.tables.key, key, strict=True)]

    # -- where it is

    @property
    def state(self) -> Any:
        """The state, as the object has it."""
        return getattr(self._entity, self._flow.field)

    @property
    def on_initial_state(self) -> bool:
        """Whether it is in the state in which objects begin."""
        return self._flow.values.text(self.state) == self.definition.initial

    @property
    def on_final_state(self) -> bool:
        """Whether no transition leaves its state."""
        return self._flow.values.text(self.state) in self.definition.final_states

    @property
    def definition(self) -> Definition:
        """The definition that it goes by."""
        session, steps = self._session, self._flow.tables.steps
        connection = self._flow.connection(session)
        last = sa.select(steps.c.version).where(*self._mine(steps)).order_by(steps.c.id.desc()).limit(1)
        version = connection.scalar(last)
        if version is None:
            return self._flow.versions.current(connection)[1]
        return self._flow.versions.get(connection, version)

    @property
    def history(self) -> list[Entry]:
        """What was approved, cancelled or jumped so far, in order."""
        return [entry for entry in self._entries() if entry.status not in (PENDING, RESTS)]

    @property
    def recent_approval(self) -> Entry | None:
        """The approval that was given last; None if none was."""
        steps = self._flow.tables.steps
        return next(self._entries(steps.c.status == APPROVED, last=True), None)

    def _entries(self, *where: Any, last: bool = False) -> Iterator[Entry]:
        session, steps = self._session, self._flow.tables.steps
        connection = self._flow.connection(session)
        query = sa.select(steps).where(*self._mine(steps), *where).order_by(steps.c.id.desc() if last else steps.c.id)
        for row in connection.execute(query.limit(1) if last else query).all():
            definition = self._flow.versions.get(connection, row.version)
            rule = None if row.rule is None else definition.rules[row.rule]
            yield self._entry(row, rule)

    def _entry(self, row: Any, rule: Rule | None) -> Entry:
        value = self._flow.values.value
        return Entry(
            row.id, value(row.source), value(row.destination), row.status, None if rule is None else rule.approval,
            row.position, row.iteration, row.completes, row.by, _in_utc(row.at), row.version,
        )  # fmt: skip

    # -- what is next

    @property
    def next_approvals(self) -> list[Entry]:
        """What is still asked for by the transitions that leave its state; those that wait for others have no id."""
        entries = []
        for one in self._waiting():
            entries.append(one.entry)
            approvals = one.rule.transition.approvals
            for position in range(one.rule.position + 1, len(approvals)):
                later = replace(one.entry, id=None, approval=approvals[position], position=position, at=None)
                entries.append(later)
        return entries

    def available_approvals(self, user: Any, to: Any = None) -> list[Entry]:
        """The approvals that a user may give now.

        Args:
            user: Who.
            to: Only those of the transition to this state.
        """
        return [one.entry for one in self._available(self._waiting(), self._flow.actor(user), to)]

    def available_states(self, user: Any) -> list[Any]:
        """The states to which a user may approve a transition now."""
        return [entry.destination for entry in self.available_approvals(user)]

    def _available(self, several: Sequence[_Waiting], actor: Actor, to: Any) -> list[_Waiting]:
        wanted = None if to is None else self._flow.values.same(to)
        return [
            one
            for one in several
            if actor.meets(one.rule.approval) and (wanted is None or one.entry.destination == wanted)
        ]

    def _waiting(self, *, locked: bool = False) -> list[_Waiting]:
        """What waits for somebody's approval, in one query."""
        session, steps, versions = self._session, self._flow.tables.steps, self._flow.versions
        connection = self._flow.connection(session)
        others, kept = steps.alias(), self._flow.tables.definitions
        again = sa.select(sa.func.coalesce(sa.func.max(others.c.iteration) + 1, 0)).where(
            *self._mine(others), others.c.source == steps.c.destination, others.c.rule.is_not(None)
        )
        text = sa.select(kept.c.definition).where(kept.c.version == steps.c.version)
        unknown = sa.case((steps.c.version.in_(sorted(versions.known)), None), else_=text.scalar_subquery())
        query = (
            sa.select(steps, again.scalar_subquery().label("again"), unknown.label("text"))
            .where(*self._mine(steps), steps.c.status == PENDING)
            .order_by(steps.c.id)
        )
        if locked:
            query = query.with_for_update(of=steps)
        found = []
        for row in connection.execute(query).all():
            if row.version not in versions.known and row.text is not None:
                versions.learn(row.version, row.text)
            rule = versions.get(connection, row.version).rules[row.rule]
            found.append(_Waiting(self._entry(row, rule), rule, row.again))
        return found

    # -- going on

    def approve(self, user: Any, to: Any = None) -> Entry:
        """Give an approval; if it is the last one of its transition, the transition happens.

        At most four statements: what waits is read and locked, the approval is written and what it makes impossible is
        cancelled, what is asked next is written, and the state.

        Args:
            user: Who gives it.
            to: The state that its transition leads to; needed if the user may approve several.

        Returns:
            The approval.

        Raises:
            NotAvailableError: There is nothing that this user may approve; it says what is asked for.
            ChoiceError: There are several, and ``to`` was not given.
            ProgressConflictError: Somebody else has moved the object on meanwhile. Nothing was written: refresh it.
            ValidationError: A hook refused.
        """
        flow, session, actor = self._flow, self._session, self._flow.actor(user)
        adapter = flow.adapter_of(session)
        session.flush()
        with self._conflicts():
            several = self._waiting(locked=True)
        self._check_fresh(several)
        chosen = self._chosen(several, actor, to)
        rule = chosen.rule
        entry = replace(chosen.entry, status=APPROVED, completes=rule.last, by=actor.id, at=None)
        events = ["approve"]
        if rule.last:
            events.append("transition")
            if rule.transition.destination in flow.versions.known[entry.version].final_states:
                events.append("complete")
        row = adapter.row(session, self._entity)
        assert row is not None
        steps = [
            StepChange(event, flow, row, entry.source, entry.destination, approval=entry, by=actor.id, user=user)
            for event in events
        ]
        with self._conflicts():
            adapter.happen(session, steps, lambda: self._write(session, several, chosen, actor))
        return entry

    def _chosen(self, several: Sequence[_Waiting], actor: Actor, to: Any) -> _Waiting:
        if not several:
            self._check_unmoved()
        found = self._available(several, actor, to)
        if len(found) == 1:
            return found[0]
        if found:
            ways = ", ".join(repr(one.entry.destination) for one in found)
            raise ChoiceError(f"{self._entity!r} can go to {ways}. Say which: approve(user, to=...).")
        asked = [one for one in several if to is None or one.entry.destination == self._flow.values.same(to)]
        if not several:
            why = f"it waits for nobody in {self.state!r}"
        elif not asked:
            ends = [str(one.entry.destination) for one in several]
            why = f"no transition leads from {self.state!r} to {to!r}.{near(str(to), ends)}".rstrip(".")
        else:
            needs = "; ".join(f"{one.rule.approval} for {one.entry.destination!r}" for one in asked)
            why = f"user {actor.id} may not: asked for is {needs}"
        raise NotAvailableError(f"{self._entity!r}: {why}.")

    def _check_fresh(self, several: Sequence[_Waiting]) -> None:
        for one in several:
            if one.entry.source != self.state:
                raise self._conflict(f"it is in {one.entry.source!r} by now, and not in {self.state!r} any more")

    def _check_unmoved(self) -> None:
        """If nothing waits, somebody may have moved the object on while this one waited for its turn."""
        there = self._flow.connection(self._session).scalar(self._stored_state)
        if there != self.state:
            raise self._conflict(f"it is in {there!r} by now, and not in {self.state!r} any more")
        if self._waiting():
            raise self._conflict("somebody has approved")

    def _write(self, session: Session, several: Sequence[_Waiting], chosen: _Waiting, actor: Actor) -> None:
        flow, rule, entry = self._flow, chosen.rule, chosen.entry
        steps, connection = flow.tables.steps, flow.connection(session)
        mine = steps.c.id == entry.id
        moving = (
            sa.update(steps)
            .where(steps.c.id.in_([one.entry.id for one in several]), steps.c.status == PENDING)
            .values(
                status=sa.case((mine, APPROVED), else_=CANCELLED),
                by=sa.case((mine, actor.id)),
                completes=sa.case((mine, sa.true() if rule.last else sa.false()), else_=sa.false()),
                at=sa.func.current_timestamp(),
            )
        )
        if connection.execute(moving).rowcount != len(several):
            raise self._conflict("somebody has approved or jumped")
        definition = flow.versions.known[entry.version]
        key = flow.tables.row_of(self._key or ())
        if not rule.last:
            after = definition.rules[rule.number + 1]
            write_rows(flow, connection, [key | waiting(after, entry.version, entry.iteration)])
            return
        first = definition.first_rules(rule.transition.destination)
        write_rows(flow, connection, [key | waiting(one, entry.version, chosen.iteration) for one in first])
        try:
            self._set_state(session, entry.destination)
        except Exception:  # hooks of the row have refused: nothing must be left of the approval
            self._take_back(session, several)
            raise

    def _take_back(self, session: Session, several: Sequence[_Waiting]) -> None:
        """Let the object wait as it did."""
        steps = self._flow.tables.steps
        numbers = [one.entry.id for one in several]
        fresh = sa.delete(steps).where(*self._mine(steps), steps.c.status == PENDING, steps.c.id.not_in(numbers))
        again = sa.update(steps).where(steps.c.id == sa.bindparam("number"))
        as_before: dict[str, Any] = {"status": PENDING, "by": None, "completes": False, "at": sa.bindparam("since")}
        since = [{"number": one.entry.id, "since": one.entry.at} for one in several]
        with suppress(SQLAlchemyError):  # the transaction is lost, and everything with it
            connection = self._flow.connection(session)
            connection.execute(fresh)
            connection.execute(again.values(as_before), since)

    def jump_to(self, state: Any, user: Any = None) -> None:
        """Put the object into a state, whatever the transitions and approvals; hooks run as for any transition.

        Args:
            state: A state of the definition that it goes by.
            user: Who does it, for the history.

        Raises:
            NotAvailableError: There is no such state, or it is in it.
            ProgressConflictError: Somebody else has moved the object on meanwhile. Nothing was written: refresh it.
            ValidationError: A hook refused.
        """
        flow, session, value = self._flow, self._session, self._flow.values.same(state)
        session.flush()
        with self._conflicts():
            there = self._locked_state(session)
        if there != self.state:
            raise self._conflict(f"it is in {there!r} by now, and not in {self.state!r} any more")
        if value == self.state:
            raise NotAvailableError(f"{self._entity!r} is in {value!r}: there is nowhere to jump.")
        key = self._key
        assert key is not None
        one = Jump(key, flow.values.text(self.state), flow.values.text(value))
        by = None if user is None else flow.actor(user).id
        with self._conflicts():
            jump(flow, session, [one], by=by, user=user, write=lambda: self._set_state(session, value))

    def _locked_state(self, session: Session) -> Any:
        connection = self._flow.connection(session)
        connection.execute(self._flow.tables.lock)
        return connection.scalar(self._stored_state.with_for_update())

    @property
    def _stored_state(self) -> sa.Select[Any]:
        """The question for its state in the database, whatever the session holds."""
        columns = self._flow.mapper.base_mapper.primary_key
        mine = (column == value for column, value in zip(columns, self._key or (), strict=True))
        return sa.select(self._flow.column).where(*mine)

    def _set_state(self, session: Session, value: Any) -> None:
        flow = self._flow
        adapter = flow.adapter_of(session)
        row = adapter.row(session, self._entity)
        assert row is not None
        with allowing(flow, adapter.transaction(session), [(row.identity, flow.values.text(value))]):
            setattr(self._entity, flow.field, value)
            try:
                session.flush()
            except Exception:
                with suppress(SQLAlchemyError):
                    session.expire(self._entity, [flow.field])
                raise
        if flow.relationship is not None:
            session.expire(self._entity, [flow.relationship])

    def _conflict(self, why: str) -> ProgressConflictError:
        return ProgressConflictError(
            f"{self._entity!r} was moved on meanwhile: {why}. Nothing was written. Refresh it, and look again."
        )

    @contextmanager
    def _conflicts(self) -> Iterator[None]:
        """Tell what databases say when two write at once."""
        try:
            yield
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            busy = "database is locked" in str(error.orig)
            if state not in ("40001", "40P01") and not busy:
                raise
            raise self._conflict("another transaction is writing it") from error

    def _bound_to(self) -> tuple[Any, Any]:
        self._session.flush()
        return self._flow, self._entity


def _in_utc(moment: dt.datetime | None) -> dt.datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
