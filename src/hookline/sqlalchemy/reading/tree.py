"""What a parsed statement writes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlglot import exp

from hookline.sqlalchemy.reading.identifiers import folded
from hookline.sqlalchemy.reading.statements import UnreadableError
from hookline.sqlalchemy.reading.text import Write

Node = Any
"""A node of the tree; the parser's versions have had two names for their root class."""
Columns = frozenset[str] | None

_TARGET_IS_A_TABLE: Final = frozenset(("postgresql", "cockroachdb", "sqlite", "oracle"))
"""Elsewhere the target may also be another name that the statement itself gives to a table."""


_UNDERSTOOD_AS: Final[dict[str, Any]] = {
    "INSERT": (exp.Insert, exp.MultitableInserts),
    "UPDATE": exp.Update,
    "DELETE": exp.Delete,
    "MERGE": exp.Merge,
    "TRUNCATE": exp.TruncateTable,
    "COPY": exp.Copy,
}
"""The parser takes some of these words for the name of a function, or of a column, if it sees fit."""


def writes_of(dialect: str, verb: str, tree: Node) -> Iterator[Write]:
    """The tables that a statement writes to, also in parts of it.

    Args:
        dialect: SQLAlchemy's name of the database.
        verb: The statement's first word, in capitals.
        tree: The statement.

    Raises:
        UnreadableError: A part of it cannot be looked into.
    """
    if verb in _UNDERSTOOD_AS and not isinstance(tree, _UNDERSTOOD_AS[verb]):
        raise UnreadableError(f"it was not understood as {verb}")
    statement = _Statement(dialect, tree)
    for node in tree.walk():
        if isinstance(node, exp.Command):
            raise UnreadableError(f"what {node.name} does cannot be seen in the text")
        if not isinstance(node.parent, exp.When):  # an action of a MERGE, which knows the table
            yield from statement.writes_at(node)


