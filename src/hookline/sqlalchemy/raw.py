"""Raw SQL: what it would go around is found out before it is sent, and dealt with as the policies say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, TextualSelect
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import CTE, SelectBase

from hookline.sqlalchemy.bypass import judge
from hookline.sqlalchemy.reading.text import Reading, read
from hookline.sqlalchemy.skipped import Skipped, TableWrite, skipped_by

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


def guard_raw(host: SessionHost, connection: Connection, statement: str, context: Any) -> None:
    """Deal with a statement that no other door looks into, before it is sent.

    That is: text, and statements that hide a write in a part of them. An INSERT, UPDATE or DELETE construct itself
    passes.

    Args:
        host: The session that sends it.
        connection: Through what.
        statement: The text that the driver is given.
        context: SQLAlchemy's execution context.

    Raises:
        BypassError: It would go around a hook whose policy refuses that.
    """
    if not (host.attachment.book.plan.hooks or host.attachment.book.sources.all):
        return
    construct = None if context.compiled is None else context.compiled.statement
    if isinstance(construct, FromStatement):
        construct = construct.element
    if isinstance(construct, (UpdateBase, SelectBase)) and not isinstance(construct, TextualSelect):
        if not context.compiled.ctes:
            return
        writes, texts = _hidden(host, connection, context.compiled.ctes)
    else:
        writes, texts = [], [read(connection.dialect.name, statement)]
    for reading in texts:
        writes += [
            TableWrite(table, write.event, write.columns)
            for write in reading.writes
            for table in host.schema.tables.named(write, connection)
        ]
    unread = next((reading.unread for reading in texts if reading.unread), "")
    if unread:
        judge(
            host, statement, _all_hooks(host),
            f"hooks do not see raw SQL. It could not be read ({unread}), so it may write to any table.",
        )  # fmt: skip
    elif writes:
        skipped = chain.from_iterable(skipped_by(host, connection, one) for one in writes)
        judge(host, statement, skipped, "hooks do not see raw SQL.")


def _hidden(host: SessionHost, connection: Connection, ctes: Iterable[CTE]) -> tuple[list[TableWrite], list[Reading]]:
    """The writes in the common table expressions of a statement: those of constructs, and texts."""
    writes: list[TableWrite] = []
    texts: list[Reading] = []
    for cte in ctes:
        element: Any = cte.element
        if isinstance(element, UpdateBase):
            tables = host.schema.tables.meant(element.table, connection)
            writes += [TableWrite(table, event) for table in tables for event in _events(element)]
        elif isinstance(element, TextualSelect):
            texts.append(read(connection.dialect.name, str(element.element)))
    return writes, texts


def _events(construct: Any) -> Iterator[str]:
    yield "insert" if construct.is_insert else "update" if construct.is_update else "delete"
    instead = getattr(construct, "_post_values_clause", None)
    if instead is not None and not instead.__visit_name__.endswith("do_nothing"):
        yield "update"


def _all_hooks(host: SessionHost) -> Iterator[Skipped]:
    """Every hook: what goes around an unknown table may go around any of them."""
    for hook in host.plan.ordered:
        sources = [target if isinstance(target, type) else None for target in hook.targets]
        yield from (Skipped(hook, source) for source in sources or [None])
