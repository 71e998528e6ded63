"""Rows given to the ORM as a list: ``insert(Model)``, ``update(Model)`` by primary key, the older bulk methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Insert, select
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.util import immutabledict

from hookline.core.run import Steps
from hookline.errors import PhaseError
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.load import by_key
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.incoming import Incoming, model_of
from hookline.sqlalchemy.statements.layout import Layout, column_of
from hookline.sqlalchemy.statements.locks import locking, take_write_lock
from hookline.sqlalchemy.statements.unfollowed import Unfollowable
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

Mappings = Sequence[Mapping[str, Any]]


class ListedInsertion:
    """Rows by attribute name, to be inserted into all tables of their class.

    Args:
        host: The session.
        mapper: The class.
        given: The rows.
        statement: The INSERT that they are given to, if there is one.

    Attributes:
        write: Its changes.
        rows: The rows as they are to be sent: with defaults, and with what hooks edited.
        statement: The INSERT as it is to be sent.
    """

    def __init__(self, host: SessionHost, mapper: Mapper[Any], given: Mappings, statement: Any = None) -> None:
        self.write = StatementWrite(host, "ORM bulk")
        self.mapper, self.given, self.statement = mapper, given, statement
        self.rows: list[dict[str, Any]] = []
        self._incoming = Incoming()

    def before(self) -> Steps[None]:
        """Run `before` and `check`.

        Raises:
            Unfollowable: What it does cannot be told exactly.
        """
        self._common = Common(self.write.concerns.schema.facts(self.mapper.class_), self.statement)
        changes = [self._change(row) for row in self.given]
        self._changes = changes
        yield from self.write.before(changes)
        for given, change in zip(self.given, changes, strict=True):
            names = change.facts.columns
            row = {name: value for name, value in given.items() if name not in names}
            row.update((n, v) for n, v in change.known_new().items() if n in names and n not in change.left_out)
            self.rows.append(row)
        if self.statement is not None:
            self.statement = self._common.put_back(self.statement, self.rows)
        refuse_expressions(changes, self.rows)

    def _change(self, given: Mapping[str, Any]) -> StatementChange:
        mapper = self.mapper
        facts = self.write.concerns.schema.facts(mapper.class_)
        row = self._common.complete(_by_column_name(facts, given), given)
        if mapper.polymorphic_identity is not None and mapper.polymorphic_on is not None:
            row.setdefault(facts.name_of(mapper.polymorphic_on), mapper.polymorphic_identity)
        by_column = {facts.columns[name]: value for name, value in row.items()}
        return self._incoming.change(self.write, self.write.concerns.schema.facts(model_of(mapper, by_column)), row)

    @cached_property
    def unknown(self) -> list[str]:
        """The names that only the database knows the values of, and that somebody will ask for."""
        if not self.write.kept:
            return []
        return sorted({name for change in self._changes for name in change.unsettled})

    @property
    def asked(self) -> list[Any]:
        """What to ask of each row, at the end of its RETURNING."""
        model = self.mapper.class_
        if len(self.mapper.tables) > 2 and self.unknown:
            return [model]  # asked for columns, SQLAlchemy asks each table for those of the others too
        return [getattr(model, name) for name in self.unknown]

    def told(self, row: Sequence[Any]) -> dict[str, Any]:
        """What is unknown, by name, out of a row that was asked so."""
        if len(self.mapper.tables) > 2:
            return {name: getattr(row[-1], name) for name in self.unknown}
        return dict(zip(self.unknown, row[-len(self.unknown) :], strict=True))

    def after(self, told: Sequence[Mapping[str, Any]]) -> None:
        """They were sent.

        Args:
            told: What the database told of each row, by name.
        """
        for number, change in enumerate(self._changes):
            change.freeze(told[number] if told else None)
        self.write.written()


class ListedUpdate:
    """Rows by attribute name, primary key included, to be updated in all tables of their class.

    It is constructed as a `ListedInsertion` is.
    """

    def __init__(self, host: SessionHost, mapper: Mapper[Any], given: Mappings, statement: Any = None) -> None:
        self.write = StatementWrite(host, "ORM bulk")
        self.host, self.mapper, self.given, self.statement = host, mapper, given, statement
        self.rows: list[dict[str, Any]] = []

    def before(self, connection: Connection) -> Steps[None]:
        """Read the rows, and run `before` and `check`.

        Raises:
            Unfollowable: What it does cannot be told exactly.
        """
        if self.statement is not None and self.statement._where_criteria:
            raise Unfollowable("it has conditions besides the keys of its rows")
        take_write_lock(connection, self.mapper.local_table)
        facts = self.write.concerns.schema.facts(self.mapper.class_)
        self._common = Common(facts, self.statement)
        rows = [self._common.complete(_by_column_name(facts, given), given) for given in self.given]
        named = {name for row in rows for name in row}
        layout = Layout(self.mapper, self.write.concerns, [facts.columns[name] for name in named])
        keys = [tuple(row.get(name) for name in facts.key_names) for row in rows]
        query = locking(select(*layout.columns).select_from(layout.source), connection, self.mapper.local_table)
        key_columns = [facts.columns[name] for name in facts.key_names]
        places = [layout.columns.index(column) for column in key_columns]
        found = by_key(connection, query, key_columns, keys)
        stored = {tuple(row[place] for place in places): row for row in found}
        changes = [self._change(layout, row, stored.get(key)) for row, key in zip(rows, keys, strict=True)]
        if len(set(keys)) < len(keys):
            raise Unfollowable("several of its rows have the same key")
        yield from self.write.before([change for change in changes if change is not None])
        for given, change in zip(self.given, changes, strict=True):
            edits = change.edits() if change is not None and change.foreseen else {}
            if not self._common.expressions.keys().isdisjoint(edits):
                raise PhaseError(f"{change!r}: {_HOOKS_CANNOT} what values() of the statement computes for all rows.")
            self.rows.append({**given, **edits})
        refuse_expressions([change for change in changes if change is not None and change.foreseen], self.rows)

    def _change(self, layout: Layout, row: dict[str, Any], stored: Sequence[Any] | None) -> StatementChange | None:
        if stored is None:  # SQLAlchemy will say that it is not there
            return None
        model = layout.model_of(stored)
        facts = self.write.concerns.schema.facts(model)
        known = {name: value for name, value in row.items() if name in facts.columns}
        version = facts.mapper.version_id_col
        kind = layout.kind(model, {facts.columns[name]: value for name, value in known.items()})
        change = StatementChange("update", facts, self.write, kind, stored)
        change.unsettled = frozenset(
            [name for name in facts.silent if name not in row or facts.columns[name] is version]
            + [name for name, value in known.items() if isinstance(value, ClauseElement)]
        )
        return change

    def after(self, told: object = ()) -> None:
        """They were sent."""
        del told
        for change in self.write.rows:
            change.freeze()
        self.write.written()


class Common:
    """What ``values()`` of a statement sets in all rows that are given to it as a list.

    Args:
        facts: The class.
        statement: The statement; None if there is none.

    Attributes:
        values: By name, the parameters: their keys, by which a row may have another value, and theirs.
        expressions: By name, what the database computes.
    """

    def __init__(self, facts: Facts, statement: Any) -> None:
        self._facts = facts
        self.values: dict[str, BindParameter[Any]] = {}
        self.expressions: dict[str, Any] = {}
        for key, value in (getattr(statement, "_values", None) or {}).items():
            tables: Any = facts.mapper.tables
            found = (column_of(table, key) for table in tables)
            column = next((one for one in found if one is not None), None)
            if column is None:
                raise Unfollowable(f"it sets {key!s}, which is not a column of {facts.model.__name__}")
            place: dict[str, Any] = self.values if isinstance(value, BindParameter) else self.expressions
            place[facts.name_of(column)] = value

    def complete(self, row: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """One row with them.

        Args:
            row: Its values by name.
            given: What it was given as.
        """
        for name, value in self.values.items():
            row[name] = given.get(value.key, value.effective_value)
        row.update(self.expressions)
        return row

    def put_back(self, statement: Any, rows: list[dict[str, Any]]) -> Any:
        """The INSERT with what all rows have in common that the database computes; it is taken out of the rows."""
        common = {}
        for name, value in list(rows[0].items()):
            if isinstance(value, ClauseElement) and all(row.get(name) is value for row in rows):
                common[self._facts.columns[name]] = value
                for row in rows:
                    del row[name]
        if not common and not statement._values:
            return statement
        changed = statement._clone()
        changed._values = immutabledict(common) if common else None
        return changed


_HOOKS_CANNOT: Final = "a list of rows of the ORM holds values only, and a hook edited"


def refuse_expressions(changes: Sequence[StatementChange], rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what SQLAlchemy cannot send in a list of rows.

    Raises:
        PhaseError: A hook edited a row to an expression.
    """
    for change in changes:
        for name, value in change.edits().items():
            if isinstance(value, ClauseElement) and any(row.get(name) is value for row in rows):
                raise PhaseError(
                    f"{change!r}: {_HOOKS_CANNOT} {name!r} to an SQL expression. Assign a value, or give all rows "
                    f"of an INSERT one and the same expression."
                )


def _by_column_name(facts: Facts, given: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values by the names of its columns: composites and synonyms stand for others."""
    row: dict[str, Any] = {}
    for name, value in given.items():
        if name in facts.columns:
            row[name] = value
        elif name in facts.composites:
            values = facts.composites[name]._composite_values_from_instance(value)
            row.update(zip(facts.aliases[name], values, strict=True))
        elif name in facts.mapper.synonyms and name in facts.aliases:
            row[facts.aliases[name][0]] = value
    return row


def is_listed(statement: Any, options: Mapping[str, Any]) -> bool:
    """Whether a statement of the ORM takes its rows as a list."""
    name = "_sa_orm_insert_options" if isinstance(statement, Insert) else "_sa_orm_update_options"
    return getattr(options.get(name), "_dml_strategy", None) == "bulk"
