"""Rules that write by statements: of the ORM, of Core, through the session and through its connection."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition
from sqlalchemy import Table, delete, func, insert, inspect, literal, select, update
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite

from .links import Links
from .play import step
from .schema import (
    Account,
    Car,
    Company,
    Country,
    Course,
    Document,
    Enrollment,
    Line,
    Order,
    Passport,
    Person,
    Project,
    Savings,
    Tag,
    Truck,
    Vehicle,
    friendship,
    person_tag,
)
from .values import COUNTERS, FIELDS, NUMBERS, TEXTS

some = st.integers(0, 31)
ways = st.sampled_from(["orm", "core", "connection", "query"])

LINKING = {"order_gets_a_line", "person_gets_passport"}
"""Hooks that give a row which is not inserted yet something of its own: a statement cannot do that."""

OWN_TABLE = (Person, Company, Project, Passport, Tag, Course, Order, Line, Vehicle, Account, Savings, Document)
REFERENCES = (
    *((Person, "boss_id", Person), (Person, "employer_id", Company), (Passport, "person_id", Person)),
    *((Order, "customer_id", Person), (Project, "company_id", Company), (Vehicle, "owner_id", Person)),
)

RAW = (
    "UPDATE person SET age = age + 1 WHERE id <= {n}",
    "UPDATE person SET nickname = '{word}', bio = NULL WHERE id >= {n}",
    "UPDATE person SET boss_id = NULL, employer_id = NULL WHERE id = {n}",
    "UPDATE company SET size = {m} WHERE id <= {n}",
    "UPDATE orders SET customer_id = NULL WHERE id <= {n}",
    "UPDATE vehicle SET name = '{word}' WHERE id >= {n}",
    "UPDATE car SET doors = doors + {m}",
    "UPDATE account SET balance = {m} WHERE id > {n}",
    "INSERT INTO tag (label) VALUES ('{word}'), ('{word}')",
    "INSERT INTO company (name, size) VALUES ('{word}', {m})",
    "INSERT INTO account (kind, balance, rate) VALUES ('savings', {n}, {m})",
    "DELETE FROM passport WHERE id <= {n}",
    "DELETE FROM project WHERE id <= {n}",
    "DELETE FROM person_tag WHERE person_id <= {n}",
    "DELETE FROM friendship",
    "DELETE FROM orders WHERE id <= {n}",
    "DELETE FROM line WHERE id = {n}",
)
"""The orders take their lines with them: that is the database's doing."""


