"""The machine: a rule book in random order, and all rules that a sequence is made of."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import note
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from .database import Database
from .play import first_step, step
from .rules import CATALOGUE, CHECKS, EDITS
from .schema import Account, Company, Order, Person, Vehicle
from .shapes import Shape
from .statements import Statements
from .writes import Writes

some = st.integers(0, 31)
RULE_NAMES = [rule.name for rule in CHECKS + EDITS]


class OracleMachine(Writes, Statements):
    """One sequence: a rule book, a session on it, some transactions.

    Args:
        database: Where.
        shape: How hooks are written.
    """

    def __init__(self, database: Database, shape: Shape) -> None:
        super().__init__(database)
        self.shape = shape

    @first_step(
        names=st.one_of(st.just([]), st.lists(st.sampled_from(RULE_NAMES), unique=True, min_size=2, max_size=12)),
        seeded=st.sampled_from([False, *[True] * 7]),
    )
    def begin(self, names: Sequence[str], seeded: bool) -> None:
        """A rule book, something in the database, and the first session."""
        self.write_rule_book(names)
        if seeded:
            self.tell("the database begins with schema.seed()")
            self.database.seed()
        self.witness.open(self.database.snapshot())
        self.open_session()
        self.load()

    def write_rule_book(self, names: Sequence[str]) -> None:
        """Rules in the order given, then the hooks that write down what they are told."""
        self.tell(f"rules, in order: {', '.join(names) or 'none'}")
        for number, name in enumerate(names):
            chosen = CATALOGUE[name]
            self.in_force.append(chosen)
            hook = self.shape.loading(chosen.function)
            self.hooks.add(hook, chosen.phase, chosen.event, chosen.target, name=name, order=number)
        self.witness.listen(self.hooks, self.shape)

    @step()
    def flush(self) -> None:
        def flush_and_look() -> None:
            self.sync_session.flush()
            self.look_for_broken_rules(self.sync_session.connection())

        self.perform("session.flush()", flush_and_look)

    @step(model=st.sampled_from([Person, Company, Order, Vehicle, Account]))
    def query(self, model: type) -> None:
        """A query flushes first."""
        self.perform(
            f"session.scalars(select({model.__name__})).all()",
            lambda: self.sync_session.scalars(select(model)).all(),
        )

    @step(number=some, how=st.sampled_from(["expire", "refresh", "expire_all"]))
    def forget(self, number: int, how: str) -> None:
        """What was loaded is out of date; what was pending on it is given up."""
        living = self.persistent()
        if how == "expire_all":
            self.perform("session.expire_all()", self.sync_session.expire_all)
        elif living:
            entity = living[number % len(living)]
            forget = getattr(self.sync_session, how)
            self.perform(f"session.{how}({self.name(entity)})", lambda: forget(entity))

    @step(how=st.sampled_from(["begin", "begin", "begin", "release", "rollback", "rollback"]))
    def savepoint(self, how: str) -> None:
        if how == "begin" and len(self.savepoints) < 3:
            # The flush that begin_nested() makes belongs to the outside.
            if self.perform("session.flush()", self.sync_session.flush):
                self.tell(f"savepoint{len(self.savepoints) + 1} = session.begin_nested()")
                self.savepoints.append(self.database.run(self.session, self.sync_session.begin_nested))
                self.witness.ledger.savepoint()
        elif how == "release" and self.savepoints:
            nested = self.savepoints[-1]
            if self.perform(f"savepoint{len(self.savepoints)}.commit()", nested.commit):
                self.savepoints.pop()
                self.witness.ledger.release()
        elif how == "rollback" and self.savepoints:
            self.go_back()

    @step(how=st.sampled_from(["commit", "commit", "commit", "rollback", "reopen"]))
    def end(self, how: str) -> None:
        getattr(self, how)()

    def commit(self) -> None:
        self.tell("session.commit()")
        try:
            self.database.run(self.session, self.sync_session.commit)
        except Exception as error:
            if not self.is_refusal(error):
                raise
            self.tell_refusal(error)
            self.database.counts["commits refused"] += 1
            self.roll_back_all()
            return
        self.savepoints = []
        self.ended(committed=True)

    def rollback(self) -> None:
        self.roll_back_all()

    def reopen(self) -> None:
        """Commit, then go on in a new session that has loaded everything."""
        self.commit()
        self.tell("session.close(); session = Session(); load everything")
        self.database.run(self.session, self.sync_session.close)
        self.attachments.close()
        self.open_session()
        self.load()

    def look_for_broken_rules(self, connection: Connection) -> None:
        for check in self.in_force:
            if check.forbidden:
                broken = connection.scalar(text(check.forbidden))
                assert not broken, f"{broken} rows in the database break the rule {check.name}"

    def teardown(self) -> None:
        """Commit what is left, and tell the story."""
        try:
            if not self.taking and hasattr(self, "session") and self.sync_session.in_transaction():
                self.commit()
        finally:
            self.close()
            for line in self.story:
                note(line)
