"""Whatever statement writes, its rows are captured: old and new, each once, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, ForeignKey, insert, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hookline.sqlalchemy import Capture, Captured, capture


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    age: Mapped[int] = mapped_column(default=0)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL", onupdate="CASCADE"))


class Pet(Base):
    __tablename__ = "pet"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE", onupdate="CASCADE"))


Row = dict[str, Any] | None
CAPTURE: Capture = capture(Person, Pet)


def person(id: int, name: str, age: int = 0, boss_id: int | None = None) -> dict[str, Any]:
    return {"id": id, "name": name, "age": age, "boss_id": boss_id}


ANN, BOB, CLEO = person(1, "Ann"), person(2, "Bob"), person(3, "Cleo")


def short(changes: list[Captured]) -> list[tuple[str, str, Row, Row]]:
    return [(one.table.name, one.operation, one.old, one.new) for one in changes]


def of_people(changes: list[Captured]) -> list[tuple[str, Row, Row]]:
    return [(one.operation, one.old, one.new) for one in changes if one.table is Person.__table__]


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """In a transaction, with three people."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Person), [ANN, BOB, CLEO])
    CAPTURE.install(engine)
    with engine.connect() as connection, connection.begin():
        CAPTURE.begin(connection)
        yield connection


def run(connection: Connection, statement: str, **parameters: Any) -> None:
    connection.execute(text(statement), parameters)


def only(connection: Connection, kind: str) -> None:
    if connection.dialect.name != kind:
        pytest.skip(f"{kind} only")


def deferrable_key(connection: Connection) -> None:
    """Let PostgreSQL compare keys at the end of a statement."""
    run(connection, "ALTER TABLE person DROP CONSTRAINT person_pkey CASCADE")
    run(connection, "ALTER TABLE person ADD PRIMARY KEY (id) DEFERRABLE")


def test_insert(connection: Connection) -> None:
    run(connection, "INSERT INTO person (id, name, age) VALUES (4, 'Дора', 30), (5, 'Eve', 31)")
    assert of_people(CAPTURE.take(connection)) == [
        ("insert", None, person(4, "Дора", 30)),
        ("insert", None, person(5, "Eve", 31)),
    ]


def test_insert_from_select(connection: Connection) -> None:
    run(connection, "INSERT INTO person (id, name, age) SELECT id + 10, name || '!', age FROM person WHERE id < 3")
    assert of_people(CAPTURE.take(connection)) == [
        ("insert", None, person(11, "Ann!")),
        ("insert", None, person(12, "Bob!")),
    ]


def test_update(connection: Connection) -> None:
    run(connection, "UPDATE person SET age = id * 10 WHERE id <= 2")
    assert of_people(CAPTURE.take(connection)) == [
        ("update", ANN, ANN | {"age": 10}),
        ("update", BOB, BOB | {"age": 20}),
    ]


def test_an_update_that_changes_nothing_is_not_captured(connection: Connection) -> None:
    run(connection, "UPDATE person SET age = age")
    assert CAPTURE.take(connection) == []
    run(connection, "UPDATE person SET age = CAST(id = 2 AS integer)")
    assert of_people(CAPTURE.take(connection)) == [("update", BOB, BOB | {"age": 1})]
    assert connection.scalar(text("SELECT count(*) FROM hookline_capture")) == 0


def test_delete(connection: Connection) -> None:
    run(connection, "DELETE FROM person WHERE id > 1")
    assert of_people(CAPTURE.take(connection)) == [("delete", BOB, None), ("delete", CLEO, None)]


def test_delete_of_all(connection: Connection) -> None:
    run(connection, "DELETE FROM person")
    assert len(CAPTURE.take(connection)) == 3