class Statements(Links):
    """Rows come, change and go without their objects."""

    def send(self, way: str, statement: Any, parameters: Any = None) -> Any:
        session = self.sync_session
        target = session.connection() if way == "connection" else session
        return target.execute(statement, parameters) if parameters else target.execute(statement)

    def by_statement(self, line: str, function: Any) -> None:
        """Nothing is pending when a statement of Core comes: only those of the ORM write it first."""
        self.by_statements = True
        if self.perform("session.flush()", self.sync_session.flush) and self.perform(line, function):
            self.perform("session.expire_all(); load everything", self.sync_session.expire_all)
            self.load()
            self.database.counts["statements"] += 1

    def target(self, way: str, model: Any) -> Any:
        return model if way in ("orm", "query") else inspect(model).local_table

    @step(model=st.sampled_from(OWN_TABLE), field=some, value=some, limit=some, way=ways)
    def update_some(self, model: Any, field: int, value: int, limit: int, way: str) -> None:
        """One value for all rows up to some key."""
        names = [n for n in FIELDS[model] if inspect(model).c[n].table is inspect(model).local_table]
        name = names[field % len(names)]
        chosen = FIELDS[model][name][value % len(FIELDS[model][name])]
        key = inspect(model).primary_key[0]
        line = f"{way}: update({model.__name__}).where(key <= {limit}).values({name}={chosen!r})"
        if way == "query":
            self.by_statement(line, lambda: self.sync_session.query(model).filter(key <= limit).update({name: chosen}))
            return
        column = name if way == "orm" else inspect(model).c[name].key
        statement = update(self.target(way, model)).where(key <= limit).values({column: chosen})
        self.by_statement(line, lambda: self.send(way, statement))

    @step(model=st.sampled_from(list(COUNTERS)), limit=some, way=ways, returning=st.booleans())
    def count_up(self, model: Any, limit: int, way: str, returning: bool) -> None:
        """A value that the database computes from the row's own."""
        if model is Car:
            return
        name = COUNTERS[model]
        key, column = inspect(model).primary_key[0], inspect(model).c[name]
        statement: Any = update(self.target(way, model)).where(key >= limit % 4).values({name: column + 1})
        if returning:
            statement = statement.returning(key, column)
        line = f"{way}: update({model.__name__}).where(key >= {limit % 4}).values({name}={name} + 1)"
        self.by_statement(line, lambda: self.send(way, statement))

    @step(limit=some, way=ways)
    def age_by_company(self, limit: int, way: str) -> None:
        """A value from a subquery, and a condition with another."""
        age = select(func.coalesce(func.max(Company.size), 0)).where(Company.id == Person.employer_id).scalar_subquery()
        among = select(Company.id).where(Company.id <= limit)
        statement = update(self.target(way, Person)).where(Person.employer_id.in_(among)).values({"age": age})
        line = f"{way}: update(Person).where(employer_id in companies <= {limit}).values(age=its size)"
        self.by_statement(line, lambda: self.send(way, statement))

    @step(number=some, other=some, which=some, way=ways)
    def refer(self, number: int, other: int, which: int, way: str) -> None:
        """Links by foreign key, of several rows at once."""
        model, column, target = REFERENCES[which % len(REFERENCES)]
        found = self.pick(other, target, or_none=True)
        key = None if found is None else self.key_of(found)
        if found is not None and key is None:
            return
        at = inspect(model).primary_key[0]
        statement = update(self.target(way, model)).where(at >= number % 4).values({column: key})
        line = f"{way}: update({model.__name__}).where(key >= {number % 4}).values({column}={key})"
        self.by_statement(line, lambda: self.send(way, statement))

    @step(rows=st.lists(st.tuples(st.sampled_from([Person, Company, Tag, Account]), some), min_size=1, max_size=3))
    def update_by_key(self, rows: list[tuple[Any, int]]) -> None:
        """The ORM's list of rows with their keys."""
        model = rows[0][0]
        names = list(FIELDS[model])
        living = self.persistent(model)
        if not living:
            return
        given = {}
        for _, number in rows:
            entity, name = living[number % len(living)], names[number % len(names)]
            if type(entity) is model and name != "settings":
                chosen = FIELDS[model][name][number % len(FIELDS[model][name])]
                given[self.key_of(entity)] = {inspect(model).primary_key[0].key: self.key_of(entity), name: chosen}
        parameters = [row for key, row in given.items() if key is not None]
        if parameters:
            self.by_statement(
                f"session.execute(update({model.__name__}), {parameters})",
                lambda: self.sync_session.execute(update(model), parameters),
            )

    @precondition(lambda self: not LINKING & {rule.name for rule in self.in_force})
    @step(
        model=st.sampled_from([Person, Company, Tag, Course, Order, Account, Document, Vehicle]),
        values=st.lists(st.tuples(some, some), min_size=1, max_size=3),
        way=st.sampled_from(["orm", "core", "connection", "values", "orm-values", "bulk", "one"]),
        returning=st.booleans(),
    )
    def insert_some(self, model: Any, values: list[tuple[int, int]], way: str, returning: bool) -> None:
        rows = [self.row_for(model, *pair) for pair in values]
        line = f"{way}: insert({model.__name__}), {rows}{', returning' if returning else ''}"
        if way == "bulk":
            self.by_statement(line, lambda: self.sync_session.bulk_insert_mappings(model, rows))
            return
        orm = way in ("orm", "orm-values")
        statement: Any = insert(model if orm else inspect(model).local_table)
        kind = {} if orm and way == "orm" else self.discriminator(model)
        rows = [{**kind, **row} for row in rows]
        key = inspect(model).primary_key[0]
        if returning:
            statement = statement.returning(model if orm else key)
        if way in ("values", "orm-values"):
            statement, parameters = statement.values(rows), None
        else:
            parameters = rows[:1] if way == "one" else rows

        def send() -> None:
            result = self.send("connection" if way == "connection" else "orm", statement, parameters)
            if returning:
                assert len(result.all()) == len(parameters or rows)

        self.by_statement(line, send)

    def discriminator(self, model: Any) -> dict[str, Any]:
        mapper = inspect(model)
        return {} if mapper.polymorphic_on is None else {"kind": mapper.polymorphic_identity}

    def row_for(self, model: Any, value: int, other: int) -> dict[str, Any]:
        word, number = TEXTS[value % len(TEXTS)], NUMBERS[value % len(NUMBERS)]
        rows: dict[Any, dict[str, Any]] = {
            Person: {"name": word, "age": number, "employer_id": self.key_of(self.pick(other, Company, or_none=True))},
            Company: {"name": word},
            Tag: {"label": word},
            Course: {"title": word},
            Order: {"customer_id": self.key_of(self.pick(other, Person, or_none=True))},
            Account: {"balance": number},
            Document: {"title": word, "version": 1},
            Vehicle: {"name": word, "owner_id": self.key_of(self.pick(other, Person, or_none=True))},
        }
        return rows[model]

    @precondition(lambda self: not LINKING & {rule.name for rule in self.in_force})
    @step(model=st.sampled_from([Car, Truck]), value=some, count=st.integers(1, 3))
    def insert_joined(self, model: Any, value: int, count: int) -> None:
        """Rows in two tables, by the ORM's list."""
        more = {Car: {}, Truck: {"load": value}}[model]
        rows = [{"name": TEXTS[(value + n) % len(TEXTS)], **more} for n in range(count)]
        self.by_statement(
            f"session.execute(insert({model.__name__}), {rows})",
            lambda: self.sync_session.execute(insert(model), rows),
        )

    @precondition(lambda self: not LINKING & {rule.name for rule in self.in_force})
    @step(limit=some, way=ways)
    def insert_selected(self, limit: int, way: str) -> None:
        source = select(Company.name).where(Company.id <= limit)
        statement = insert(self.target(way, Tag)).from_select(["label"], source)
        self.by_statement(
            f"{way}: insert(Tag).from_select(names of companies <= {limit})", lambda: self.send(way, statement)
        )

    @precondition(lambda self: not LINKING & {rule.name for rule in self.in_force})
    @step(
        model=st.sampled_from([Country, Enrollment]),
        values=st.lists(st.tuples(some, some), min_size=1, max_size=3),
        how=st.sampled_from(["nothing", "anything", "excluded", "computed", "some"]),
        way=st.sampled_from(["orm", "core", "connection", "values"]),
    )
    def upsert(self, model: Any, values: list[tuple[int, int]], how: str, way: str) -> None:
        """Some rows are there, and some are not."""
        key = [column.key for column in inspect(model).primary_key]
        rows = {}
        for value, other in values:
            if model is Country:
                row: dict[str, Any] = {"code": "abcde"[value % 5], "name": TEXTS[other % len(TEXTS)]}
            else:
                person, course = self.key_of(self.pick(value, Person)), self.key_of(self.pick(other, Course))
                row = {"person_id": person, "course_id": course, "grade": NUMBERS[value % len(NUMBERS)]}
            if all(row[name] is not None for name in key):
                rows[tuple(row[name] for name in key)] = row
        if not rows:
            return
        given = list(rows.values())
        insert_into = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self.database.engine.dialect.name]
        statement: Any = insert_into(model if way == "orm" else inspect(model).local_table)
        if way == "values":
            statement, parameters = statement.values(given), None
        else:
            parameters = given
        name = "name" if model is Country else "grade"
        column = inspect(model).local_table.c[name]
        if how in ("nothing", "anything"):
            target = {} if how == "anything" else {"index_elements": key}
            statement = statement.on_conflict_do_nothing(**target)
        else:
            there = statement.excluded[name]
            value = there if how == "excluded" else column + there
            only = {"where": column != there} if how == "some" else {}
            statement = statement.on_conflict_do_update(index_elements=key, set_={name: value}, **only)
        self.by_statement(
            f"{way}: upsert {model.__name__} {given}, {how}", lambda: self.send(way, statement, parameters)
        )

    @step(model=st.sampled_from([Project, Passport, Line, Enrollment, Account, Document]), limit=some, way=ways)
    def delete_some(self, model: Any, limit: int, way: str) -> None:
        """Rows that nothing refers to."""
        key = inspect(model).primary_key[0]
        line = f"{way}: delete({model.__name__}).where(key <= {limit % 8})"
        if way == "query":
            self.by_statement(line, lambda: self.sync_session.query(model).filter(key <= limit % 8).delete())
            return
        statement = delete(self.target(way, model)).where(key <= limit % 8)
        self.by_statement(line, lambda: self.send(way, statement))

    @step(
        table=st.sampled_from([person_tag, friendship]), number=some, other=some, how=st.sampled_from("lum"), way=ways
    )
    def pair(self, table: Table, number: int, other: int, how: str, way: str) -> None:
        """Rows of a secondary table."""
        here = self.pick(number, Person)
        there = self.pick(other, Tag if table is person_tag else Person)
        near, far = self.key_of(here), self.key_of(there)
        if near is None or far is None:
            return
        first, second = table.columns
        taken = select(literal(1)).where(first == near, second == far).exists()
        if how == "l":
            source = select(literal(near), literal(far)).where(~taken)
            statement: Any = insert(table).from_select([first.key, second.key], source)
        elif how == "u":
            statement = delete(table).where(first == near)
        else:
            other_table = table.alias()
            free = ~select(literal(1)).where(other_table.c[0] == near, other_table.c[1] == far).exists()
            lowest = select(func.min(other_table.c[1])).where(other_table.c[0] == near).scalar_subquery()
            statement = update(table).where(first == near, second == lowest, free).values({second.key: far})
        self.by_statement(f"{way}: {how} {table.name} {near} {far}", lambda: self.send(way, statement))

    @precondition(lambda self: self.database.capture is not None)
    @step(text=st.sampled_from(RAW), number=some, other=some, driver=st.booleans())
    def raw(self, text: str, number: int, other: int, driver: bool) -> None:
        """SQL that nobody has looked into: triggers tell of it, and of what the database itself does."""
        filled = text.format(n=number % 6, m=other % 6, word=TEXTS[other % len(TEXTS)].strip())
        connection = self.sync_session.connection
        self.by_statement(
            f"raw: {filled}",
            lambda: connection().exec_driver_sql(filled) if driver else self.sync_session.execute(sql(filled)),
        )