class _Statement:
    """One statement, with the names that it gives to tables."""

    def __init__(self, dialect: str, tree: Node) -> None:
        self.dialect = dialect
        self._queries = {cte.alias.lower(): cte for cte in tree.find_all(exp.CTE)}

    def writes_at(self, node: Node) -> Iterator[Write]:
        """What one node of the statement writes to, without those below it."""
        match node:
            case exp.Insert():
                yield from self.insert(node)
            case exp.Update():
                yield from self.update(node)
            case exp.Delete():
                yield from self.delete(node)
            case exp.Merge():
                yield from self.merge(node)
            case exp.TruncateTable():
                yield from self.of(node.expressions, "delete")
            case exp.Copy() if node.args.get("kind"):  # COPY .. FROM
                yield from self.of([node.this], "insert", self.listed(node.this))
            case exp.Create() if node.args.get("expression") is not None and node.args["kind"] == "TABLE":
                yield from self.of([node.this], "insert")
            case exp.Into() if isinstance(node.this, exp.Table) and not node.args.get("temporary"):
                yield from self.of([node.this], "insert")
            case _:
                pass

    # -- kinds of statements

    def insert(self, node: exp.Insert) -> Iterator[Write]:
        """INSERT, REPLACE, and what they do instead if the row is there already."""
        yield from self.of([node.this], "insert", self.listed(node.this))
        conflict = node.args.get("conflict")
        if conflict is not None and "UPDATE" in str(conflict.args.get("action") or "UPDATE").upper():
            yield from self.of([node.this], "update", self._assigned(conflict.expressions))
        if str(node.args.get("alternative") or "").upper() == "REPLACE":
            yield from self.of([node.this], "update")
            yield from self.of([node.this], "delete")
        if node.args.get("overwrite"):
            yield from self.of([node.this], "delete")

    def update(self, node: exp.Update) -> Iterator[Write]:
        """UPDATE, of one table or of several that are joined."""
        targets = [node.this]
        if self.dialect not in _TARGET_IS_A_TABLE:
            sources = self._sources(node)
            named = {column.table.lower() for one in node.expressions for column in _left_columns(one)}
            if len(sources) > 1 and isinstance(node.this, exp.Table) and node.this.args.get("joins"):
                targets = [sources[name] for name in named if name in sources] or list(sources.values())
        yield from self.of(self._meant(targets, node), "update", self._assigned(node.expressions))

    def delete(self, node: exp.Delete) -> Iterator[Write]:
        """DELETE, from one table or from several that are joined."""
        targets = node.args.get("tables") or [node.this]
        if node.args.get("using") and isinstance(node.this, exp.Table):
            targets = [*targets, *(join.this for join in node.this.args.get("joins") or ())]  # DELETE FROM a, b USING
        yield from self.of(self._meant(targets, node), "delete")

    def merge(self, node: exp.Merge) -> Iterator[Write]:
        """MERGE: what its WHEN clauses do."""
        for when in node.find_all(exp.When):
            action = when.args.get("then")
            if isinstance(action, exp.Insert):
                columns = self._names(action.this.expressions) if isinstance(action.this, exp.Tuple) else None
                yield from self.of(self._meant([node.this], node), "insert", columns)
            elif isinstance(action, exp.Update):
                columns = self._assigned(action.expressions) if action.expressions else None
                yield from self.of(self._meant([node.this], node), "update", columns)
            elif "NOTHING" not in str(action).upper():
                yield from self.of(self._meant([node.this], node), "delete")

    # -- tables

    def of(self, targets: Iterable[Any], event: str, columns: Columns = None) -> Iterator[Write]:
        """The writes to some tables."""
        for target in targets:
            table = target.this if isinstance(target, exp.Schema) else target
            if isinstance(table, exp.Table) and isinstance(table.this, exp.Parameter):
                continue  # a variable
            if isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier):
                yield self._write(table, event, columns)
            else:
                inner = [] if table is None else [one for one in table.find_all(exp.Table) if one is not table]
                if not inner:
                    raise UnreadableError(f"what it would {event} is not named as a table")
                yield from self.of(inner, event, columns)

    def _write(self, table: exp.Table, event: str, columns: Columns) -> Write:
        parts = [one for one in (table.args.get("catalog"), table.args.get("db")) if one]
        schema = ".".join(self._fold(one) for one in parts if one.name) or None
        return Write(schema, self._fold(table.this), event, columns)

    def _meant(self, targets: Iterable[Any], node: Node) -> list[Any]:
        """The tables that targets stand for, where they are other names of them."""
        if self.dialect in _TARGET_IS_A_TABLE:
            return list(targets)
        sources = self._sources(node)
        meant: list[Any] = []
        for target in targets:
            found = target
            if isinstance(target, exp.Table) and not target.db:
                found = sources.get(target.name.lower(), target)
            if isinstance(found, exp.Table) and not found.db and found.name.lower() in self._queries:
                query = self._queries[found.name.lower()].this
                meant += [one for one in query.find_all(exp.Table) if one.name.lower() not in self._queries]
            else:
                meant.append(found)
        return meant

    def _sources(self, node: Node) -> dict[str, exp.Table]:
        """The tables of a statement, by the names that they have in it; what is joined goes before the target."""
        return {
            table.alias_or_name.lower(): table
            for table in node.find_all(exp.Table)
            if table.find_ancestor(exp.Select, exp.CTE, exp.Update, exp.Delete, exp.Merge) is node
            and table.arg_key != "tables"
        }

    # -- columns

    def listed(self, target: Any) -> Columns:
        """The columns that are named in parentheses after a table; None if there are none."""
        return self._names(target.expressions) if isinstance(target, exp.Schema) else None

    def _assigned(self, assignments: Iterable[Any]) -> Columns:
        """The columns on the left of assignments; None if one is not understood."""
        columns = []
        for one in assignments:
            found = list(_left_columns(one))
            if not found:
                return None
            columns += found
        return self._names(columns)

    def _names(self, columns: Iterable[Any]) -> frozenset[str]:
        identifiers = (one.this if isinstance(one, exp.Column) else one for one in columns)
        return frozenset(self._fold(one) for one in identifiers)

    def _fold(self, identifier: Any) -> str:
        return folded(self.dialect, identifier.name, bool(identifier.args.get("quoted")))


def _left_columns(assignment: Any) -> Iterator[exp.Column]:
    """The columns on the left of an assignment; none if it is not one."""
    if isinstance(assignment, exp.EQ):
        yield from assignment.this.find_all(exp.Column)
