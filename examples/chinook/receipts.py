"""A receipt for each invoice, as sure as the invoice itself.

The rule is durable: what it has to do is written down in the transaction that writes the invoice, and a worker in a
process of its own does it. The story kills the first worker half-way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

from models import Invoice, Receipt
from rich.table import Table
from rules import hooks
from sqlalchemy.orm import Session, sessionmaker
from store import Store

from hookline import Change, Delivery, Hooks
from hookline.sqlalchemy import Outbox, attach

INVOICES = 40
LEASE = 2.0
"""Seconds until what a dead worker had begun is taken over."""

post = Hooks("the post")
MAILBOX = "CHINOOK_MAILBOX"
"""Where receipts are sent: the environment variable with the path of a file."""


@post.durable("insert", Invoice)
def send_receipt(change: Change[Invoice], delivery: Delivery, session: Session) -> None:
    """Write to the world, which may hear it twice, and to the database, where it happens once."""
    with Path(os.environ[MAILBOX]).open("a", encoding="utf-8") as mailbox:
        mailbox.write(f"{delivery.id} {change.key}\n")
    session.add(Receipt(invoice_id=change.key, delivery=delivery.id))
    time.sleep(0.02)  # the post is slow, so that there is a half-way


def receipts(store: Store) -> None:
    """Receipts are sent by a worker. It is killed half-way, and a second one finishes."""
    Outbox().create_tables(store.engine)
    sessions = sessionmaker[Session](store.engine)
    attach(hooks, sessions)
    attach(post, sessions)
    wanted = _sell(sessions)
    store.check(_waiting(store) == INVOICES, f"{INVOICES} invoices, {INVOICES} receipts to be sent: no row, no commit")
    with tempfile.TemporaryDirectory() as folder:
        mailbox = Path(folder) / "mailbox"
        first = _worker(store, mailbox)
        _wait_for(store, INVOICES // 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        killed_at = store.ask("select count(*) from receipt")
        store.check(killed_at < INVOICES, f"the first worker is killed after {killed_at} receipts")
        second = _worker(store, mailbox)
        _wait_for(store, INVOICES)
        second.send_signal(signal.SIGTERM)
        store.check(second.wait(timeout=30) == 0, "the second worker finishes, and stops when it is told to")
        mail = [line.split() for line in mailbox.read_text("utf-8").splitlines()]
    with sessions() as session:
        kept = Counter(receipt.invoice_id for receipt in session.query(Receipt))
    heard = Counter(delivery for delivery, _ in mail)
    store.check(dict(kept) == dict.fromkeys(wanted, 1), "in the database, each receipt is there exactly once")
    repeats = len(mail) - len(heard)
    told = f"{repeats} of them twice, which its id tells" if repeats else "none of them twice, this time"
    store.check({int(key) for _, key in mail} == wanted and len(heard) == INVOICES, f"each was mailed, {told}")
    store.check(_waiting(store) == 0, "nothing is left to be done")
    store.console.print(_table(killed_at, len(kept), len(mail), len(heard)))


def _sell(sessions: sessionmaker[Session]) -> set[int]:
    """Invoices that are committed, and some that are not."""
    sold: set[int] = set()
    for _ in range(4):
        with sessions() as session:
            invoices = [Invoice(customer_id=1, invoicedate=date(2013, 12, 24)) for _ in range(INVOICES // 4)]
            session.add_all(invoices)
            session.commit()
            sold.update(invoice.id for invoice in invoices)
            session.add(Invoice(customer_id=2, invoicedate=date(2013, 12, 24)))
            session.flush()
            session.rollback()  # who did not buy gets no receipt
    return sold


def _worker(store: Store, mailbox: Path) -> subprocess.Popen[bytes]:
    url = store.engine.url.render_as_string(hide_password=False)
    program = Path(__file__).with_name("postman.py")
    return subprocess.Popen([sys.executable, str(program), url], env={**os.environ, MAILBOX: str(mailbox)})


def _wait_for(store: Store, receipts: int) -> None:
    deadline = time.monotonic() + 60
    while store.ask("select count(*) from receipt") < receipts:
        if time.monotonic() > deadline:
            raise TimeoutError(f"there should be {receipts} receipts by now")
        time.sleep(0.02)


def _waiting(store: Store) -> int:
    return int(store.ask("select count(*) from hookline_delivery where state < 2"))


def _table(killed_at: int, kept: int, mails: int, distinct: int) -> Table:
    table = Table("receipts", padding=(0, 1, 0, 0))
    table.add_column("", justify="right")
    for what, count in (
        ("in the database when the first worker was killed", killed_at),
        ("in the database in the end", kept),
        ("mails", mails),
        ("mails, told apart by delivery.id", distinct),
    ):
        table.add_row(what, str(count))
    return table
