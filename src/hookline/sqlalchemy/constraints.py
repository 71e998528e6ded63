"""The database's own refusals, as the same error that hooks raise, by field."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet

from sqlalchemy import CheckConstraint, Engine, Table, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError

from hookline.errors import Problem, ValidationError
from hookline.sqlalchemy.facts import maps
from hookline.sqlalchemy.outcome import backend_of

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.writing import Write

_MESSAGES: Final = {
    "unique": "must be unique, and this value is taken",
    "not_null": "must be given",
    "foreign_key": "refers to something that is not there, or something still refers to it",
    "check": "does not meet the constraint {constraint}",
}
_SQLSTATES: Final = {
    "23505": "unique",
    "23502": "not_null",
    "23503": "foreign_key",
    "23514": "check",
    "23P01": "unique",
}
_SQLITE: Final = re.compile(r"(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?")
_DETAIL: Final = re.compile(r"Key \(([^)]*)\)")


class Violation(NamedTuple):
    """A constraint that the database holds against a statement.

    Attributes:
        kind: ``unique``, ``not_null``, ``foreign_key`` or ``check``.
        columns: The names of the columns that it is about, as far as anybody knows.
        constraint: Its name, if it has one.
    """

    kind: str
    columns: tuple[str, ...]
    constraint: str | None

    @property
    def message(self) -> str:
        """What is wrong, as a template."""
        return _MESSAGES[self.kind]


class Engines:
    """Listens for errors on the engines that attached sessions use, and only while they use them."""

    def __init__(self) -> None:
        self._engines: WeakSet[Engine] = WeakSet()
        self._write: ContextVar[Write | None] = ContextVar("hookline.write", default=None)
        self._host: ContextVar[SessionHost | None] = ContextVar("hookline.committing", default=None)

    def listen(self, engine: Engine) -> None:
        """Listen on one more engine."""
        if engine not in self._engines:
            self._engines.add(engine)
            event.listen(engine, "handle_error", self._on_error)

    def forget(self) -> None:
        """Listen on none any more."""
        for engine in self._engines:
            event.remove(engine, "handle_error", self._on_error)
        self._engines.clear()

    def sending(self, write: Write | None) -> None:
        """A flush or a statement is sent now; None: it is over."""
        self._write.set(write)

    def committing(self, host: SessionHost | None) -> None:
        """A session sends COMMIT now; None: it is over."""
        if host is not None:
            host.lost = None
            transaction = host.session.get_transaction()
            connections = [entry[0] for entry in transaction._connections.values()] if transaction else []
            host.backend = backend_of(connections[0]) if connections else None
        self._host.set(host)

    def lost_while_committing(self, host: SessionHost) -> BaseException | None:
        """The error by which a session lost its connection during COMMIT."""
        return host.lost if host.committing else None

    def _on_error(self, context: ExceptionContext) -> None:
        host, write = self._host.get(), self._write.get()
        if host is not None and context.is_disconnect and context.statement is None:
            host.lost = context.sqlalchemy_exception or context.original_exception
            return
        if write is not None:
            write.give_up()
        if write is not None and isinstance(context.sqlalchemy_exception, IntegrityError):
            error = as_validation_error(write, context)
            if error is not None:
                raise error  # SQLAlchemy makes the driver's error its cause


def as_validation_error(write: Write, context: ExceptionContext) -> ValidationError | None:
    """The violation of a constraint of a hooked table, by field; None if it is none, or of another table."""
    compiled = getattr(context.execution_context, "compiled", None)
    table = getattr(getattr(compiled, "statement", None), "table", None)
    rows = [change for change in write.rows if table in change.facts.mapper.tables]
    if not isinstance(table, Table) or not rows:
        return None
    violation = violation_of(context.original_exception, table)
    if violation is None:
        return None
    kind, columns, constraint = violation
    facts = rows[0].facts
    names = [
        facts.name_of(table.c[column])
        for column in columns
        if column in table.c and maps(facts.mapper, table.c[column])
    ]
    entity = None if write.let_go else _culprit(rows, kind, names, context)
    if entity is None:
        entity = _class_of(rows)
    problems = {
        name: Problem(entity, name, kind, violation.message, {"constraint": constraint or "", "table": table.name})
        for name in names or [""]
    }
    return ValidationError(entity, problems)


def violation_of(error: BaseException, table: Table) -> Violation | None:
    """The constraint of a table that was violated, from what the driver tells; None if it was something else."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state in _SQLSTATES:
        diagnosis = getattr(error, "diag", None) or getattr(error, "__cause__", None) or error
        name = getattr(diagnosis, "constraint_name", None)
        column = getattr(diagnosis, "column_name", None)
        detail = getattr(diagnosis, "message_detail", None) or getattr(diagnosis, "detail", None) or ""
        listed = _DETAIL.search(detail)
        columns = [column] if column else [one.strip(' "') for one in listed.group(1).split(",")] if listed else []
        return Violation(_SQLSTATES[state], tuple(columns or _columns_of(table, name)), name)
    match = _SQLITE.search(str(error))
    if match is None:
        return None
    kind = {"UNIQUE": "unique", "NOT NULL": "not_null", "CHECK": "check", "FOREIGN KEY": "foreign_key"}[match.group(1)]
    told = match.group(2) or ""
    if kind in ("unique", "not_null"):
        return Violation(kind, tuple(one.strip().rpartition(".")[2] for one in told.split(",")), None)
    return Violation(kind, tuple(_columns_of(table, told or None)), told or None)


def _columns_of(table: Table, constraint: str | None) -> list[str]:
    """The columns of a constraint by its name, as far as the table's metadata knows."""
    for known in table.constraints:
        if constraint is not None and known.name == constraint:
            if isinstance(known, CheckConstraint):
                text = str(known.sqltext)
                return [column.name for column in table.columns if re.search(rf"\b{re.escape(column.name)}\b", text)]
            return [column.name for column in getattr(known, "columns", ())]
    keys = [column.name for column in table.columns if column.foreign_keys]
    return keys if constraint is None and len(keys) == 1 else []


def _class_of(rows: list[Any]) -> type:
    models: set[type] = {row.model for row in rows}
    return models.pop() if len(models) == 1 else rows[0].facts.mapper.base_mapper.class_


def _culprit(rows: list[Any], kind: str, names: list[str], context: ExceptionContext) -> object | None:
    """The entity whose row it was, if that can be told."""
    candidates = [row for row in rows if row.event != "delete" or kind == "foreign_key"]
    if kind == "not_null" and names:
        candidates = [row for row in candidates if any(row.known_new().get(name) is None for name in names)]
    parameters = context.parameters
    if (
        len(candidates) > 1
        and isinstance(parameters, (dict, tuple))
        and not (parameters and isinstance(parameters[0], (dict, tuple)) if isinstance(parameters, tuple) else False)
    ):
        sent = list(parameters.values()) if isinstance(parameters, dict) else list(parameters)
        narrowed = [
            row for row in candidates if names and all(_among(row.known_new().get(name), sent) for name in names)
        ]
        candidates = narrowed or candidates
    return candidates[0].at_hand if len(candidates) == 1 else None


def _among(value: Any, sent: list[Any]) -> bool:
    return any(value is one or value == one for one in sent)
