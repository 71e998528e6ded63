"""What an UPDATE or a DELETE is going to do, read from the database before it does: one query for all rows."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Delete, Table, Update, bindparam, select, tuple_, type_coerce
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter

from hookline.sqlalchemy.statements.chunks import chunks, read_chunks
from hookline.sqlalchemy.statements.layout import Layout
from hookline.sqlalchemy.statements.locks import locking, take_write_lock
from hookline.sqlalchemy.statements.rows import named_column
from hookline.sqlalchemy.statements.unfollowed import Unfollowable

if TYPE_CHECKING:
    from hookline.sqlalchemy.concern import Concerns
    from hookline.sqlalchemy.host import SessionHost

Parameters = Mapping[str, Any]


class Assignments:
    """What an UPDATE sets: by column, a value or an expression.

    Attributes:
        values: The columns that are set to a value which Python knows.
        expressions: Those that are set to what the database will compute.
        clauses: All of them, as the statement has them.
        called: Those whose value Python computes anew whenever it is asked.
        silent: Those that the database sets by itself, so that only the write tells them.
    """

    def __init__(self, statement: Update, table: Table, parameters: Parameters) -> None:
        self.values: dict[Any, Any] = {}
        self.expressions: dict[Any, Any] = {}
        self.clauses: dict[Any, Any] = {}
        self.called: list[Any] = []
        self._renamed: dict[str, str] = {}
        given = getattr(statement, "_ordered_values", None) or (statement._values or {}).items()
        for key, value in given:
            self._take(named_column(table, key), value, parameters)
        names = {bind.key for bind in embedded_binds(statement)}
        for key, value in parameters.items():
            column = table.c.get(key)
            if column is not None and key not in names and column not in self.clauses:
                self.values[column] = value
                self._renamed[key] = f"hookline_{key}"
                self.clauses[column] = bindparam(f"hookline_{key}", type_=column.type)
        for column in table.columns:
            if column.onupdate is not None and column not in self.clauses:
                self._fill(column)
        self.silent = [c for c in table.columns if c.server_onupdate is not None and c not in self.clauses]

    def renamed(self, parameters: Parameters) -> Parameters:
        """The parameters, with names that SQLAlchemy does not keep for itself."""
        return {self._renamed.get(key, key): value for key, value in parameters.items()}

    def _take(self, column: Any, value: Any, parameters: Parameters) -> None:
        self.clauses[column] = value
        if not isinstance(value, BindParameter):
            self.expressions[column] = value
        elif value.key in parameters:
            self.values[column] = parameters[value.key]
        elif value.required:
            raise Unfollowable(f"it needs a value for {value.key!r}, which was not given")
        else:
            self.values[column] = value.effective_value

    def _fill(self, column: Any) -> None:
        """A column that is set by itself: computed here, so that rules see what is written."""
        default = column.onupdate
        if default.is_scalar:
            self.values[column] = self.clauses[column] = default.arg
        elif default.is_callable:
            try:
                self.values[column] = self.clauses[column] = default.arg(None)
            except Exception as error:  # a default that needs SQLAlchemy's own context cannot be had before
                raise Unfollowable(
                    f"the onupdate of {column} needs the context of its execution ({error!r})"
                ) from error
            self.called.append(column)
        elif default.is_clause_element:
            self.expressions[column] = self.clauses[column] = default.arg


class Reading:
    """The rows that a statement concerns.

    Args:
        statement: An UPDATE or a DELETE.
        mapper: What it is about.
        table: The table that it writes.
        concerns: What the rule book wants.
        assignments: Of an UPDATE: what it sets.
    """

    def __init__(
        self, statement: Update | Delete, mapper: Mapper[Any], table: Table, concerns: Concerns,
        assignments: Assignments | None,
    ) -> None:  # fmt: skip
        self.statement, self.mapper, self.table = statement, mapper, table
        self.computed = dict(assignments.expressions) if assignments is not None else {}
        if assignments is not None:
            needed = set(assignments.clauses)
        else:  # what is deleted cannot be read afterwards
            classes = (concerns.schema.facts(one.class_) for one in mapper.self_and_descendants)
            needed = {column for facts in classes for column in facts.columns.values()}
        self.layout = Layout(mapper, concerns, needed)
        self._concerns = concerns

    def chunks(
        self, host: SessionHost, connection: Connection, parameters: Parameters, *, whole: bool
    ) -> Generator[list[Any], None, None]:
        """Read and lock the rows: the layout's columns, then what the expressions will give.

        Args:
            host: The session.
            connection: Where.
            parameters: Of the statement.
            whole: Whether all rows are needed at once.
        """
        take_write_lock(connection, self.table)
        computed = [type_coerce(value, column.type) for column, value in self.computed.items()]
        query: Any = select(*self.layout.columns, *computed)
        criteria = self._criteria()
        if not self.layout.joined:
            query = query.select_from(self.table)
            query._where_criteria = criteria
            _take_ctes(query, self.statement)
        else:
            if len(_froms(self.statement)) > 1 and computed:
                raise Unfollowable("it computes values from other tables, and its class has several tables of its own")
            keys: Any = select(*self.table.primary_key.columns).select_from(self.table).correlate(None)
            keys._where_criteria = criteria
            _take_ctes(keys, self.statement)
            query = query.select_from(self.layout.source)
            columns = list(self.table.primary_key.columns)
            query = query.where((columns[0] if len(columns) == 1 else tuple_(*columns)).in_(keys))
        query = locking(query, connection, self.table)
        ctes = bool(self.statement._independent_ctes)
        names = {bind.key for bind in embedded_binds(self.statement)}
        given = {key: value for key, value in parameters.items() if key in names}
        several = len(_froms(self.statement)) > 1
        if whole or several or ctes:
            rows = list(connection.execute(query, given, execution_options={"compiled_cache": None} if ctes else {}))
            yield from chunks(self._distinct(rows) if several else rows)
        else:
            yield from read_chunks(host, connection, query, given)

    def _criteria(self) -> tuple[Any, ...]:
        criteria = tuple(self.statement._where_criteria)
        if self.statement._propagate_attrs.get("compile_state_plugin") == "orm":
            criteria += _orm_criteria(self.statement, self.mapper)
        return criteria

    def _distinct(self, rows: list[Any]) -> list[Any]:
        """Each row once: of a statement on several tables, the database takes any of the matching ones."""
        keys = [self.layout.columns.index(column) for column in self.table.primary_key.columns]
        found: dict[tuple[Any, ...], Any] = {}
        for row in rows:
            key = tuple(row[place] for place in keys)
            if found.setdefault(key, row) != row:
                raise Unfollowable(f"several rows of other tables match the row {key} of {self.table.name}")
        return list(found.values())


def _orm_criteria(statement: Any, mapper: Mapper[Any]) -> tuple[Any, ...]:
    """What the ORM adds: the class of single-table inheritance, and ``with_loader_criteria``."""
    from sqlalchemy.sql.base import CompileState

    attributes: dict[Any, Any] = {}
    for option in statement._with_options:
        if option._is_criteria_option:
            option.get_global_criteria(attributes)
    plugin: Any = CompileState._get_plugin_class_for_plugin(statement, "orm")
    return tuple(plugin._adjust_for_extra_criteria(attributes, mapper))


def _froms(statement: Any) -> list[Any]:
    """The tables that an UPDATE or DELETE is about, with those that its conditions and values name."""
    found: dict[Any, None] = dict.fromkeys(statement.table._from_objects)
    for clause in statement._where_criteria:
        found.update(dict.fromkeys(clause._from_objects))
    for value in (statement._values or {}).values() if isinstance(statement, Update) else ():
        if isinstance(value, ClauseElement):
            found.update(dict.fromkeys(value._from_objects))
    return list(found)


def _take_ctes(query: Any, statement: Any) -> None:
    """Add what the statement has before itself by ``add_cte()``."""
    query._independent_ctes = statement._independent_ctes
    query._independent_ctes_opts = statement._independent_ctes_opts


def embedded_binds(statement: Any) -> Iterable[Any]:
    """The parameters that a statement has in it."""
    return statement._get_embedded_bindparams()  # type: ignore[no-any-return]
