"""What a walk is played on: a table of documents, a session under a rule book, and what hooks were told."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Hooks, StepChange
from hookline.sqlalchemy import attach
from hookline.workflow import Actor, Approval, Definition, Entry, State, Transition, Workflow
from tests.sqlalchemy.databases import empty
from tests.workflow.machine.rules import Criteria, Line, Person, Plan, Step

EVENTS = ("approve", "transition", "complete")
PHASES = ("before", "after", "after_commit")


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "document"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status: Mapped[str] = mapped_column(default=None)


def approval(asked: Criteria) -> Approval:
    """Criteria as the library takes them."""
    return Approval(**asked)


def parts(plan: Plan) -> dict[str, Any]:
    """A definition as the library takes it."""
    transitions = [Transition(*pair, [approval(one) for one in asked]) for pair, asked in plan.transitions.items()]
    states = [State(state, jump_only=by_jump) for state, by_jump in plan.states.items()]
    return {"initial": plan.initial, "transitions": transitions, "states": states}


def user(person: Person) -> Any:
    """A user as the library takes one: some as actors, some as an application has them."""
    if int(person.id) % 2:
        return Actor(person.id, frozenset(person.groups), frozenset(person.permissions))
    groups = [SimpleNamespace(name=name) for name in person.groups]
    return SimpleNamespace(id=int(person.id), groups=groups, permissions=person.permissions)


def line(entry: Entry) -> Line:
    """An entry as the model has it."""
    asked = None
    if entry.approval is not None:
        asked = {kind: sorted(getattr(entry.approval, kind)) for kind in ("permissions", "groups", "users")}
    return Line(
        entry.source, entry.destination, entry.position, entry.iteration, asked, entry.status, entry.by,
        entry.completes,
    )  # fmt: skip


class Stage:
    """One session after the other, on one database, under one rule book after the other.

    Args:
        engine: The database.
        counts: How often what was done.
    """

    def __init__(self, engine: Engine, counts: Counter[str]) -> None:
        self.engine, self.counts = engine, counts
        self._attachments = ExitStack()
        self.told: dict[tuple[str, str], list[Step]] = {}
        with engine.begin() as connection:
            empty(connection, Base.metadata)

    def open(self, plan: Plan, *, editable: bool) -> None:
        """Begin as a new process does: nothing is known but what code and the database say."""
        self.close()
        self.flow = Workflow(Document.status, **parts(plan), editable=editable)
        hooks = Hooks()
        hooks.use(self.flow)
        for phase in PHASES:
            for event in EVENTS:
                told = self.told[phase, event] = []
                hooks.add(self._listener(told), phase, event, Document.status, name=f"{phase} {event}")
        self._maker = sessionmaker(self.engine)
        self._attachments.enter_context(attach(hooks, self._maker))
        self.session: Session = self._maker()

    @staticmethod
    def _listener(told: list[Step]) -> Any:
        def listen(change: StepChange) -> None:
            entry = change.approval if isinstance(change.approval, Entry) else None
            position = None if entry is None else entry.position
            told.append(
                Step(change.event, change.key, change.source, change.destination, change.by, change.jump, position)
            )

        return listen

    def reopen(self) -> None:
        """A new session of the same process."""
        self.session.close()
        self.session = self._maker()

    def close(self) -> None:
        """Let go of the session and the rule book."""
        if hasattr(self, "session"):
            self.session.close()
        self._attachments.close()

    def definition(self, plan: Plan) -> Definition:
        """A definition as `Workflow.publish` takes it."""
        return self.flow.definition_of(**parts(plan))

    def document(self, key: int) -> Document:
        found = self.session.get(Document, key)
        assert found is not None
        return found

    def forget(self, key: int) -> None:
        """Its row was deleted around the session."""
        found = self.session.identity_map.get(self.session.identity_key(Document, key))
        if found is not None:
            self.session.expunge(found)

    def states(self) -> dict[int, str]:
        """The states in the table."""
        found = self.session.execute(select(Document.id, Document.status))
        return {row[0]: row[1] for row in found}

    def kept(self) -> dict[int, int]:
        """By object, how many rows there are of its way."""
        steps, (key,) = self.flow.tables.steps, self.flow.tables.key
        found = self.session.execute(select(key, func.count(steps.c.id)).where(steps.c.status != "rests").group_by(key))
        return {row[0]: row[1] for row in found}
