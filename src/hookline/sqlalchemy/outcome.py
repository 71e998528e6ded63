"""A connection that broke during COMMIT: was the transaction committed?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, func, literal_column, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.step import StepChange
from hookline.core.transaction import Transaction
from hookline.errors import UnknownOutcomeError
from hookline.sqlalchemy.load import load_rows

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

_PATIENCE: Final = 30.0
"""Seconds to wait for the server to finish with the broken connection's backend."""


def backend_of(connection: Connection) -> int | None:
    """The process number of the server's end of a connection, if the driver knows it without asking."""
    driver = getattr(connection.connection, "driver_connection", None)
    info = getattr(driver, "info", None)
    pid = getattr(info, "backend_pid", None)
    ask = getattr(driver, "get_server_pid", None)  # asyncpg
    return ask() if pid is None and ask is not None else pid


def was_committed(host: SessionHost, tx: Transaction, lost: BaseException) -> bool | UnknownOutcomeError:
    """Look in the database for what the transaction wrote.

    Args:
        host: The session.
        tx: What it did.
        lost: What COMMIT raised.

    Returns:
        Whether it was committed; an error if nothing can tell.
    """
    nets = tx.changes()
    reason = "the transaction left nothing that could be looked for"
    try:
        with host.attachment.new_session(host) as session:
            if host.backend is not None and nets:
                _await_backend(session, nets[0].model, host.backend)
            known = None if host.number is None else _of_number(*host.number)
            if known is not None:
                return known
            for net in nets:
                if isinstance(net, StepChange):  # what it wrote is not the application's own
                    continue
                answer = _was_linked(session, net) if isinstance(net, LinkChange) else _was_written(session, host, net)
                if answer is not None:
                    return answer
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        reason = f"looking for it failed: {error}"
        lost = error
    unknown = UnknownOutcomeError(
        f"The connection broke during COMMIT, and whether the transaction was committed is unknown: {reason}. "
        f"Neither after_commit nor after_rollback hooks ran. It did: "
        + ("; ".join(net.describe() for net in nets[:5]) or "nothing that hooks follow")
    )
    unknown.__cause__ = lost
    return unknown


def _of_number(engine: Engine, number: int) -> bool | None:
    """Whether a transaction of PostgreSQL was committed; None if it has forgotten.

    What is sure, whoever has written to its rows since.
    """
    deadline = time.monotonic() + _PATIENCE
    with engine.connect() as connection:
        while (status := connection.scalar(select(func.txid_status(number)))) == "in progress":
            if time.monotonic() > deadline:
                raise TimeoutError(f"transaction {number} is still open after {_PATIENCE:.0f} s")
            connection.rollback()
            time.sleep(0.05)
    return None if status is None else status == "committed"


def _was_written(session: Session, host: SessionHost, net: Change[Any]) -> bool | None:
    """Whether one net change is in the database; None if it cannot be told."""
    facts = host.schema.facts(net.model)
    key = net.key if isinstance(net.key, tuple) else (net.key,)
    if net.event == "insert":
        return bool(load_rows(session, facts, [key], facts.key_names))
    if net.event == "delete":
        return not load_rows(session, facts, [key], facts.key_names)
    old, new = net.known_old(), net.known_new()
    names = [name for name in net.fields if name in old and name in new]
    row = load_rows(session, facts, [key], names).get(key)
    if row is None:
        return None
    if all(net.same(name, row[name], new[name]) for name in names):
        return True
    return False if all(net.same(name, row[name], old[name]) for name in names) else None


def _was_linked(session: Session, link: LinkChange) -> bool | None:
    """Whether one link change is in the database; None if it cannot be told."""
    relation: Any = link.kind
    near, far = (end.values for end in link.ends)  # type: ignore[attr-defined]
    if relation.kind == "secondary":
        columns = (*relation.secondary[0], *relation.secondary[1])
    else:
        columns = (*relation.near_columns, *(column for column, _ in relation.pairs))
    where = [column == value for column, value in zip(columns, (*near, *far), strict=True)]
    found: object = (
        session.connection(bind_arguments={"mapper": relation.near})
        .execute(select(literal_column("1")).select_from(columns[0].table).where(*where))
        .first()
    )
    return (found is not None) is (link.event == "link")


def _await_backend(session: Session, model: type, backend: int) -> None:
    """Wait until PostgreSQL has ended the broken connection's process: before, it may still be committing."""
    deadline = time.monotonic() + _PATIENCE
    asked = text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid AND xact_start IS NOT NULL")
    while True:
        connection = session.connection(bind_arguments={"mapper": model})
        there = connection.dialect.name == "postgresql" and connection.execute(asked, {"pid": backend}).first()
        session.rollback()  # each look in a transaction of its own
        if not there:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"backend {backend} is still at work after {_PATIENCE:.0f} s")
        time.sleep(0.05)
