"""What a store lives through, each told in one transaction or two, and checked in plain SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from models import Customer, Employee, Invoice, InvoiceLine, Player, Track
from rich.table import Table
from sqlalchemy.orm import Session
from store import Store

from hookline import ValidationError

AUDIT_ENTRIES = "select count(*) from audit_entry"


def tell_all(store: Store) -> None:
    for story in (now_playing, refusals, savepoint, there_and_back, three_saves, withdrawn_track):
        store.heard.clear()
        store.tell(story.__name__.replace("_", " ").capitalize(), story.__doc__)
        story(store)


def now_playing(store: Store) -> None:
    """The loudspeaker speaks after the commit, never before."""
    with store.sessions() as session:
        session.add(Player(id=1, track_id=1))
        session.flush()
        store.check(store.heard == [], "written, but not committed: silence")
        session.commit()
        store.check(len(store.heard) == 1, "committed: announced")
        _player(session).track_id = 2
        session.flush()
        session.rollback()
    store.check(len(store.heard) == 1, "rolled back: never announced")


# --- refusals ------------------------------------------------------------------------------------


def negative_price(session: Session) -> None:
    session.get_one(Track, 1).unit_price = Decimal("-0.99")


def support_by_it_staff(session: Session) -> None:
    session.get_one(Customer, 1).support_rep = session.get_one(Employee, 7)


def support_by_nobody(session: Session) -> None:
    session.get_one(Customer, 1).support_rep_id = 99


def boss_reports_to_agent(session: Session) -> None:
    session.get_one(Employee, 1).reports_to_id = 3


def two_mistakes_at_once(session: Session) -> None:
    with session.no_autoflush:  # so that both are written together
        negative_price(session)
        support_by_it_staff(session)


def email_of_another(session: Session) -> None:
    session.get_one(Customer, 1).email = session.get_one(Customer, 2).email


ATTEMPTS: dict[Callable[[Session], None], set[str]] = {
    negative_price: {"unit_price"},
    support_by_it_staff: {"support_rep"},
    support_by_nobody: {"support_rep"},
    boss_reports_to_agent: {"reports_to"},
    two_mistakes_at_once: {"unit_price", "support_rep"},
    email_of_another: {"email"},  # no rule of ours: the database's own constraint, told in the same way
}


def refusals(store: Store) -> None:
    """What is refused is refused by field, and leaves nothing behind."""
    entries = store.ask(AUDIT_ENTRIES)
    table = Table("attempt", "field", "why not")
    for attempt, fields in ATTEMPTS.items():
        refused = _refused(store, attempt, table)
        store.check(refused == fields, f"refused: {attempt.__name__.replace('_', ' ')}")
    store.console.print(table)
    store.check(store.ask(AUDIT_ENTRIES) == entries, "the database is as it was")


def _refused(store: Store, attempt: Callable[[Session], None], table: Table) -> set[str]:
    try:
        with store.sessions.begin() as session:
            attempt(session)
    except ValidationError as error:
        name = attempt.__name__.replace("_", " ")
        for problem in error.problems:
            table.add_row(name, f"{type(problem.entity).__name__}.{problem.field}", problem.text)
            name = ""
        return {problem.field for problem in error.problems}
    return set()


# --- what a transaction did in the end -----------------------------------------------------------


def savepoint(store: Store) -> None:
    """A customer buys two tracks; a third, bought ten times, is put back."""
    entries = store.ask(AUDIT_ENTRIES)
    with store.sessions.begin() as session:
        invoice = Invoice(customer_id=1, invoicedate=date(2012, 1, 1), lines=[_line(1), _line(2)])
        session.add(invoice)
        session.flush()
        third = session.begin_nested()
        invoice.lines.append(_line(3, quantity=10))
        _player(session).track_id = 3
        session.flush()
        store.check(invoice.total == Decimal("11.88"), "inside the savepoint, the invoice is about 11.88")
        third.rollback()
    total = store.ask("select max(total) from invoice where id > 412")
    store.check(total == 198, "after it, about 1.98")
    store.check(store.ask(AUDIT_ENTRIES) == entries + 3, "audited: an invoice and two lines, not the third")
    store.check(store.heard == [], "the track that was put back is not announced")


def there_and_back(store: Store) -> None:
    """A price goes down and up again; the player skips forward and back."""
    entries = store.ask(AUDIT_ENTRIES)
    with store.sessions.begin() as session:
        track, player = session.get_one(Track, 1), _player(session)
        for price, playing in (("0.50", 2), ("0.99", 1)):
            track.unit_price, player.track_id = Decimal(price), playing
            session.flush()
    store.check(store.ask(AUDIT_ENTRIES) == entries, "nothing to audit")
    store.check(store.heard == [], "nothing to announce")


def three_saves(store: Store) -> None:
    """A price goes up in three steps; the player skips three times."""
    entries = store.ask(AUDIT_ENTRIES)
    with store.sessions.begin() as session:
        track, player = session.get_one(Track, 1), _player(session)
        for price, playing in (("1.09", 2), ("1.19", 3), ("1.29", 4)):
            track.unit_price, player.track_id = Decimal(price), playing
            session.flush()
    store.check(store.ask(AUDIT_ENTRIES) == entries + 1, "one entry in the audit trail")
    last = store.ask("select fields from audit_entry order by id desc limit 1")
    store.check('["0.99", "1.29"]' in str(last).replace("'", '"'), "from 0.99 to 1.29, in one step")
    store.check(len(store.heard) == 1, "one announcement: the track that is playing now")


def withdrawn_track(store: Store) -> None:
    """A track that nobody ever bought is deleted; its playlists must notice."""
    unsold = store.ask("select max(id) from track where id not in (select track_id from invoice_line)")
    links = store.ask("select count(*) from playlist_track where track_id = :id", id=unsold)
    counted = store.ask("select sum(track_count) from playlist")
    with store.sessions.begin() as session:
        session.delete(session.get_one(Track, unsold))
    store.check(
        counted - store.ask("select sum(track_count) from playlist") == links > 0,
        f"{links} playlists count one track less",
    )


def _player(session: Session) -> Player:
    return session.get_one(Player, 1)


def _line(track: int, quantity: int = 1) -> InvoiceLine:
    return InvoiceLine(track_id=track, unit_price=Decimal("0.99"), quantity=quantity)
