"""Rows that are given as a list, from the session that gets them to its `after` hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.result import null_result
from sqlalchemy.orm import Mapper, ORMExecuteState

from hookline.sqlalchemy.statements.bulk import ListedInsertion, ListedUpdate
from hookline.sqlalchemy.statements.returning import without_last
from hookline.sqlalchemy.statements.unfollowed import Unfollowable, check_translation

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.door import StatementDoor


def execute_listed(door: StatementDoor, host: SessionHost, state: ORMExecuteState) -> Any:
    """Execute ``insert(Model)`` or ``update(Model)`` with a list of rows.

    Returns:
        The result; None if no hook is concerned, and the statement can go its way.

    Raises:
        Unfollowable: What it does cannot be told exactly.
    """
    mapper, given = state.bind_mapper, state.parameters
    event = "insert" if state.is_insert else "update"
    rows: list[Mapping[str, Any]] = [given] if isinstance(given, Mapping) else list(given or ())
    if mapper is None or not rows or not _concerned(host, mapper, event):
        return None
    host.session._autoflush()
    connection = host.session.connection(bind_arguments=state.bind_arguments)
    check_translation(connection, state.execution_options)
    if event == "update":
        update = ListedUpdate(host, mapper, rows, state.statement)
        door.prepare(host, update.write, update.before(connection))
        with door.muted(host, update.write):
            result: Any = state.invoke_statement(params=_as_given(given, update.rows))
        update.after()
        update.write.synchronize()
        door.finish(host, [update.write])
        return result
    insertion = ListedInsertion(host, mapper, rows, state.statement)
    door.prepare(host, insertion.write, insertion.before())
    statement: Any = insertion.statement
    asked, asks = insertion.asked, bool(statement._returning)
    if asked:
        ordered = statement._sort_by_parameter_order or len(rows) > 1
        statement = statement.returning(*asked, sort_by_parameter_order=ordered)
    with door.muted(host, insertion.write):
        result = state.invoke_statement(statement=statement, params=_as_given(given, insertion.rows))
    if asked:
        frozen = result.freeze()
        insertion.after([insertion.told(row) for row in frozen()])
        result = without_last(frozen(), len(asked)) if asks else null_result()
    else:
        insertion.after(())
    door.finish(host, [insertion.write])
    return result


def save_mappings(
    door: StatementDoor, host: SessionHost, send: Callable[..., None], mapper: Mapper[Any], given: Any,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """What the older bulk methods of a session write.

    Args:
        door: Runs the hooks.
        host: The session.
        send: The session's own method.
        mapper: The class.
        given: Rows by attribute name, or states of objects.
        options: Of the session's own method.
    """
    event = "update" if options["isupdate"] else "insert"
    given = list(given)
    if not given or not _concerned(host, mapper, event):
        send(mapper, given, **options)
        return
    states: list[Any] = given if options["isstates"] else []
    rows = _rows_of(host, mapper, states, options) if states else given
    as_rows = {**options, "isstates": False, "update_changed_only": False}
    if event == "update":
        update = ListedUpdate(host, mapper, rows)
        try:
            connection = host.session.connection(bind_arguments={"mapper": mapper})
            door.prepare(host, update.write, update.before(connection))
        except Unfollowable:  # then its statements are looked at one by one
            send(mapper, given, **options)
            return
        with door.muted(host, update.write):
            send(mapper, update.rows, **as_rows)
        update.after()
        update.write.synchronize()
        door.finish(host, [update.write])
        return
    insertion = ListedInsertion(host, mapper, rows)
    door.prepare(host, insertion.write, insertion.before())
    wanted, unknown = options["return_defaults"], insertion.unknown
    with door.muted(host, insertion.write):
        send(mapper, insertion.rows, **{**as_rows, "return_defaults": wanted or bool(unknown)})
    insertion.after([{n: row[n] for n in unknown if n in row} for row in insertion.rows] if unknown else ())
    if wanted:
        _hand_back(mapper, states, given, insertion.rows)
    door.finish(host, [insertion.write])


def _as_given(given: Any, rows: list[dict[str, Any]]) -> Any:
    """The parameters of an ORM statement: one row may have come without a list around it."""
    return rows[0] if isinstance(given, Mapping) else rows


def _concerned(host: SessionHost, mapper: Mapper[Any], event: str) -> bool:
    return host.schema.concerns(host.plan).subjects.concerns(mapper, event)


def _rows_of(
    host: SessionHost, mapper: Mapper[Any], states: list[Any], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What there is to write of objects."""
    columns = host.schema.facts(mapper.class_).columns
    changed_only = options["isupdate"] and options["update_changed_only"]
    return [
        {
            name: value
            for name, value in state.dict.items()
            if name in columns and (not changed_only or name in state.committed_state or columns[name].primary_key)
        }
        for state in states
    ]


def _hand_back(mapper: Mapper[Any], states: list[Any], given: Any, rows: list[dict[str, Any]]) -> None:
    """Give the caller the keys that it asked for."""
    for number, row in enumerate(rows):
        if not states:
            given[number].update(row)
            continue
        state = states[number]
        state.dict.update(row)
        state.key = mapper.identity_key_from_primary_key(tuple(row[p.key] for p in mapper._identity_key_props))
