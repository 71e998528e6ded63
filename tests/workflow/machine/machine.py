"""The machine: random users walk objects through random workflows, and the library and the model agree on all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, delete, insert, text, update

from hookline import BypassError, ChoiceError, NotAvailableError, ValidationError, WorkflowDefinitionError
from tests.workflow.machine.plans import STATES, edits, people, plans, some
from tests.workflow.machine.rules import NothingAvailable, Person, Plan, SeveralAvailable, Thing, World
from tests.workflow.machine.stage import EVENTS, Document, Stage, approval, line, user

ERRORS: dict[type[Exception], type[Exception]] = {
    NothingAvailable: NotAvailableError,
    SeveralAvailable: ChoiceError,
}
OBJECTS = 5

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
"""The name of a method, with its arguments."""

alive = precondition(lambda machine: machine.world.things)
editable = precondition(lambda machine: machine.editable)
roomy = precondition(lambda machine: len(machine.world.things) < OBJECTS)


def agree(what: str, library: object, model: object) -> None:
    """Fail if the library and the model say different things."""
    assert library == model, f"{what}:\n    the library says {library}\n    the model says   {model}"


class WorkflowMachine(RuleBasedStateMachine):
    """One sequence: a definition, some users, some transactions.

    Args:
        engine: The database, with the tables.
        counts: How often what was done.
    """

    def __init__(self, engine: Engine, counts: Counter[str]) -> None:
        super().__init__()
        self.stage, self.counts = Stage(engine, counts), counts
        self.savepoints: list[tuple[Any, World]] = []
        self.rounds = 0
        self.looked_at: set[int] = set()
        counts["sequences"] += 1

    # -- telling

    def tell(self, story: str, what: str) -> None:
        note(story)
        self.counts[what] += 1

    def key(self, number: int) -> int:
        """One of the objects."""
        keys = sorted(self.world.things)
        key = keys[number % len(keys)]
        self.looked_at.add(key)
        return key

    def way(self, key: int) -> Any:
        return self.stage.flow.of(self.stage.document(key))

    # -- beginning

    @initialize(plan=plans(), users=people(), editable=st.booleans(), several=st.integers(0, 3))
    def begin(self, plan: Plan, users: list[Person], editable: bool, several: int) -> None:
        note(f"{plan}\n{users}, editable={editable}")
        self.people, self.editable, self.code = users, editable, plan
        self.stage.open(plan, editable=editable)
        self.world = World(plan)
        self.committed = self.world.copy()
        if several:
            self._insert("model", [{"id": key} for key in range(1, several + 1)])

    # -- objects come and go

    @roomy
    @rule(
        how=st.sampled_from(["add", "add", "model", "core", "connection"]), several=st.integers(1, 3), say=st.booleans()
    )
    def insert(self, how: str, several: int, say: bool) -> None:
        """Keys of objects that were deleted are used again."""
        free = [key for key in range(1, OBJECTS + 4) if key not in self.world.things]
        given = {"status": self.world.plan.initial} if say else {}
        self._insert(how, [{"id": key} | given for key in free[:several]])

    def _insert(self, how: str, rows: list[dict[str, Any]]) -> None:
        self.tell(f"insert by {how}: {rows}", f"inserts by {how}")
        session = self.stage.session
        if how == "add":
            session.add_all([Document(**row) for row in rows])
        elif how == "model":
            session.execute(insert(Document), rows)
        elif how == "core":
            session.execute(insert(Document.__table__).values(rows))
        else:
            session.connection().execute(insert(Document.__table__), rows)
        self.world.insert(row["id"] for row in rows)
        self.looked_at |= {row["id"] for row in rows}

    @rule(state=st.sampled_from([*STATES, "nowhere"]), how=st.sampled_from(["add", "model", "core"]))
    def insert_elsewhere(self, state: str, how: str) -> None:
        if state == self.world.plan.initial:
            return
        session, row = self.stage.session, {"id": 99, "status": state}

        def write() -> None:
            if how == "add":
                session.add(Document(**row))
                session.flush()
            else:
                session.execute(insert(Document if how == "model" else Document.__table__), [row])

        self.refused(f"insert {row} by {how}", write, ValidationError)

    @alive
    @rule(number=some, how=st.sampled_from(["delete", "model", "core"]))
    def delete(self, number: int, how: str) -> None:
        key, session = self.key(number), self.stage.session
        self.tell(f"delete {key} by {how}", "deletes")
        if how == "delete":
            session.delete(self.stage.document(key))
            session.flush()
        elif how == "model":
            session.execute(delete(Document).where(Document.id == key))
        else:
            session.flush()
            session.execute(delete(Document.__table__).where(Document.__table__.c.id == key))
            self.stage.forget(key)
        del self.world.things[key]

    # -- on their ways

    @alive
    @rule(numbers=st.lists(some, min_size=1, max_size=4))
    def approve(self, numbers: list[int]) -> None:
        """One thing after the other that can be given, if anything can."""
        for number in numbers:
            ways = [
                (key, person, line.destination)
                for key, thing in sorted(self.world.things.items())
                for person in self.people
                for line in thing.available(person)
            ]
            if ways:
                self._approve(*ways[number % len(ways)])

    @alive
    @rule(number=some, numbers=st.lists(some, min_size=2, max_size=6))
    def walk(self, number: int, numbers: list[int]) -> None:
        """The same, by one object."""
        key = self.key(number)
        for chosen in numbers:
            thing = self.world.things[key]
            ways = [(person, line.destination) for person in self.people for line in thing.available(person)]
            if ways:
                self._approve(key, *ways[chosen % len(ways)])

    @alive
    @rule(number=some, who=some, to=st.one_of(st.none(), st.none(), st.sampled_from([*STATES, "nowhere"])))
    def try_to_approve(self, number: int, who: int, to: str | None) -> None:
        """Something, whether it can be given or not."""
        self._approve(self.key(number), self.people[who % len(self.people)], to)

    def _approve(self, key: int, person: Person, to: str | None) -> None:
        story = f"way({key}).approve({person.id}, to={to!r})"
        self.looked_at.add(key)
        given = self.either(
            story, lambda: self.world.approve(key, person, to), lambda: self.way(key).approve(user(person), to)
        )
        if given is not None:
            self.counts["approvals"] += 1
            agree(story, line(given[1]), given[0])
            self.counts["transitions"] += given[0].completes

    @alive
    @rule(number=some, state=st.one_of(some, st.sampled_from([*STATES, "nowhere"])), who=st.none() | some)
    def jump(self, number: int, state: int | str, who: int | None) -> None:
        key = self.key(number)
        states = list(self.world.things[key].plan.states)
        to = state if isinstance(state, str) else states[state % len(states)]
        person = None if who is None else self.people[who % len(self.people)]
        by, given = (None, None) if person is None else (person.id, user(person))
        done = self.either(
            f"way({key}).jump_to({to!r}, {by})",
            lambda: [self.world.jump(key, to, by)],
            lambda: self.way(key).jump_to(to, given),
        )
        self.counts["jumps"] += done is not None

    def either(self, story: str, model: Callable[[], Any], library: Callable[[], Any]) -> tuple[Any, Any] | None:
        """Both do it, or both refuse."""
        note(story)
        before = len(self.world.steps)
        try:
            expected = model()
        except tuple(ERRORS) as error:
            assert len(self.world.steps) == before
            with pytest.raises(ERRORS[type(error)]):
                library()
            note(f"    # {type(error).__name__}")
            self.counts[type(error).__name__] += 1
            return None
        return expected, library()

    @alive
    @rule(
        number=some,
        state=st.sampled_from([*STATES, "nowhere"]),
        how=st.sampled_from(["attribute", "model", "core", "connection", "text"]),
    )
    def write_around(self, number: int, state: str, how: str) -> None:
        key, session = self.key(number), self.stage.session
        if state == self.world.things[key].state:
            return
        table = Document.__table__

        def write() -> None:
            if how == "attribute":
                self.stage.document(key).status = state
                session.flush()
            elif how == "model":
                session.execute(update(Document).where(Document.id == key).values(status=state))
            elif how == "core":
                session.execute(update(table).where(table.c.id == key).values(status=state))
            elif how == "connection":
                session.connection().execute(update(table).values(status=state).where(table.c.id == key))
            else:
                session.execute(
                    text("UPDATE document SET status = :state WHERE id = :key"), {"state": state, "key": key}
                )

        self.refused(f"write {state!r} to {key} by {how}", write, BypassError if how == "text" else ValidationError)

    def refused(self, story: str, write: Callable[[], None], error: type[Exception]) -> None:
        """A write is refused, and takes its savepoint with it."""
        self.tell(story, f"{error.__name__}s")
        with pytest.raises(error), self.stage.session.begin_nested():
            write()

    # -- transactions

    @rule(how=st.sampled_from(["begin", "begin", "release", "rollback", "rollback"]))
    def savepoint(self, how: str) -> None:
        if how == "begin" and len(self.savepoints) < 3:
            self.tell("begin_nested()", "savepoints")
            self.savepoints.append((self.stage.session.begin_nested(), self.world.copy()))
        elif how == "release" and self.savepoints:
            self.tell("savepoint.commit()", "savepoints released")
            self.savepoints.pop()[0].commit()
        elif how == "rollback" and self.savepoints:
            self.tell("savepoint.rollback()", "savepoints rolled back")
            nested, self.world = self.savepoints.pop()
            nested.rollback()
            self.stage.session.expire_all()  # of what statements wrote, SQLAlchemy knows nothing
            self.looked_at |= set(self.world.things)

    @alive
    @rule(number=some, numbers=st.lists(some, min_size=1, max_size=4), kept=st.booleans())
    def walk_in_savepoint(self, number: int, numbers: list[int], kept: bool) -> None:
        if len(self.savepoints) < 3:
            self.savepoint(how="begin")
            self.walk(number=number, numbers=numbers)
            self.hooks_were_told()
            self.savepoint(how="release" if kept else "rollback")

    @rule(how=st.sampled_from(["commit", "rollback", "rollback", "reopen", "restart"]))
    def end(self, how: str) -> None:
        self.tell(how, f"{how}s")
        if how == "rollback":
            self.stage.session.rollback()
            self.world = self.committed.copy()
        else:
            self.commit()
        self.savepoints.clear()
        if how == "reopen":
            self.stage.reopen()
        elif how == "restart":
            self.stage.open(self.code, editable=self.editable)
        self.looked_at |= set(self.world.things)

    def commit(self) -> None:
        self.stage.session.commit()
        self.compare_told(["after_commit"], self.world.steps)
        self.world.steps = []
        self.committed = self.world.copy()

    # -- definitions

    @editable
    @rule(plan=plans())
    def publish(self, plan: Plan) -> None:
        self.tell(f"publish {plan}", "publications")
        self.stage.flow.publish(self.stage.session, self.stage.definition(plan))
        self.world.publish(plan)

    @editable
    @rule(edits=edits)
    def edit(self, edits: Sequence[tuple[Any, ...]]) -> None:
        """A few changes of the current definition; nothing changes if they make it unsound."""
        plan = self.world.copy().plan
        done: list[Call] = []
        for kind, *given in edits:
            done += self._edited(plan, kind, given)
        sound = plan.settle().is_sound()
        self.tell(f"edit {done}, sound={sound}", "edits" if sound else "unsound edits")

        def edit() -> None:
            with self.stage.flow.edit(self.stage.session) as draft:
                for name, given, options in done:
                    if name == "initial":
                        draft.initial = given[0]
                    else:
                        getattr(draft, name)(*given, **options)

        if sound:
            edit()
            self.world.publish(plan)
        else:
            with pytest.raises(WorkflowDefinitionError):
                edit()

    @staticmethod
    def _edited(plan: Plan, kind: str, given: Sequence[Any]) -> list[Call]:
        """Change the model's definition, and say by which calls the library's is."""
        pairs = list(plan.transitions)
        if kind == "set transition" or (kind == "set approvals" and pairs):
            source, destination = given[:2] if kind == "set transition" else pairs[given[0] % len(pairs)]
            plan.transitions[source, destination] = given[-1]
            fresh = [state for state in (source, destination) if state not in plan.states]
            plan.states |= dict.fromkeys(fresh, False)
            calls: list[Call] = [("set_state", (state,), {}) for state in fresh]
            return [*calls, ("set_transition", (source, destination, [approval(one) for one in given[-1]]), {})]
        if kind == "remove transition" and pairs:
            pair = pairs[given[0] % len(pairs)]
            del plan.transitions[pair]
            return [("remove_transition", pair, {})]
        if kind == "set state":
            plan.states[given[0]] = given[1]
            return [("set_state", (given[0],), {"jump_only": given[1]})]
        others = [state for state in plan.states if state != plan.initial]
        if not others or kind not in ("remove state", "initial"):
            return []
        state = others[given[0] % len(others)]
        if kind == "initial":
            plan.initial = state
            return [("initial", (state,), {})]
        plan.transitions = {pair: asked for pair, asked in plan.transitions.items() if state not in pair}
        del plan.states[state]
        return [("remove_state", (state,), {})]

    @editable
    @alive
    @rule(
        instead=st.lists(st.tuples(st.sampled_from(STATES), some), max_size=4), few=st.none() | some, who=st.booleans()
    )
    def migrate(self, instead: list[tuple[str, int]], few: int | None, who: bool) -> None:
        """All objects, or a few; from some of the states that are gone to others."""
        now = list(self.world.plan.states)
        states = {state: now[number % len(now)] for state, number in instead}
        where = [] if few is None else [Document.id.in_(keys := [key for key in self.world.things if few >> key & 1])]
        by = "шеф" if who else None
        self.tell(f"migrate {'all' if few is None else keys}, {states}", "migrations")
        done = self.stage.flow.migrate(self.stage.session, *where, states=states, by=by)
        expected = self.world.migrate(list(self.world.things) if few is None else keys, states, by)
        agree("the migration", vars(done), expected)
        for what in ("moved", "restarted", "jumped"):
            self.counts[f"migrations: {what}"] += getattr(done, what)
        self.looked_at |= set(self.world.things)

    # -- looking

    @invariant()
    def hooks_were_told(self) -> None:
        """Of each step of the model since the last look, and of nothing else."""
        self.compare_told(["before", "after"], self.world.fresh)
        self.compare_told(["after_commit"], [])
        self.world.fresh = []

    def compare_told(self, phases: Sequence[str], steps: Sequence[Any]) -> None:
        """Each event has a hook of its own, so each has its own order."""
        for phase in phases:
            for event in EVENTS:
                told = self.stage.told[phase, event]
                agree(f"what {phase} {event} hooks are told", told, [step for step in steps if step.event == event])
                told.clear()

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        """All objects by few questions, and by all questions those that were touched, and one more."""
        flow, session, world = self.stage.flow, self.stage.session, self.world
        agree("states in the table", self.stage.states(), {key: thing.state for key, thing in world.things.items()})
        kept = {key: len(thing.lines) for key, thing in world.things.items() if thing.lines}
        agree("number of rows of each object", self.stage.kept(), kept)
        agree("counts", flow.counts(session), world.counts())
        for person in self.people:
            found = session.scalars(flow.awaiting(user(person)).order_by(Document.id)).all()
            agree(f"awaiting({person})", [one.id for one in found], world.awaiting(person))
        self.rounds += 1
        if world.things:
            self.key(self.rounds)
        for key in sorted(self.looked_at & set(world.things)):
            self.look_at(key, world.things[key])
        self.looked_at.clear()

    def look_at(self, key: int, thing: Thing) -> None:
        way = self.way(key)
        agree(f"state of {key}", way.state, thing.state)
        agree(f"on_initial_state of {key}", way.on_initial_state, thing.state == thing.plan.initial)
        agree(f"on_final_state of {key}", way.on_final_state, thing.plan.is_final(thing.state))
        history, following, recent = way.history, way.next_approvals, way.recent_approval
        agree(f"history of {key}", list(map(line, history)), thing.past())
        agree(f"recent_approval of {key}", None if recent is None else line(recent), thing.recent())
        agree(f"next_approvals of {key}", list(map(line, following)), thing.to_come())
        waits = {(one.destination, one.position) for one in thing.waiting()}
        for one in following:
            assert (one.id is not None) == (one.at is not None) == ((one.destination, one.position) in waits)
        assert all(one.at is not None for one in history)
        person = self.people[self.rounds % len(self.people)]
        expected = thing.available(person)
        found = list(map(line, way.available_approvals(user(person))))
        agree(f"available_approvals({person}) of {key}", found, expected)
        states = [one.destination for one in expected]
        agree(f"available_states({person}) of {key}", way.available_states(user(person)), states)

    def teardown(self) -> None:
        self.stage.close()
