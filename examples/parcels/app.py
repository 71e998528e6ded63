"""A parcel office: two people for each step, a way back, and a receipt that comes once.

    python examples/parcels/app.py                                # on SQLite, in memory
    DB=postgresql+psycopg:///parcels python examples/parcels/app.py    # in an empty database, where the tables stay

Checks every claim it prints, and exits with 1 if one of them is wrong.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, ForeignKey, StaticPool, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import (
    ChoiceError,
    HooklineError,
    Hooks,
    NotAvailableError,
    ProgressConflictError,
    StepChange,
    ValidationError,
    enters,
)
from hookline.durable import Worker
from hookline.sqlalchemy import Outbox, attach
from hookline.workflow import Approval, State, Transition, Workflow

# --- what there is --------------------------------------------------------------------------------


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)
    contents: Mapped[str]
    status: Mapped[str | None]

    def __repr__(self) -> str:
        return f"the {self.contents}"


class Receipt(Base):
    __tablename__ = "receipt"
    id: Mapped[int] = mapped_column(primary_key=True)
    parcel_id: Mapped[int] = mapped_column(ForeignKey("parcel.id"))
    signed_by: Mapped[str]


@dataclass(frozen=True)
class Person:
    """What a workflow asks of a user: an id, groups and permissions."""

    id: str
    groups: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


dora = Person("Dora", groups=("desk",))
max_ = Person("Max", groups=("desk",), permissions=("release",))
carl = Person("Carl", groups=("courier",))
cleo = Person("Cleo", groups=("courier",))
anna = Person("Anna", permissions=("sign",))
PEOPLE = (dora, max_, carl, cleo, anna)


# --- what may happen to a parcel, and what follows from it ------------------------------------------

shipping = Workflow(
    Parcel.status,
    initial="packed",
    transitions=[
        Transition("packed", "sent", [Approval(groups="desk"), Approval(permissions="release")]),
        Transition("sent", "delivered", [Approval(groups="courier"), Approval(permissions="sign")]),
        Transition("sent", "returned", Approval(groups="courier"), label="nobody at home"),
        Transition("returned", "sent", Approval(groups="desk"), label="once more"),
    ],
    states=[State("lost", jump_only=True)],
)

hooks = Hooks("parcels")
hooks.use(shipping)


@hooks.durable("complete", Parcel.status, when=enters("delivered"))
def write_receipt(change: StepChange, session: Session) -> None:
    """A worker writes it, in any process, once the signature is committed."""
    session.add(Receipt(parcel_id=change.key, signed_by=change.by))


# --- the day ----------------------------------------------------------------------------------------


class Office:
    """A database of parcels, and what is claimed of it.

    Attributes:
        failed: the claims that turned out to be false.
    """

    def __init__(self, engine: Engine, console: Console) -> None:
        self.console, self._engine = console, engine
        # What is shown stays as it was read: that is how one comes to press a button too late.
        self.sessions = sessionmaker(engine, expire_on_commit=False)
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

    def show_who_waits_for_whom(self) -> dict[str, list[str]]:
        """Print what each person could approve now; one query for each."""
        table = Table("parcels that wait for", "are", title_justify="left")
        found = {}
        with self.sessions() as session:
            for person in PEOPLE:
                waiting = session.scalars(shipping.awaiting(person).order_by(Parcel.id))
                found[person.id] = [parcel.contents for parcel in waiting]
                table.add_row(person.id, ", ".join(found[person.id]) or "-")
        self.console.print(table)
        return found


def main(url: str = "sqlite://") -> int:
    """Live through a day; 0 if all was as claimed."""
    in_memory = {"poolclass": StaticPool} if url == "sqlite://" else {}
    engine = create_engine(url, **in_memory)
    Base.metadata.create_all(engine, checkfirst=False)  # the tables of the workflow are among them
    Outbox().create_tables(engine)
    office = Office(engine, Console())
    office.console.rule(f"Parcels, on {engine.dialect.name}")
    with attach(hooks, office.sessions):
        for story in (two_at_the_desk, somebody_else_does_not, at_the_door, at_the_same_time, the_receipt, around):
            story(office)
        the_way_of_the_teapot(office)
    engine.dispose()
    if office.failed:
        office.console.print(f"\n[bold red]{len(office.failed)} of {office.checked} claims are false.[/]")
        return 1
    office.console.print(f"\n[bold green]All {office.checked} claims hold.[/]")
    return 0


def two_at_the_desk(office: Office) -> None:
    office.tell("Three parcels. Dora weighs them, Max releases them.")
    with office.sessions.begin() as session:
        parcels = [Parcel(contents=contents) for contents in ("teapot", "atlas", "kite")]
        session.add_all(parcels)
        session.flush()
        office.check({parcel.status for parcel in parcels} == {"packed"}, "nobody gave them a state: they are packed")
        for parcel in parcels:
            shipping.of(parcel).approve(dora)
        office.check({parcel.status for parcel in parcels} == {"packed"}, "weighed, and still packed: one is missing")
        for parcel in parcels[:2]:
            shipping.of(parcel).approve(max_)
    office.check(office.ask("select count(*) from parcel where status = 'sent'") == 2, "released: two are sent")
    waiting = office.show_who_waits_for_whom()
    office.check(waiting["Max"] == ["kite"], "the kite waits for Max")
    office.check(waiting["Carl"] == waiting["Cleo"] == ["teapot", "atlas"], "the others wait for either courier")
    office.check(waiting["Anna"] == [], "nothing waits for Anna's signature before a courier is at her door")


def somebody_else_does_not(office: Office) -> None:
    office.tell("Anna cannot wait.")
    with office.sessions() as session:
        teapot = named(session, "teapot")
        office.refused(
            NotAvailableError, "she cannot sign for what is not there", lambda: shipping.of(teapot).approve(anna)
        )
        session.rollback()


def at_the_door(office: Office) -> None:
    office.tell("Carl rings. He can hand over, or go back.")
    with office.sessions() as session:
        teapot = named(session, "teapot")
        way = shipping.of(teapot)
        office.check(way.available_states(carl) == ["delivered", "returned"], "he has two ways to go")
        office.refused(ChoiceError, "so he must say which", lambda: way.approve(carl))
        way.approve(carl, to="returned")
        session.commit()
        office.check(teapot.status == "returned", "nobody at home: the teapot goes back")
        way.approve(dora)
        session.commit()
        again = {entry.iteration for entry in way.next_approvals}
        office.check(
            (teapot.status, again) == ("sent", {1}), "Dora sends it once more: another round, with approvals of its own"
        )
        way.approve(carl, to="delivered")
        session.commit()
        office.check(way.available_states(carl) == [], "handed over: now there is no way back")
        (asked,) = way.next_approvals
        office.check(str(asked.approval) == "permission sign", "and one signature is asked for")


def at_the_same_time(office: Office) -> None:
    office.tell("Carl and Cleo both have the atlas on their screens.")
    with office.sessions() as his, office.sessions() as hers:
        seen_by_him, seen_by_her = named(his, "atlas"), named(hers, "atlas")
        his.commit()
        shipping.of(seen_by_her).approve(cleo, to="returned")
        hers.commit()
        office.refused(
            ProgressConflictError,
            "Cleo was faster, and Carl is told so",
            lambda: shipping.of(seen_by_him).approve(carl, to="delivered"),
        )
        his.rollback()
    office.check(
        office.ask("select status from parcel where contents = 'atlas'") == "returned",
        "the atlas is where Cleo took it",
    )


def the_receipt(office: Office) -> None:
    office.tell("Anna signs. The first pen is dry.")
    receipts = "select count(*) from receipt"
    with office.sessions() as session:
        teapot = named(session, "teapot")
        shipping.of(teapot).approve(anna)
        session.rollback()
    work()
    office.check(office.ask(receipts) == 0, "rolled back: no signature, no receipt")
    with office.sessions() as session:
        teapot = named(session, "teapot")
        office.check(teapot.status == "sent", "and the teapot is at the door as before")
        shipping.of(teapot).approve(anna)
        session.commit()
        office.check(shipping.of(teapot).on_final_state, "signed: delivered, which is the end")
    office.check(office.ask(receipts) == 0, "the receipt is a worker's task")
    work()
    work()
    office.check(office.ask(receipts) == 1, "it worked twice, and wrote one receipt")
    office.check(office.ask("select signed_by from receipt") == "Anna", "with the name of the one who signed")


def around(office: Office) -> None:
    office.tell("Somebody in a hurry writes the state by hand; and the kite is gone.")
    with office.sessions() as session:
        kite = named(session, "kite")
        kite.status = "delivered"
        office.refused(ValidationError, "a state is nobody's to write", session.flush)
        session.rollback()
    with office.sessions() as session:
        kite = named(session, "kite")
        shipping.of(kite).jump_to("lost", max_)
        session.commit()
        office.check(shipping.counts(session)["lost"] == 1, "what was lost is said to be lost, by Max")
        waiting = session.scalars(shipping.awaiting(max_)).all()
        office.check(
            [parcel.contents for parcel in waiting] == ["atlas"], "it waits for him no more, as the atlas does"
        )


def the_way_of_the_teapot(office: Office) -> None:
    office.tell("The way of the teapot")
    table = Table("round", "from", "to", "asked for", "status", "by")
    with office.sessions() as session:
        history = shipping.of(named(session, "teapot")).history
    for entry in history:
        by = entry.by or ""
        table.add_row(str(entry.iteration), entry.source, entry.destination, str(entry.approval), entry.status, by)
    office.console.print(table)
    given = [entry.by for entry in history if entry.status == "approved"]
    office.check(
        given == ["Dora", "Max", "Carl", "Dora", "Carl", "Anna"], "six approvals, in the order in which they were given"
    )
    cancelled = [(entry.iteration, entry.destination) for entry in history if entry.status == "cancelled"]
    office.check(cancelled == [(0, "delivered"), (1, "returned")], "two that others made impossible, one in each round")
    office.check(all(entry.at is not None for entry in history), "each with its time")


def named(session: Session, contents: str) -> Parcel:
    return session.scalars(select(Parcel).where(Parcel.contents == contents)).one()


def work() -> None:
    """What a process of its own does all day: ``hookline worker app:hooks``."""
    Worker(hooks).run_until_idle()


if __name__ == "__main__":
    raise SystemExit(main(os.environ.get("DB") or "sqlite://"))
