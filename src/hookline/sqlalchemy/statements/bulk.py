"""Rows given to the ORM as a list: ``insert(Model)``, ``update(Model)`` by primary key, the older bulk methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, select
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import ClauseElement

from hookline.core.run import Steps
from hookline.sqlalchemy.facts import Facts
from hookline.sqlalchemy.load import by_key
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.incoming import Incoming, model_of
from hookline.sqlalchemy.statements.layout import Layout
from hookline.sqlalchemy.statements.reading import take_write_lock
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

    Attributes:
        write: Its changes.
        rows: The rows as they are to be sent: with defaults, and with what hooks edited.
    """

    def __init__(self, host: SessionHost, mapper: Mapper[Any], given: Mappings) -> None:
        self.write = StatementWrite(host, "ORM bulk")
        self.mapper, self.given = mapper, given
        self.rows: list[dict[str, Any]] = []
        self._incoming = Incoming()

    def before(self) -> Steps[None]:
        """Run `before` and `check`."""
        changes = [self._change(row) for row in self.given]
        self._changes = changes
        yield from self.write.before(changes)
        for given, change in zip(self.given, changes, strict=True):
            names = change.facts.columns
            row = {name: value for name, value in given.items() if name not in names}
            row.update((n, v) for n, v in change.known_new().items() if n in names and n not in change.left_out)
            self.rows.append(row)

    def _change(self, given: Mapping[str, Any]) -> StatementChange:
        mapper = self.mapper
        facts = self.write.concerns.schema.facts(mapper.class_)
        row = _by_column_name(facts, given)
        if mapper.polymorphic_identity is not None and mapper.polymorphic_on is not None:
            row.setdefault(facts.name_of(mapper.polymorphic_on), mapper.polymorphic_identity)
        by_column = {facts.columns[name]: value for name, value in row.items()}
        return self._incoming.change(self.write, self.write.concerns.schema.facts(model_of(mapper, by_column)), row)

    @property
    def unknown(self) -> list[str]:
        """The names that only the database knows the values of, and that somebody will ask for."""
        if not self.write.kept:
            return []
        return sorted({name for change in self._changes for name in change.unsettled})

    def after(self, told: Sequence[Mapping[str, Any]]) -> None:
        """They were sent.

        Args:
            told: What the database told of each row, by name.
        """
        for number, change in enumerate(self._changes):
            change.freeze(told[number] if told else None)
        self.write.written()


class ListedUpdate:
    """Rows by attribute name, primary key included, to be updated in all tables of their class."""

    def __init__(self, host: SessionHost, mapper: Mapper[Any], given: Mappings) -> None:
        self.write = StatementWrite(host, "ORM bulk")
        self.host, self.mapper, self.given = host, mapper, given
        self.rows: list[dict[str, Any]] = []

    def before(self, connection: Connection) -> Steps[None]:
        """Read the rows, and run `before` and `check`."""
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, self.mapper.local_table)  # type: ignore[arg-type]
        facts = self.write.concerns.schema.facts(self.mapper.class_)
        rows = [_by_column_name(facts, given) for given in self.given]
        named = {name for row in rows for name in row}
        layout = Layout(self.mapper, self.write.concerns, [facts.columns[name] for name in named])
        keys = [tuple(row.get(name) for name in facts.key_names) for row in rows]
        query = select(*layout.columns).select_from(layout.source)
        if connection.dialect.name != "sqlite":
            query = query.with_for_update(of=self.mapper.local_table)
        key_columns = [facts.columns[name] for name in facts.key_names]
        places = [layout.columns.index(column) for column in key_columns]
        found = by_key(connection, query, key_columns, keys)
        stored = {tuple(row[place] for place in places): row for row in found}
        changes = [self._change(layout, row, stored.get(key)) for row, key in zip(rows, keys, strict=True)]
        if len(set(keys)) < len(keys):
            raise Unfollowable("several of its rows have the same key")
        yield from self.write.before([change for change in changes if change is not None])
        for given, change in zip(self.given, changes, strict=True):
            self.rows.append({**given, **change.edits()} if change is not None and change.is_edited else dict(given))

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


def _by_column_name(facts: Facts, given: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values by the names of its columns: composites and synonyms stand for others."""
    row: dict[str, Any] = {}
    for name, value in given.items():
        if name in facts.columns:
            row[name] = value
        elif name in facts.composites:
            row.update(zip(facts.aliases[name], value.__composite_values__(), strict=True))
        elif name in facts.mapper.synonyms and name in facts.aliases:
            row[facts.aliases[name][0]] = value
    return row


def is_listed(statement: Any, options: Mapping[str, Any]) -> bool:
    """Whether a statement of the ORM takes its rows as a list."""
    name = "_sa_orm_insert_options" if isinstance(statement, Insert) else "_sa_orm_update_options"
    return getattr(options.get(name), "_dml_strategy", None) == "bulk"
