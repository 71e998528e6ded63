"""An issue tracker: states that are an enum, issues that are re-opened, and a watcher for one of them.

    python examples/tracker/app.py                                # on SQLite, in memory
    DB=postgresql+psycopg:///tracker python examples/tracker/app.py    # in an empty database, where the tables stay

Checks every claim it prints, and exits with 1 if one of them is wrong.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, ForeignKey, StaticPool, create_engine, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import HooklineError, Hooks, StepChange, ValidationError, enters, leaves
from hookline.registrations import MemoryRegistrations
from hookline.sqlalchemy import attach
from hookline.workflow import Approval, State, Transition, Workflow

# --- what there is --------------------------------------------------------------------------------


class Status(enum.Enum):
    OPEN = "open"
    DOING = "in progress"
    DONE = "done"
    CLOSED = "closed"
    WONT_DO = "won't do"


class Base(DeclarativeBase):
    pass


class Issue(Base):
    __tablename__ = "issue"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    part_of_id: Mapped[int | None] = mapped_column(ForeignKey("issue.id"))
    status: Mapped[Status | None]
    reopened: Mapped[int] = mapped_column(default=0)

    def __repr__(self) -> str:
        return f"#{self.id} {self.title}"


@dataclass(frozen=True)
class Person:
    """What a workflow asks of a user: an id, groups and permissions."""

    id: str
    groups: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


dev = Person("Devi", groups=("developers",))
tess = Person("Tess", groups=("testers",))


# --- what may happen to an issue, and what is checked and told ----------------------------------------

flow = Workflow(
    Issue.status,
    initial=Status.OPEN,
    transitions=[
        Transition(Status.OPEN, Status.DOING, Approval(groups="developers")),
        Transition(Status.DOING, Status.DONE, Approval(groups="developers")),
        Transition(Status.DONE, Status.CLOSED, Approval(groups="testers")),
        Transition(Status.DONE, Status.OPEN, Approval(groups="testers"), label="re-open"),
    ],
    states=[State(Status.WONT_DO, jump_only=True)],
)

hooks = Hooks("tracker")
hooks.use(flow)
hooks.use(MemoryRegistrations())

ENDED = (Status.CLOSED, Status.WONT_DO)


@hooks.check("transition", Issue.status, when=enters(*ENDED))
def parts_come_first(changes: list[StepChange], session: Session) -> None:
    """No closing while sub-issues are open: one query, however many issues are closed."""
    closing = {change.key: change for change in changes}
    open_parts = (
        select(Issue.part_of_id, func.count())
        .where(Issue.part_of_id.in_(closing), Issue.status.not_in(ENDED))
        .group_by(Issue.part_of_id)
    )
    refused = [
        ValidationError(closing[key].entity, {"status": f"{number} of its parts are not closed yet"})
        for key, number in session.execute(open_parts)
    ]
    if refused:
        raise ValidationError.gather(refused)


@hooks.after("transition", Issue.status, when=leaves(Status.DONE) & enters(Status.OPEN))
def count(change: StepChange) -> None:
    """What is written here is written in the same transaction, through the same hooks."""
    change.entity.reopened += 1


@hooks.callback
def tell_watcher(change: StepChange, tracker: Tracker) -> None:
    """Bound to one issue, while the program runs. It is told what it needs by the context."""
    tracker.watcher.append((change.key, change.destination))


# --- the story ----------------------------------------------------------------------------------------


class Tracker:
    """A database of issues, and what is claimed of it.

    Attributes:
        watcher: what the watcher was told.
        failed: the claims that turned out to be false.
    """

    def __init__(self, engine: Engine, console: Console) -> None:
        self.console, self._engine = console, engine
        self.sessions = sessionmaker(engine)
        self.watcher: list[tuple[int, Status]] = []
        self.checked, self.failed = 0, list[str]()

    def tell(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/]")

    def check(self, true: bool, claim: str) -> None:
        """Print the claim, and whether it holds."""
        self.checked += 1
        if not true:
            self.failed.append(claim)
        self.console.print(f"  [green]✓[/] {claim}" if true else f"  [bold red]✗ {claim}[/]", highlight=False)

    def refused(self, kind: type[HooklineError], claim: str, attempt: Any) -> None:
        """Check that an attempt is refused with an error of this kind, and print what it says."""
        try:
            attempt()
        except kind as error:
            self.check(True, claim)
            said = str(error).partition(" [docs")[0]
            self.console.print(f"    [dim]{said}[/]", highlight=False)
        else:
            self.check(False, claim)

    def ask(self, question: str) -> Any:
        """The database's own answer to a question in plain SQL: one value."""
        with self._engine.connect() as connection:
            return connection.scalar(text(question))


def main(url: str = "sqlite://") -> int:
    """Live through it; 0 if all was as claimed."""
    in_memory = {"poolclass": StaticPool} if url == "sqlite://" else {}
    engine = create_engine(url, **in_memory)
    Base.metadata.create_all(engine, checkfirst=False)  # the tables of the workflow are among them
    tracker = Tracker(engine, Console())
    tracker.console.rule(f"Issues, on {engine.dialect.name}")
    with attach(hooks, tracker.sessions), hooks.context(tracker=tracker):
        for story in (a_bug_in_two_parts, somebody_watches, too_early, again, in_the_end, in_bulk, the_way_of_the_fix):
            story(tracker)
    engine.dispose()
    if tracker.failed:
        tracker.console.print(f"\n[bold red]{len(tracker.failed)} of {tracker.checked} claims are false.[/]")
        return 1
    tracker.console.print(f"\n[bold green]All {tracker.checked} claims hold.[/]")
    return 0