def test_keys_that_move_up_keep_their_rows(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        deferrable_key(connection)
        run(connection, "UPDATE person SET id = id + 1")
    else:  # which compares keys row by row
        run(connection, "UPDATE person SET id = id + 1 WHERE id = 3")
        run(connection, "UPDATE person SET id = id + 1 WHERE id = 2")
        run(connection, "UPDATE person SET id = id + 1 WHERE id = 1")
    changes = sorted(of_people(CAPTURE.take(connection)), key=str)
    assert changes == [("update", row, row | {"id": row["id"] + 1}) for row in (ANN, BOB, CLEO)]


def test_keys_that_are_swapped(connection: Connection) -> None:
    only(connection, "postgresql")
    deferrable_key(connection)
    run(connection, "UPDATE person SET id = 3 - id, age = id WHERE id <= 2")
    assert sorted(of_people(CAPTURE.take(connection)), key=str) == sorted(
        [("update", ANN, person(2, "Ann", 1)), ("update", BOB, person(1, "Bob", 2))], key=str
    )


def test_upsert(connection: Connection) -> None:
    run(
        connection,
        "INSERT INTO person (id, name, age) VALUES (1, 'Ann', 7), (9, 'Zoe', 9) "
        "ON CONFLICT (id) DO UPDATE SET age = excluded.age",
    )
    changes = of_people(CAPTURE.take(connection))
    assert sorted(changes, key=str) == [("insert", None, person(9, "Zoe", 9)), ("update", ANN, ANN | {"age": 7})]


def test_conflict_that_does_nothing(connection: Connection) -> None:
    run(connection, "INSERT INTO person (id, name, age) VALUES (1, 'Ann', 7) ON CONFLICT DO NOTHING")
    assert CAPTURE.take(connection) == []


def test_replace(engine: Engine, connection: Connection) -> None:
    """A row that REPLACE replaces is captured if delete triggers fire for it."""
    only(connection, "sqlite")
    run(connection, "INSERT OR REPLACE INTO person (id, name, age) VALUES (1, 'Anna', 1)")
    assert of_people(CAPTURE.take(connection)) == [("insert", None, person(1, "Anna", 1))]
    run(connection, "PRAGMA recursive_triggers = ON")
    run(connection, "REPLACE INTO person (id, name, age) VALUES (1, 'Bob', 2)")  # by key, and by unique name
    assert of_people(CAPTURE.take(connection)) == [
        ("delete", person(1, "Anna", 1), None),
        ("delete", BOB, None),
        ("insert", None, person(1, "Bob", 2)),
    ]


def test_cascades_of_foreign_keys(connection: Connection) -> None:
    run(connection, "INSERT INTO pet (id, owner_id) VALUES (1, 1), (2, 1), (3, 2)")
    run(connection, "UPDATE person SET boss_id = 1 WHERE id = 3")
    CAPTURE.take(connection)
    run(connection, "UPDATE person SET id = 100 WHERE id = 1")
    changes = short(CAPTURE.take(connection))
    assert sorted(changes, key=str) == sorted(
        [
            ("person", "update", ANN, person(100, "Ann")),
            ("person", "update", person(3, "Cleo", 0, 1), person(3, "Cleo", 0, 100)),
            ("pet", "update", {"id": 1, "owner_id": 1}, {"id": 1, "owner_id": 100}),
            ("pet", "update", {"id": 2, "owner_id": 1}, {"id": 2, "owner_id": 100}),
        ],
        key=str,
    )
    run(connection, "DELETE FROM person WHERE id = 100")
    changes = short(CAPTURE.take(connection))
    assert sorted(changes, key=str) == sorted(
        [
            ("person", "delete", person(100, "Ann"), None),
            ("person", "update", person(3, "Cleo", 0, 100), person(3, "Cleo")),
            ("pet", "delete", {"id": 1, "owner_id": 100}, None),
            ("pet", "delete", {"id": 2, "owner_id": 100}, None),
        ],
        key=str,
    )


def test_a_row_that_cascades_to_itself(connection: Connection) -> None:
    run(connection, "UPDATE person SET boss_id = 1 WHERE id = 1")
    CAPTURE.take(connection)
    run(connection, "UPDATE person SET id = 100 WHERE id = 1")
    changes = of_people(CAPTURE.take(connection))
    assert changes == [
        ("update", person(1, "Ann", 0, 1), person(100, "Ann", 0, 1)),
        ("update", person(100, "Ann", 0, 1), person(100, "Ann", 0, 100)),
    ]


def test_what_other_triggers_do_comes_after_what_they_did_it_for(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        run(
            connection,
            "CREATE TRIGGER a_birthday AFTER UPDATE OF name ON person "
            "BEGIN UPDATE person SET age = age + 1 WHERE id = NEW.id; END",
        )
    else:
        run(
            connection,
            "CREATE FUNCTION birthday() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN UPDATE person SET age = age + 1 WHERE id = NEW.id; RETURN NULL; END'",
        )
        run(
            connection,
            "CREATE TRIGGER birthday AFTER UPDATE OF name ON person FOR EACH ROW EXECUTE FUNCTION birthday()",
        )
    run(connection, "UPDATE person SET name = name || '!' WHERE id < 3")
    of_each = {
        row["name"]: [one for one in of_people(changes) if one[1] and one[1]["id"] == row["id"]]
        for changes in [CAPTURE.take(connection)]
        for row in (ANN, BOB)
    }
    for row in (ANN, BOB):
        renamed = row | {"name": row["name"] + "!"}
        assert of_each[row["name"]] == [("update", row, renamed), ("update", renamed, renamed | {"age": 1})]


def test_truncate(connection: Connection) -> None:
    only(connection, "postgresql")
    run(connection, "INSERT INTO pet (id, owner_id) VALUES (1, 1)")
    CAPTURE.take(connection)
    run(connection, "TRUNCATE person CASCADE")
    assert sorted(short(CAPTURE.take(connection)), key=str) == sorted(
        [("person", "delete", row, None) for row in (ANN, BOB, CLEO)]
        + [("pet", "delete", {"id": 1, "owner_id": 1}, None)],
        key=str,
    )
    run(connection, "TRUNCATE person, pet")
    assert CAPTURE.take(connection) == []


def test_merge(connection: Connection) -> None:
    only(connection, "postgresql")
    run(
        connection,
        "MERGE INTO person USING (VALUES (1, 'Anna'), (2, 'gone'), (7, 'Guy')) AS given (id, name) "
        "ON person.id = given.id WHEN MATCHED AND given.name = 'gone' THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET name = given.name "
        "WHEN NOT MATCHED THEN INSERT (id, name, age) VALUES (given.id, given.name, 1)",
    )
    assert sorted(of_people(CAPTURE.take(connection)), key=str) == sorted(
        [("update", ANN, ANN | {"name": "Anna"}), ("delete", BOB, None), ("insert", None, person(7, "Guy", 1))],
        key=str,
    )


def test_copy(connection: Connection) -> None:
    only(connection, "postgresql")
    with connection.connection.cursor().copy("COPY person (id, name, age) FROM STDIN") as copy:
        copy.write_row((8, "Hal", 8))
        copy.write_row((9, "Ida", 9))
    assert of_people(CAPTURE.take(connection)) == [
        ("insert", None, person(8, "Hal", 8)),
        ("insert", None, person(9, "Ida", 9)),
    ]


def test_statements_of_sqlalchemy(connection: Connection) -> None:
    connection.execute(insert(Person), [person(n, f"P{n}") for n in range(10, 20)])
    connection.execute(update(Person).where(Person.id == 10).values(age=Person.age + 5))
    changes = of_people(CAPTURE.take(connection))
    assert changes == [
        *(("insert", None, person(n, f"P{n}")) for n in range(10, 20)),
        ("update", person(10, "P10"), person(10, "P10", 5)),
    ]


def test_a_failed_statement_leaves_nothing(connection: Connection) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"), connection.begin_nested():
        run(connection, "INSERT INTO person (id, name, age) VALUES (20, 'New', 1), (21, 'Ann', 1)")
    assert CAPTURE.take(connection) == []


def test_triggers_do_not_fire_on_a_replica(connection: Connection) -> None:
    """As on PostgreSQL's replicas: what they replay was captured where it was written."""
    only(connection, "postgresql")
    run(connection, "SET LOCAL session_replication_role = replica")
    run(connection, "UPDATE person SET age = 1")
    assert CAPTURE.take(connection) == []


def test_last_insert_id_is_the_rows_own(connection: Connection) -> None:
    only(connection, "sqlite")
    connection.execute(insert(Person), [person(50, "A"), person(51, "B")])
    assert connection.execute(text("INSERT INTO pet (owner_id) VALUES (50)")).lastrowid == 1
    assert connection.execute(text("UPDATE person SET age = 3 WHERE id > 40")).rowcount == 2
