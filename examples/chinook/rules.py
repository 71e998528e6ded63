"""The rule book of the store: all that is always true of its data, in one place.

Read it from top to bottom. Each rule says when it runs (the phase), on what (the event and its target), and
what it does. None is called by anyone: Hookline runs it on every write it concerns. A rule that takes
``changes`` runs once for a whole batch of rows, one that takes ``change`` once for each.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

from models import (
    Album,
    Artist,
    AuditEntry,
    Customer,
    Employee,
    Genre,
    Invoice,
    InvoiceLine,
    MediaType,
    Player,
    Playlist,
    Track,
)
from sqlalchemy import func, select, type_coerce
from sqlalchemy.orm import Session

from hookline import Change, Hooks, LinkChange, Transaction, ValidationError, changed

hooks = Hooks("chinook")


# --- before: complete what was written -----------------------------------------------------------


@hooks.before("save", (Employee, Customer, Invoice))
def strip_spaces(change: Change[Any]) -> None:
    """The data has eight cities with a space too many."""
    for field, value in change.new.items():
        if isinstance(value, str) and value != value.strip():
            change.new[field] = value.strip()


@hooks.before("insert", (Artist, Album, Playlist))
def fill_in_slug(changes: list[Change[Any]], session: Session, tx: Transaction) -> None:
    """``Music``, and the second one of that name: ``music``, ``music-2``."""
    for change in changes:
        taken = _taken_slugs(change.model, session, tx)
        slug = plain = _slugify(change.new["title" if change.model is Album else "name"])
        number = 1
        while slug in taken:
            number += 1
            slug = f"{plain}-{number}"
        taken.add(slug)
        change.new["slug"] = slug


def _slugify(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", plain.lower())) or "untitled"


def _taken_slugs(model: Any, session: Session, tx: Transaction) -> set[str]:
    """One query for each model and transaction: ``tx.data`` is forgotten when the transaction ends."""
    taken: dict[Any, set[str]] = tx.data.setdefault("taken slugs", {})
    if model not in taken:
        taken[model] = set(session.scalars(select(model.slug)))
    return taken[model]


# --- check: refuse what must not be --------------------------------------------------------------


@hooks.check("save", (Track, InvoiceLine), when=changed("unit_price"), category="integrity")
def no_negative_price(change: Change[Any]) -> None:
    if change.new["unit_price"] < 0:
        raise ValidationError(change.entity, {"unit_price": "must not be negative"})


@hooks.check("link", Customer.support_rep, category="integrity")
def support_rep_is_support_staff(change: LinkChange) -> None:
    employee = change.object
    if employee is None:
        raise ValidationError(change.subject, {"support_rep": "there is no such employee"})
    if employee.title != "Sales Support Agent":
        reason = f"{employee.fullname} is not in support: {employee.title}"
        raise ValidationError(change.subject, {"support_rep": reason})


@hooks.before_commit("link", Employee.reports_to, category="integrity")
def no_cycle_in_who_reports_to_whom(change: LinkChange) -> None:
    """Looked at once, when all links of the transaction are set: on the way there, anything goes."""
    chain, boss = [change.subject], change.object
    while boss is not None and boss not in chain:
        chain.append(boss)
        boss = boss.reports_to
    if boss is not None:
        names = " → ".join(employee.firstname for employee in [*chain, boss])
        raise ValidationError(change.subject, {"reports_to": f"goes round in a circle: {names}"})


# --- after: keep what follows from it ------------------------------------------------------------


@hooks.after("write", InvoiceLine)
def keep_invoice_totals(changes: list[Change[InvoiceLine]], session: Session) -> None:
    """Two queries, however many lines were written, and whichever invoice they were moved from.

    The first waits for whoever else is adding lines to the same invoices: a sum without theirs would replace one with.
    """
    invoices = {row["invoice_id"] for change in changes for row in (change.old, change.new) if row}
    ours = select(Invoice.id).where(Invoice.id.in_(invoices)).order_by(Invoice.id)
    session.execute(ours.with_for_update(key_share=True))
    total = func.coalesce(func.sum(InvoiceLine.unit_price * InvoiceLine.quantity), 0)
    for invoice, amount in session.execute(
        select(Invoice, type_coerce(total, Invoice.total.type))
        .outerjoin(Invoice.lines)
        .where(Invoice.id.in_(invoices))
        .group_by(Invoice.id)
    ):
        invoice.total = amount


@hooks.after("link", Playlist.tracks)
def count_added_tracks(changes: list[LinkChange]) -> None:
    for playlist, number in Counter(change.subject for change in changes).items():
        playlist.track_count += number


@hooks.after("unlink", Playlist.tracks)
def count_removed_tracks(changes: list[LinkChange]) -> None:
    for playlist, number in Counter(change.subject for change in changes).items():
        playlist.track_count -= number


# --- before_commit: what the transaction did, in the end -----------------------------------------

AUDITED = (Genre, MediaType, Artist, Album, Track, Playlist, Employee, Customer, Invoice, InvoiceLine)


@hooks.before_commit("write", AUDITED)
def keep_audit_trail(changes: list[Change[Any]], session: Session, user: str) -> None:
    """``user`` is nobody's parameter: it comes from ``with hooks.context(user=...)``, wherever that was."""
    for change in changes:
        model, fields = change.model.__name__, _edits(change)
        session.add(AuditEntry(who=user, event=change.event, model=model, key=change.key, fields=fields))


def _edits(change: Change[Any]) -> dict[str, Any]:
    if change.event != "update":
        return {}
    return {field: [str(change.old[field]), str(change.new[field])] for field in sorted(change.fields)}


# --- after_commit: tell the world, once it is true -----------------------------------------------


@hooks.after_commit("link", Player.track)
def announce_now_playing(change: LinkChange, loudspeaker: Callable[[str], None]) -> None:
    track = change.object
    loudspeaker(f"{track.name}, by {track.album.artist.name}")
