"""The tables that mapped classes are written to, found by the names that SQL texts have for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, MetaData, Table, TableClause, event
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.mapper import _all_registries

from hookline.sqlalchemy.reading.identifiers import folded
from hookline.sqlalchemy.reading.text import Write


class _Mapped:
    """How many classes this process has mapped so far."""

    count = 0


_mapped = _Mapped()


@event.listens_for(Mapper, "after_mapper_constructed")
def _count(*_: Any) -> None:
    _mapped.count += 1


def models_so_far() -> int:
    """How many classes this process has mapped so far."""
    return _mapped.count


class Tables:
    """All tables of all mapped classes of this process, and of their metadata."""

    def __init__(self) -> None:
        self._mappers: frozenset[Mapper[Any]] = frozenset()
        self._named: dict[str, list[Table]] = {}
        self._metadata: set[MetaData] = set()
        self._classes: dict[str, type] = {}
        self._learned = (-1, 0)

    def named(self, write: Write, connection: Connection) -> list[Table]:
        """The tables that a name in a text may mean.

        A name without a schema means the table in the connection's default schema. If there is none, it means those
        of that name in any schema: a search path that nobody told us about may lead there.
        """
        alike = [one for one in self._tables().get(write.table.lower(), ()) if _name(one, connection) == write.table]
        default = connection.dialect.default_schema_name
        home = None if default is None else _stored(default, connection)
        wanted = write.schema if write.schema is not None else home
        there = [one for one in alike if _is_schema(_schema(one, connection) or home, wanted)]
        return there if there or write.schema is not None else alike

    def meant(self, target: object, connection: Connection) -> list[Table]:
        """The tables that the target of a construct may mean."""
        target = getattr(target, "element", target)  # of an alias
        if isinstance(target, Table):  # or a copy of it, with annotations
            return [target.metadata.tables.get(target.key, target)]
        if isinstance(target, TableClause):
            return self.named(Write(target.schema, _stored(target.name, connection), ""), connection)
        return []

    def stood_for(self, target: object, connection: Connection) -> list[Table]:
        """The tables that the target of a construct may mean without being one of them: an alias, or a namesake."""
        table = getattr(target, "element", target)
        self._learn()
        if isinstance(table, Table) and table.metadata in self._metadata and target is table:
            return []
        if isinstance(table, Table) and table.metadata not in self._metadata:
            return self.named(Write(table.schema, _stored(table.name, connection), ""), connection)
        return self.meant(table, connection)

    def mappers_of(self, table: Table) -> list[Mapper[Any]]:
        """The mappers whose rows are in a table, or partly so; base classes first."""
        self._learn()
        found = [mapper for mapper in self._mappers if table in mapper.tables]
        return sorted(found, key=lambda mapper: (len(list(mapper.iterate_to_root())), mapper.class_.__name__))

    def models(self) -> list[type]:
        """All mapped classes."""
        self._learn()
        return [mapper.class_ for mapper in self._mappers]

    def mappers_beside(self, table: Table) -> list[Mapper[Any]]:
        """The mappers of a table's metadata."""
        self._learn()
        return [mapper for mapper in self._mappers if any(one.metadata is table.metadata for one in _tables_of(mapper))]

    def classes(self) -> dict[str, type]:
        """The mapped classes, by module and name."""
        self._learn()
        return self._classes

    def _tables(self) -> dict[str, list[Table]]:
        self._learn()
        return self._named

    def _learn(self) -> None:
        if self._learned == (_mapped.count, sum(len(metadata.tables) for metadata in self._metadata)):
            return
        count = _mapped.count
        mappers = frozenset[Mapper[Any]]().union(*(registry.mappers for registry in _all_registries()))
        named: dict[str, list[Table]] = {}
        self._metadata = {table.metadata for mapper in mappers for table in _tables_of(mapper)}
        tables = [table for metadata in self._metadata for table in metadata.tables.values()]
        for table in tables:
            named.setdefault(table.name.lower(), []).append(table)
        self._classes = {class_name(mapper.class_): mapper.class_ for mapper in mappers}
        self._mappers, self._named, self._learned = mappers, named, (count, len(tables))


def class_name(model: type) -> str:
    """What a class is called where its name is kept."""
    return f"{model.__module__}:{model.__qualname__}"


def _tables_of(mapper: Mapper[Any]) -> Iterator[Table]:
    return (table for table in mapper.tables if isinstance(table, Table))


def _name(table: Table, connection: Connection) -> str:
    return _stored(table.name, connection)


def _schema(table: Table, connection: Connection) -> str | None:
    schema = connection.schema_for_object(table)
    return None if schema is None else _stored(schema, connection)


def _stored(name: str, connection: Connection) -> str:
    """A name of SQLAlchemy's as the database has it."""
    dialect = connection.dialect
    return folded(dialect.name, name, dialect.identifier_preparer.quote(name) != name)


def _is_schema(schema: str | None, wanted: str | None) -> bool:
    """Whether a table's schema is the wanted one; either may name the database before it."""
    if schema == wanted or schema is None or wanted is None:
        return schema == wanted
    return schema.endswith(f".{wanted}") or wanted.endswith(f".{schema}")
