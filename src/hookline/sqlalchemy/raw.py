"""Raw SQL: what it would go around is found out before it is sent, and dealt with as the policies say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, TextualSelect
from sqlalchemy.orm import FromStatement
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import CTE, SelectBase

from hookline.core.bypass import policy_of
from hookline.core.events import COMMIT_PHASES
from hookline.errors import BypassError, UnhookedWriteWarning
from hookline.sqlalchemy.reading.text import Reading, read
from hookline.sqlalchemy.skipped import Skipped, TableWrite, skipped_by
from hookline.sqlalchemy.warn import warn

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.sqlalchemy.host import SessionHost

_SHOWN: Final = 5
"""How many hooks a message names."""

_STATEMENT: Final = 120
"""How many characters of a statement a message shows."""

_ADVICE: Final = (
    "Write through the session, or by a construct such as update(Model); or capture the model, which shows all "
    "writes to `check`, `after` and the commit phases; or, where it is meant, give the hooks bypass='allow'."
)


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
    if not host.attachment.book.plan.hooks:
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
        _judge(host, statement, _all_hooks(host), f" It could not be read ({unread}), so it may write to any table.")
    elif writes:
        _judge(host, statement, chain.from_iterable(skipped_by(host, connection, one) for one in writes), "")


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
    for hook in host.attachment.book.plan.ordered:
        sources = [target if isinstance(target, type) else None for target in hook.targets]
        yield from (Skipped(hook, source) for source in sources or [None])


def _judge(host: SessionHost, statement: str, skipped: Iterable[Skipped], remark: str) -> None:
    """Do with a statement as the strictest policy says of the hooks that it would go around."""
    attachment = host.attachment
    control = attachment.book.surroundings.control
    warned: dict[Hook, None] = {}
    refused: dict[Hook, str] = {}
    for hook, source in skipped:
        if control is not None and not control.permits(hook.category, hook.protected):
            continue
        policy = policy_of(hook, attachment.book.bypass)
        captured = source is not None and attachment.captured(source)
        if captured and (hook.phase in COMMIT_PHASES or policy == "capture"):
            continue
        if policy == "warn":
            warned[hook] = None
        elif policy == "refuse":
            refused.setdefault(hook, "bypass='refuse'")
        elif policy == "capture":
            refused.setdefault(hook, f"bypass='capture', but nothing captures {_named(source)}: it needs capture()")
    around = [hook for hook in attachment.book.plan.ordered if hook in warned or hook in refused]
    if refused:
        hook, reason = next(iter(refused.items()))
        raise BypassError(
            f"{_goes_around(statement, around)}, and was not sent: {hook} has {reason}.{remark} {_ADVICE}"
        )
    if around:
        warn(f"{_goes_around(statement, around)}: hooks do not see raw SQL.{remark} {_ADVICE}", UnhookedWriteWarning)


def _goes_around(statement: str, hooks: list[Hook]) -> str:
    text = " ".join(statement.split())
    text = text if len(text) <= _STATEMENT else f"{text[: _STATEMENT - 3]}..."
    more = f" and {len(hooks) - _SHOWN} more hooks" if len(hooks) > _SHOWN else ""
    return f"The statement {text!r} goes around {', '.join(map(str, hooks[:_SHOWN]))}{more}"


def _named(source: Any) -> str:
    if source is None:
        return "what it is about"
    return source.__name__ if isinstance(source, type) else f"table {source.name}"
