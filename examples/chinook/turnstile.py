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

from doors import BAD, DOORS, EACH, GOOD, Door, Place, secondary_table
from models import Invoice, InvoiceLine, Playlist
from rich.table import Table
from rules import hooks
from sqlalchemy import delete, text
from sqlalchemy.orm import Session, sessionmaker
from store import Store

from hookline import BypassError, Change, Hooks, LinkChange, ValidationError
from hookline.sqlalchemy import attach

PHASES = ("before", "check", "after", "before_commit", "after_commit")

book = Hooks("at the doors", bypass="refuse")  # raw SQL that would go around a rule is not sent
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
        book.add(counting(phase), phase, event, target, name=f"count {event} in {phase}", bypass="allow")


def through_every_door(store: Store) -> None:
    """Three rows at each door: five phases are told of each, and three mistakes are refused."""
    sessions = sessionmaker[Session](store.engine)
    attach(book, sessions)
    walk = Walk(store, sessions)
    with book.context(user="the turnstile"):
        for door in DOORS:
            walk.through(door)
        walk.through_what_is_not_followed()
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
        self.table = Table("door")
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
        followed = self._playlist_is_right(at) if door is secondary_table else self._invoice_is_right(at, before)
        written = self._links(at) if door is secondary_table else self._lines(at, GOOD)
        told = self._row(name, refused, written)
        right = told == [EACH] * len(PHASES) and (refused, written) == (EACH, EACH) and untouched and followed
        self.store.check(right, f"{name}: {EACH} rows, told of in {len(PHASES)} phases; {EACH} refused without a trace")

    def through_what_is_not_followed(self) -> None:
        """Raw SQL, which the policy of the book refuses, and what the database deletes by itself.

        These are the two doors at which capturing the lines makes a difference.
        """
        at = self._place("raw SQL")
        passed.clear()
        refused = 0
        try:
            with self.sessions.begin() as session:
                cheaper = text("update invoice_line set unit_price = 49, quantity = 1 where invoice_id = :invoice")
                session.execute(cheaper, {"invoice": at.invoice})
        except BypassError:
            refused = EACH
        told, written = self._row("raw SQL, by policy", refused, self._lines(at, GOOD)), self._lines(at, GOOD)
        self.store.check((sum(told), refused, written) == (0, EACH, 0), "raw SQL: refused, and not sent")

        at = self._place("a cascade")
        passed.clear()
        with self.sessions.begin() as session:
            session.execute(delete(Invoice).where(Invoice.id == at.invoice))
        gone = EACH - self._lines(at)
        told = self._row("cascade of the database", 0, gone)
        self.store.check((sum(told), gone) == (0, EACH), f"cascade: {gone} lines are gone, and nobody was told: not yet")

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

    def _row(self, name: str, refused: int, written: int) -> list[int]:
        told = [passed[phase] for phase in PHASES]
        self.table.add_row(name, *map(str, told), str(refused), str(written))
        return told

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