def a_bug_in_two_parts(tracker: Tracker) -> None:
    tracker.tell("The login is broken. Two things are to be done about it.")
    with tracker.sessions.begin() as session:
        session.add(Issue(id=1, title="the login is broken"))
        session.flush()
        session.add_all([Issue(id=2, title="a fix", part_of_id=1), Issue(id=3, title="a test", part_of_id=1)])
        session.flush()
        tracker.check(flow.counts(session)[Status.OPEN] == 3, "all three are open, and nobody said so")
        mine = session.scalars(flow.awaiting(dev).order_by(Issue.id)).all()
        tracker.check([issue.id for issue in mine] == [1, 2, 3], "they wait for a developer")
        tracker.check(session.scalars(flow.awaiting(tess)).all() == [], "and not for a tester")


def somebody_watches(tracker: Tracker) -> None:
    tracker.tell("Somebody wants to know when the fix is done. Only the fix.")
    with tracker.sessions.begin() as session:
        fix = session.get_one(Issue, 2)
        kept = flow.of(fix).hook_post_transition(tell_watcher, destination_state=Status.DONE, by="Wanda")
        tracker.check(kept.name == "tell_watcher #1", "a registration for one issue, made while the program runs")
        for number in (1, 2, 3):
            issue = session.get_one(Issue, number)
            flow.of(issue).approve(dev)
            flow.of(issue).approve(dev)
        tracker.check(tracker.watcher == [(2, Status.DONE)], "three are done, and the watcher is told of one")


def too_early(tracker: Tracker) -> None:
    tracker.tell("Tess closes the bug, while its parts are not closed.")
    with tracker.sessions() as session:
        bug = session.get_one(Issue, 1)
        tracker.refused(ValidationError, "a rule of ours refuses", lambda: flow.of(bug).approve(tess, to=Status.CLOSED))
        tracker.check(bug.status is Status.DONE, "the bug is where it was")
        session.commit()  # nothing was written, and the transaction can go on
        tracker.check(flow.of(bug).available_states(tess) == [Status.CLOSED, Status.OPEN], "and still waits for her")
        tracker.refused(
            ValidationError, "a jump is no way around the rule", lambda: flow.of(bug).jump_to("WONT_DO", tess)
        )


def again(tracker: Tracker) -> None:
    tracker.tell("The fix does not work. Nor does the next one.")
    with tracker.sessions() as session:
        fix = session.get_one(Issue, 2)
        way = flow.of(fix)
        rounds = []
        for _ in range(2):
            way.approve(tess, to=Status.OPEN)
            rounds.append({entry.iteration for entry in way.next_approvals})
            way.approve(dev)
            way.approve(dev)
            session.commit()
        tracker.check(rounds == [{1}, {2}], "each time it begins again, with approvals of a new round")
        tracker.check(fix.reopened == 2, "a hook has counted the rounds, in the same transactions")
        tracker.check(tracker.watcher == [(2, Status.DONE)] * 3, "the watcher was told each time")


def in_the_end(tracker: Tracker) -> None:
    tracker.tell("The third one does. The test is not worth it.")
    with tracker.sessions.begin() as session:
        bug, fix, test = (session.get_one(Issue, number) for number in (1, 2, 3))
        flow.of(fix).approve(tess, to=Status.CLOSED)
        flow.of(test).jump_to(Status.WONT_DO, tess)
        flow.of(bug).approve(tess, to=Status.CLOSED)
        tracker.check(flow.of(bug).on_final_state, "all parts have ended, and the bug may end, too")
    closed = tracker.ask("select count(*) from issue where status = 'CLOSED'")
    tracker.check(closed == 2, "the database says so: two are closed")
    tracker.check(tracker.ask("select count(*) from issue where status = 'WONT_DO'") == 1, "and one will not be done")


def in_bulk(tracker: Tracker) -> None:
    tracker.tell("A script wants to tidy up.")
    with tracker.sessions() as session:
        tracker.refused(
            ValidationError,
            "a bulk statement cannot write states either",
            lambda: session.execute(update(Issue).values(status=Status.OPEN)),
        )
        session.rollback()
    with tracker.sessions() as session:
        found = flow.counts(session)
    table = Table("status", "issues")
    for status, number in found.items():
        table.add_row(status.value, str(number))
    tracker.console.print(table)
    tracker.check(found[Status.OPEN] == 0 and sum(found.values()) == 3, "nothing has moved")


def the_way_of_the_fix(tracker: Tracker) -> None:
    tracker.tell("The way of the fix")
    table = Table("round", "from", "to", "status", "by")
    with tracker.sessions() as session:
        history = flow.of(session.get_one(Issue, 2)).history
    for entry in history:
        ends = entry.source.value, entry.destination.value
        table.add_row(str(entry.iteration), *ends, entry.status, entry.by or "")
    tracker.console.print(table)
    made = [entry.destination.name for entry in history if entry.completes]
    tracker.check(made == ["DOING", "DONE", "OPEN"] * 2 + ["DOING", "DONE", "CLOSED"], "three rounds, nine transitions")


if __name__ == "__main__":
    raise SystemExit(main(os.environ.get("DB") or "sqlite://"))
