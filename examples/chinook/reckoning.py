"""Does the database say what the data says? Asked in plain SQL, on a connection without hooks."""

from __future__ import annotations

from decimal import Decimal

from load import STAGES, Fixture
from models import Invoice
from rich.table import Table
from store import Store

ROWS = 15_607

#: Each counts the rows that break a rule, so each must be 0.
BREACHES = {
    "every invoice's total is the sum of its lines": """
        select count(*) from invoice where total <> (
            select coalesce(sum(unit_price * quantity), 0)
            from invoice_line where invoice_id = invoice.id)""",
    "every playlist's track count is right": """
        select count(*) from playlist where track_count <> (
            select count(*) from playlist_track where playlist_id = playlist.id)""",
    "every support representative is support staff": """
        select count(*) from customer left join employee on employee.id = support_rep_id
        where employee.title is null or employee.title <> 'Sales Support Agent'""",
    "no price is negative": "select count(*) from track where unit_price < 0",
    "no city has a space too many": "select count(*) from invoice where billingcity <> trim(billingcity)",
}


def reckon_load(store: Store, fixture: Fixture) -> None:
    """Compare the loaded tables with the data, count by count and sum by sum."""
    counts = {model.__tablename__: fixture.count(model) for models in STAGES.values() for model in models}
    counts["playlist_track"] = len(fixture.playlist_tracks())
    found = {table: store.ask(f"select count(*) from {table}") for table in counts}
    store.console.print(_table(counts, found))
    store.check(found == counts, f"{len(counts)} tables have as many rows as the data")
    store.check(sum(found.values()) == len(fixture) == ROWS, f"{ROWS:,} rows in all")
    _check_totals(store, fixture)
    audited = ROWS - counts["playlist_track"]
    entries = store.ask("select count(*) from audit_entry where event = 'insert' and who = 'the loader'")
    store.check(entries == audited, f"the audit trail has {audited:,} entries, one for each row but the links")
    slugs = store.ask("select count(distinct slug) from playlist")
    store.check(slugs == counts["playlist"], f"{slugs} playlists have {slugs} slugs, though some share a name")


def reckon_rules(store: Store) -> None:
    """Look for rows that break a rule."""
    for claim, breaches in BREACHES.items():
        store.check(store.ask(breaches) == 0, claim)


def _check_totals(store: Store, fixture: Fixture) -> None:
    expected = {row["id"]: row["total"] for row in fixture.rows(Invoice)}
    right = sum(
        Decimal(store.ask("select total from invoice where id = :id", id=key)) / 100 == total
        for key, total in expected.items()
    )
    store.check(
        right == len(expected),
        f"{right} invoices, totalled by a rule, come to {sum(expected.values())}, as in the data",
    )


def _table(counts: dict[str, int], found: dict[str, int]) -> Table:
    table = Table("table", title="What was loaded", title_justify="left")
    table.add_column("in the data", justify="right")
    table.add_column("in the database", justify="right")
    for name, count in counts.items():
        style = None if found[name] == count else "bold red"
        table.add_row(name, f"{count:,}", f"{found[name]:,}", style=style)
    return table
