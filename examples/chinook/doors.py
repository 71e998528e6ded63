"""The doors: the ways that three lines of an invoice, or three tracks of a playlist, can be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from models import Invoice, InvoiceLine, Money, Track, playlist_track
from sqlalchemy import bindparam, delete, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

EACH = 3
"""Rows that are written at each door."""

GOOD, BAD = Decimal("0.49"), Decimal("-0.49")
"""Prices: one that the rules let pass, and one that they refuse."""

FREE_KEY = 1_000_000
"""Of no line yet."""


@dataclass(frozen=True)
class Place:
    """Where a door writes: an invoice with three lines, and an empty playlist.

    Attributes:
        invoice: The key of the invoice.
        lines: The keys of its lines.
        playlist: The key of the playlist.
    """

    invoice: int
    lines: tuple[int, ...]
    playlist: int

    def new_lines(self, price: Decimal) -> list[dict[str, Any]]:
        """Rows to be inserted."""
        return [
            {"invoice_id": self.invoice, "track_id": track, "unit_price": price, "quantity": 0}
            for track in range(1, EACH + 1)
        ]

    def known_lines(self, price: Decimal) -> list[dict[str, Any]]:
        """Rows to be updated, by primary key."""
        return [{"id": line, "unit_price": price, "quantity": 0} for line in self.lines]


Door = Callable[[Session, Place, Decimal], None]


def unit_of_work(session: Session, at: Place, price: Decimal) -> None:
    for line in session.get_one(Invoice, at.invoice).lines:
        line.unit_price, line.quantity = price, 0


def orm_by_criteria(session: Session, at: Place, price: Decimal) -> None:
    session.execute(
        update(InvoiceLine).where(InvoiceLine.invoice_id == at.invoice).values(unit_price=price, quantity=0)
    )


def orm_by_key(session: Session, at: Place, price: Decimal) -> None:
    session.execute(update(InvoiceLine), at.known_lines(price))


def orm_insert_list(session: Session, at: Place, price: Decimal) -> None:
    session.execute(insert(InvoiceLine), at.new_lines(price))


def orm_insert_select(session: Session, at: Place, price: Decimal) -> None:
    copied = select(InvoiceLine.invoice_id, InvoiceLine.track_id, literal(price, Money), literal(1)).where(
        InvoiceLine.invoice_id == at.invoice
    )
    session.execute(insert(InvoiceLine).from_select(["invoice_id", "track_id", "unit_price", "quantity"], copied))


def older_query_update(session: Session, at: Place, price: Decimal) -> None:
    session.query(InvoiceLine).filter_by(invoice_id=at.invoice).update({"unit_price": price, "quantity": 0})


def older_bulk_insert(session: Session, at: Place, price: Decimal) -> None:
    session.bulk_insert_mappings(InvoiceLine, at.new_lines(price))


def older_bulk_update(session: Session, at: Place, price: Decimal) -> None:
    session.bulk_update_mappings(InvoiceLine, at.known_lines(price))


def older_bulk_save(session: Session, at: Place, price: Decimal) -> None:
    session.bulk_save_objects([InvoiceLine(**line) for line in at.new_lines(price)])


def core_by_session(session: Session, at: Place, price: Decimal) -> None:
    table = InvoiceLine.__table__
    session.execute(update(table).where(table.c.invoice_id == at.invoice).values(unit_price=price, quantity=0))


def core_by_connection(session: Session, at: Place, price: Decimal) -> None:
    table = InvoiceLine.__table__
    statement = update(table).where(table.c.id == bindparam("line")).values(unit_price=bindparam("price"), quantity=0)
    session.connection().execute(statement, [{"line": line, "price": price} for line in at.lines])


def core_insert(session: Session, at: Place, price: Decimal) -> None:
    session.connection().execute(insert(InvoiceLine.__table__), at.new_lines(price))


def upsert(session: Session, at: Place, price: Decimal) -> None:
    """Two of the lines are there already, the third is new."""
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    *there, _ = at.lines
    rows = [{"id": key} | line for key, line in zip([*there, FREE_KEY], at.new_lines(price), strict=True)]
    statement = dialect.insert(InvoiceLine).values(rows)
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"unit_price": new.unit_price, "quantity": new.quantity}
        )
    )


def secondary_table(session: Session, at: Place, price: Decimal) -> None:
    """No lines here, but links: three tracks onto a playlist, or three videos."""
    wanted = Track.unit_price < 1 if price == GOOD else Track.unit_price > 1
    tracks = session.scalars(select(Track.id).where(wanted).order_by(Track.id).limit(EACH)).all()
    session.execute(insert(playlist_track), [{"playlist_id": at.playlist, "track_id": track} for track in tracks])


def raw_sql(session: Session, at: Place, price: Decimal) -> None:
    """Not among the others: hooks do not see it without capture."""
    statement = text("update invoice_line set unit_price = :cents, quantity = 1 where invoice_id = :invoice")
    session.execute(statement, {"cents": int(price * 100), "invoice": at.invoice})


def cascade(session: Session, at: Place) -> None:
    """Likewise: an invoice takes its lines along, and no statement says so."""
    session.execute(delete(Invoice).where(Invoice.id == at.invoice))


DOORS: tuple[Door, ...] = (
    unit_of_work,
    orm_by_criteria,
    orm_by_key,
    orm_insert_list,
    orm_insert_select,
    older_query_update,
    older_bulk_insert,
    older_bulk_update,
    older_bulk_save,
    core_by_session,
    core_by_connection,
    core_insert,
    upsert,
    secondary_table,
)
