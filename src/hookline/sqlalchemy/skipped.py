"""The hooks that a write to a table concerns, if the write does not come through the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session

from hookline.core.events import LINK_EVENTS, PHASES
from hookline.core.hook import Hook

if TYPE_CHECKING:
    from hookline.sqlalchemy.facts import Facts
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.relations import SQLRelation

_LINKS: Final = {"insert": ("link",), "update": LINK_EVENTS, "delete": ("unlink",)}
"""What writing to a table that has links in it may do to them."""


class Skipped(NamedTuple):
    """A hook that a write goes around.

    Attributes:
        hook: The hook.
        source: The class whose rows are written, or the secondary table; None if nobody knows.
        table: The table that is written; None if nobody knows.
    """

    hook: Hook
    source: type | Table | None
    table: Table | None = None


class TableWrite(NamedTuple):
    """A write to a table.

    Attributes:
        table: The table.
        event: ``insert``, ``update`` or ``delete``.
        columns: Those that are assigned, as the database has their names; None if that is not known.
    """

    table: Table
    event: str
    columns: frozenset[str] | None = None


def skipped_by(host: SessionHost, connection: Connection, write: TableWrite) -> Iterator[Skipped]:
    """The hooks that a write goes around; a hook may come several times, for several classes."""
    if not _is_elsewhere(host.session, connection, write.table):
        yield from _of_rows(host, write)
        if host.plan.concerns_links:
            yield from _of_links(host, write)


def _of_rows(host: SessionHost, write: TableWrite) -> Iterator[Skipped]:
    for mapper in host.schema.tables.mappers_of(write.table):
        if write.event == "insert" and not _completes(mapper, write.table):
            continue
        facts = host.schema.facts(mapper.class_)
        for phase in PHASES:
            for hook in host.plan.for_row(phase, write.event, mapper.class_):
                if not _leaves_alone(write, facts, hook):
                    yield Skipped(hook, mapper.class_, write.table)


def _of_links(host: SessionHost, write: TableWrite) -> Iterator[Skipped]:
    plan, relations = host.plan, host.schema.relations
    relations.learn(host.schema.tables.mappers_beside(write.table))
    for relation in list(relations):  # others may be learned meanwhile
        if _is_in(relation, write):
            source = relation.near_model if relation.kind == "key" else write.table
            for event in _LINKS[write.event]:
                for phase in PHASES:
                    for hook, _ in plan.for_link(phase, event, relation):
                        yield Skipped(hook, source, write.table)


def _leaves_alone(write: TableWrite, facts: Facts, hook: Hook) -> bool:
    """Whether an update assigns nothing that a hook's condition waits for."""
    needs = None if hook.condition is None else hook.condition.needs()
    if needs is None or write.event != "update" or write.columns is None:
        return False
    names = {one for name in needs for one in facts.aliases.get(name, (name,))}
    columns = [facts.columns.get(name) for name in names]
    assigned = {name.lower() for name in write.columns}
    return all(
        column is not None
        and column.name.lower() not in assigned
        and column.computed is None
        and column.server_onupdate is None
        for column in columns
    )


def _completes(mapper: Mapper[Any], table: Table) -> bool:
    """Whether a row in this table makes an object whole: of joined tables, that of the class itself does."""
    return mapper.inherits is None or table is mapper.local_table or table not in mapper.inherits.tables


def _is_in(relation: SQLRelation, write: TableWrite) -> bool:
    """Whether a write may set or unset links of a relation."""
    columns = [column for column, _ in relation.pairs] or [column for side in relation.secondary for column in side]
    here = [column for column in columns if column.table is write.table]
    if not here or write.columns is None or write.event == "delete":
        return bool(here)
    assigned = {name.lower() for name in write.columns}
    return any(
        column.name.lower() in assigned or (write.event == "insert" and column.server_default is not None)
        for column in here
    )


def _is_elsewhere(session: Session, connection: Connection, table: Table) -> bool:
    """Whether a session that has several databases writes this table to another one."""
    binds = vars(session).get("binds") or vars(session).get("_Session__binds")  # SQLAlchemy 2.1, and 2.0
    if not binds or type(session).get_bind is not Session.get_bind:
        return False
    try:
        return session.get_bind(clause=table).engine.pool is not connection.engine.pool
    except SQLAlchemyError:  # it is bound to nothing: then only the text says where it is
        return False
