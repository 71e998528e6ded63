"""The same rules, tried through every door, with somebody who counts at each phase.

At each door (see ``doors.py``) three rows are written twice: once so that a rule refuses them, and once as they should
be. What hooks were told is then compared with what the database says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from doors import BAD, DOORS, EACH, GOOD, Door, Place, cascade, raw_sql, secondary_table
from models import Invoice, InvoiceLine, Playlist
from rich.table import Table
from rules import hooks
from sqlalchemy.orm import Session, sessionmaker
from store import Store

from hookline import BypassError, Change, Hooks, LinkChange, ValidationError
from hookline.sqlalchemy import attach, capture

PHASES = ("before", "check", "after", "before_commit", "after_commit")
ALL = (EACH,) * len(PHASES)
LATE = (0, *ALL[1:])
NONE = (0,) * len(PHASES)
HOW = {ALL: "all phases", LATE: "all phases but before", NONE: "no phase"}

book = Hooks("at the doors", bypass="capture")  # raw SQL is shown to rules by capture, or is not sent
book.include(hooks)
passed: Counter[str] = Counter()
"""Changes that hooks were told of, by phase."""


@book.before("save", InvoiceLine, bypass="allow")
def at_least_one(changes: list[Change[InvoiceLine]]) -> None:
    """An edit: most doors write a quantity of 0."""
    for change in changes:
        if change.new["quantity"] < 1:
            change.new["quantity"] = 1


@book.check("link", Playlist.tracks)
def no_videos(changes: list[LinkChange]) -> None:
    """What costs more than a dollar is a video."""
    refused = [
        ValidationError(change.subject, {"tracks": f"{change.object.name} is a video"})
        for change in changes
        if change.object.unit_price > 1
    ]
    if refused:
        raise ValidationError.gather(refused)


def counting(phase: str) -> Callable[[list[Any]], None]:
    """A hook that counts."""

    def count(changes: list[Any]) -> None:
        passed[phase] += len(changes)

    return count


for phase in PHASES:
    for event, target in (("write", InvoiceLine), ("link", Playlist.tracks)):
        policy = "allow" if phase == "before" else "capture"
        book.add(counting(phase), phase, event, target, name=f"count {event} in {phase}", bypass=policy)


def through_every_door(store: Store) -> None:
    """Three rows at each door, and three that must be refused. Hooks are told of all, in each phase."""
    sessions = sessionmaker[Session](store.engine)
    attach(book, sessions)
    walk = Walk(store, sessions)
    with book.context(user="the turnstile"):
        for door in DOORS:
            walk.through(door)
        walk.without_capture()
        walk.with_capture()
    store.console.print(walk.table)


class Walk:
    """Goes from door to door.

    Args:
        store: The database, as seen without hooks.
        sessions: Makes sessions with the rules, and with those who count.

    Attributes:
        table: What was found at each door.
    """

    def __init__(self, store: Store, sessions: sessionmaker[Session]) -> None:
        self.store, self.sessions = store, sessions
        self.table = Table("door", padding=(0, 1, 0, 0))
        for title in (*PHASES, "refused", "written"):
            self.table.add_column(title.replace("_", "\n"), justify="right")

    def through(self, door: Door) -> None:
        """Write at one door what must not be, then what may be, and compare."""
        name = door.__name__.replace("_", " ").replace("orm", "ORM").replace("core", "Core")
        at = self._place(name)
        before = self._everything(at)
        refused = self._refused(door, at)
        untouched = self._everything(at) == before
        passed.clear()
        with self.sessions.begin() as session:
            door(session, at, GOOD)
        if door is secondary_table:
            written, followed = self._links(at), self._playlist_is_right(at)
        else:
            written, followed = self._lines(at, GOOD), self._invoice_is_right(at, before)
        right = refused == written == EACH and untouched and followed
        self._compare(name, ALL, refused, written, right=right)

    def without_capture(self) -> None:
        """Raw SQL and a cascade of the database: the one is not sent, and of the other nobody hears."""
        at, refused = self._place("raw SQL"), 0
        passed.clear()
        try:
            with self.sessions.begin() as session:
                raw_sql(session, at, GOOD)
        except BypassError:
            refused = EACH
        self._compare("raw SQL", NONE, refused, self._lines(at, GOOD), right=refused == EACH)
        at = self._place("a cascade")
        passed.clear()
        with self.sessions.begin() as session:
            cascade(session, at)
        self._compare("database cascade", NONE, 0, EACH - self._lines(at))

    def with_capture(self) -> None:
        """The same two, with triggers on the lines: all phases but `before`, which would have come too late."""
        lines = capture(InvoiceLine)
        lines.install(self.store.engine)
        self.sessions = sessionmaker[Session](self.store.engine)
        attach(book, self.sessions, capture=lines)
        at = self._place("raw SQL, captured")
        before = self._everything(at)
        refused = self._refused(raw_sql, at)
        untouched = self._everything(at) == before
        passed.clear()
        with self.sessions.begin() as session:
            raw_sql(session, at, GOOD)
        right = refused == EACH and untouched and self._invoice_is_right(at, before)
        self._compare("raw SQL, captured", LATE, refused, self._lines(at, GOOD), right=right)
        at = self._place("a cascade, captured")
        audited = self._audited()
        passed.clear()
        with self.sessions.begin() as session:
            cascade(session, at)
        right = self._audited() == audited + EACH
        self._compare("cascade, captured", LATE, 0, EACH - self._lines(at), right=right)
        lines.remove(self.store.engine)

    def _place(self, name: str) -> Place:
        """An invoice and a playlist of one door's own."""
        with self.sessions.begin() as session:
            lines = [InvoiceLine(track_id=track, unit_price=Decimal("0.99"), quantity=2) for track in (1, 2, 3)]
            invoice = Invoice(customer_id=1, invoicedate=date(2013, 1, 1), lines=lines)
            playlist = Playlist(name=f"Tried through {name}")
            session.add_all([invoice, playlist])
            session.flush()
            return Place(invoice.id, tuple(line.id for line in lines), playlist.id)

    def _refused(self, door: Door, at: Place) -> int:
        """How many rows are refused of those that should be."""
        try:
            with self.sessions.begin() as session:
                door(session, at, BAD)
        except ValidationError as error:
            return len(error.problems)
        return 0

    def _compare(
        self, name: str, expected: tuple[int, ...], refused: int, written: int, *, right: bool = True
    ) -> None:  # fmt: skip
        """Compare what was counted with what should be, and show both.

        Args:
            name: Of the door.
            expected: How many changes hooks should have been told of, by phase.
            refused: How many rows were refused.
            written: How many rows the database has of what was not refused.
            right: Whether everything else is as it should be.
        """
        told = tuple(passed[phase] for phase in PHASES)
        right = right and told == expected
        self.table.add_row(name, *map(str, (*told, refused, written)), style=None if right else "bold red")
        self.store.check(right, f"{name}: {refused} refused, {written} written, hooks told in {HOW[expected]}")

    # -- what the database says

    def _lines(self, at: Place, price: Decimal | None = None) -> int:
        """The lines of the invoice; only those of a price, with the quantity that the rule gave them."""
        question = "select count(*) from invoice_line where invoice_id = :i"
        if price is None:
            return int(self.store.ask(question, i=at.invoice))
        return int(self.store.ask(f"{question} and unit_price = :p and quantity = 1", i=at.invoice, p=int(price * 100)))

    def _links(self, at: Place) -> int:
        return int(self.store.ask("select count(*) from playlist_track where playlist_id = :p", p=at.playlist))

    def _audited(self) -> int:
        return int(self.store.ask("select count(*) from audit_entry where model = 'InvoiceLine'"))

    def _everything(self, at: Place) -> tuple[int, int, int, int]:
        cents = self.store.ask("select sum(unit_price) from invoice_line where invoice_id = :i", i=at.invoice)
        return self._lines(at), int(cents), self._links(at), self._audited()

    def _invoice_is_right(self, at: Place, before: tuple[int, int, int, int]) -> bool:
        """Whether the rules did what follows from new lines: a total, and an audit trail."""
        question = """
            select count(*) from invoice where id = :i and total = (
                select sum(unit_price * quantity) from invoice_line where invoice_id = invoice.id)"""
        return bool(self.store.ask(question, i=at.invoice)) and self._audited() == before[3] + EACH

    def _playlist_is_right(self, at: Place) -> bool:
        """Whether the playlist has counted its tracks."""
        return bool(self.store.ask("select track_count from playlist where id = :p", p=at.playlist) == EACH)
