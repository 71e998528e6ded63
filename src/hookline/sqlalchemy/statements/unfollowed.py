"""Statements that cannot be followed exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from hookline.sqlalchemy.bypass import judge
from hookline.sqlalchemy.skipped import TableWrite, skipped_by

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Unfollowable(Exception):
    """Why a statement's rows cannot be told exactly."""


def check_translation(connection: Connection, options: Mapping[str, Any]) -> None:
    """Refuse to read a statement's rows in other schemas than it writes them to.

    Raises:
        Unfollowable: The statement has a translation of its own.
    """
    if options.get("schema_translate_map") != connection.get_execution_options().get("schema_translate_map"):
        raise Unfollowable("it has a schema_translate_map of its own; session.connection() can have one for all")


def go_around(host: SessionHost, connection: Connection, statement: Any, reason: Unfollowable) -> None:
    """Do with a statement that cannot be followed as the policies of the hooks say that it would go around.

    Raises:
        BypassError: One of them refuses that.
    """
    skipped = (
        one for event in _events(statement) for one in skipped_by(host, connection, TableWrite(statement.table, event))
    )
    judge(host, str(statement), skipped, f"it cannot be followed: {reason}.")


def go_around_names(host: SessionHost, connection: Connection, statement: Any) -> None:
    """Likewise with a statement whose target only stands for a table that hooks concern.

    Raises:
        BypassError: The policy of a hook refuses that.
    """
    for table in host.schema.tables.stood_for(statement.table, connection):
        skipped = (
            one for event in _events(statement) for one in skipped_by(host, connection, TableWrite(table, event))
        )
        judge(
            host, str(statement), skipped,
            f"it cannot be followed: its target is an alias or a namesake of the mapped table {table.name}.",
        )  # fmt: skip


def _events(statement: Any) -> tuple[str, ...]:
    if statement.is_insert:
        return ("insert", "update") if statement._post_values_clause is not None else ("insert",)
    return ("update",) if statement.is_update else ("delete",)
