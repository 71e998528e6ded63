"""Installing, checking, upgrading and removing: each may be done twice, and says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    text,
    update,
)

from hookline import CaptureError, TargetError
from hookline.sqlalchemy import Capture, capture

from .schema import Base, Employee, Person, Tag, add_tags, installed, keys, person_tag


def left_behind(engine: Engine) -> list[str]:
    """What is in the database, in the schema of these tests, that no model made."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE name LIKE 'hookline%'"
        else:
            query = (
                "SELECT relname FROM pg_class WHERE relname LIKE 'hookline%' AND pg_table_is_visible(oid) UNION ALL "
                "SELECT proname FROM pg_proc WHERE proname LIKE 'hookline%' AND pg_function_is_visible(oid) UNION ALL "
                "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'hookline%' AND pg_table_is_visible(tgrelid)"
            )
        return list(connection.scalars(text(query)))


def items(*more: Column[Any]) -> Table:
    return Table("item", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(20)), *more)


def take(found: Capture, connection: Connection) -> list[tuple[Any, Any]]:
    return [(one.old, one.new) for one in found.take(connection)]


# -- whose tables


def test_the_tables_of_a_class_are_those_of_its_subclasses_and_its_links() -> None:
    assert set(capture(Person).tables) == {Person.__table__, Employee.__table__, person_tag}
    assert set(capture(Employee).tables) == {Person.__table__, Employee.__table__, person_tag}
    assert capture(Person, Person).tables == capture(Person).tables


def test_the_table_of_a_relationship_is_that_of_its_links() -> None:
    assert capture(Person.tags).tables == (person_tag,)
    assert capture(Person.boss).tables == (Person.__table__,)
    assert capture(person_tag).tables == (person_tag,)


@pytest.mark.parametrize("target", [int, "person", None, Person.name])
def test_what_has_no_table_is_an_error(target: Any) -> None:
    with pytest.raises(TargetError, match=r"capture\(\) takes mapped classes"):
        _ = capture(target).tables


# -- the life of triggers


def test_installing_twice_and_removing_twice(engine: Engine) -> None:
    found = installed(engine, Person, Tag)
    found.install(engine)
    found.check(engine)
    with engine.begin() as connection:
        add_tags(connection, 1)
    found.install(engine)
    with engine.begin() as connection:
        found.begin(connection)
        assert keys(found.waiting(connection)) == [1]
    found.remove(engine)
    found.remove(engine)
    assert left_behind(engine) == []
    with engine.begin() as connection:
        add_tags(connection, 2)


def test_what_is_missing_is_named(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    found = capture(Tag)
    with pytest.raises(
        CaptureError, match=r"(?s)do not match the models.*tag: the table hookline_capture of the log is m"
    ):
        found.check(engine)
    found.install(engine)
    found.check(engine)
    name = "hookline_capture_update_tag"
    with engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {name}{' ON tag' if engine.dialect.name == 'postgresql' else ''}"))
    with pytest.raises(CaptureError, match=f"tag: the trigger {name} is missing"):
        found.check(engine)
    assert found.upgrade(engine) == [f"tag: the trigger {name} is missing"]
    assert found.upgrade(engine) == []


def test_a_missing_table_is_named(engine: Engine) -> None:
    with pytest.raises(CaptureError, match="the table tag is missing"):
        capture(Tag.__table__).check(engine)


def test_a_disabled_trigger_is_found(engine: Engine) -> None:
    found = installed(engine)
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no such thing")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE tag DISABLE TRIGGER hookline_capture_delete_tag"))
    with pytest.raises(CaptureError, match="the trigger hookline_capture_delete_tag is disabled"):
        found.check(engine)
    found.upgrade(engine)
    found.check(engine)


def test_a_column_that_the_model_gained(engine: Engine) -> None:
    before, after = items(), items(Column("price", Integer))
    before.metadata.create_all(engine)
    old, new = capture(before), capture(after)
    old.install(engine)
    with engine.begin() as connection:
        connection.execute(insert(before), {"id": 1, "name": "one"})
        connection.execute(text("ALTER TABLE item ADD COLUMN price INTEGER"))
        old.check(connection)
        with pytest.raises(CaptureError, match="the trigger hookline_capture_insert_item is outdated"):
            new.check(connection)
        assert len(new.upgrade(connection)) >= 3
        new.check(connection)
    with engine.begin() as connection:
        new.begin(connection)
        connection.execute(update(after).values(price=3))
        full = {"id": 1, "name": "one", "price": 3}
        assert take(new, connection) == [(full | {"price": None}, full)]
        # What was written before is read with the columns that there were.
        (waiting,) = new.waiting(connection)
        assert waiting.new == {"id": 1, "name": "one"}
        new.forget(connection, [waiting])
        assert new.waiting(connection) == []


def test_a_column_that_the_model_lost(engine: Engine) -> None:
    before, after = items(Column("price", Integer)), items()
    before.metadata.create_all(engine)
    old, new = capture(before), capture(after)
    old.install(engine)
    with engine.begin() as connection:
        connection.execute(insert(before), {"id": 1, "name": "one", "price": 3})
        assert new.upgrade(connection) != []
        connection.execute(text("ALTER TABLE item DROP COLUMN price"))
    with engine.begin() as connection:
        new.begin(connection)
        connection.execute(update(after).values(name="two"))
        assert take(new, connection) == [({"id": 1, "name": "one"}, {"id": 1, "name": "two"})]
        assert [one.new for one in new.waiting(connection)] == [{"id": 1, "name": "one"}]
    new.remove(engine)
    assert left_behind(engine) == []


def test_a_column_whose_type_was_changed_in_the_database(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite's columns take any value, and the log takes it as it is")
    table = items()
    table.metadata.create_all(engine)
    found = capture(table)
    found.install(engine)
    with engine.begin() as connection:
        connection.execute(insert(table), {"id": 1, "name": "one"})
        connection.execute(text("ALTER TABLE item ALTER id TYPE bigint"))
    with pytest.raises(CaptureError, match=r"item: id is kept in the log as integer\[\], which should be bigint\[\]"):
        found.check(engine)
    assert len(found.upgrade(engine)) == 1
    found.check(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(text(f"INSERT INTO item VALUES ({2**40}, 'big')"))
        assert take(found, connection) == [(None, {"id": 2**40, "name": "big"})]
        assert keys(found.waiting(connection)) == [1]


def test_create_all_installs_and_drop_all_removes(engine: Engine) -> None:
    table = items()
    found = capture(table)
    found.listen(table.metadata)
    table.metadata.create_all(engine)
    found.check(engine)
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(table), {"id": 1, "name": "one"})
        assert keys(found.take(connection)) == [1]
    table.metadata.drop_all(engine)
    assert left_behind(engine) == []


def test_create_all_installs_on_tables_that_were_there(engine: Engine) -> None:
    table = items()
    table.metadata.create_all(engine)
    found = capture(table)
    found.listen(table.metadata)
    table.metadata.create_all(engine)
    found.check(engine)


def test_dropping_some_tables_leaves_the_others_captured(engine: Engine) -> None:
    metadata = MetaData()
    one, two = (Table(name, metadata, Column("id", Integer, primary_key=True)) for name in ("one", "two"))
    found = capture(one, two)
    found.listen(metadata)
    metadata.create_all(engine)
    metadata.drop_all(engine, tables=[one])
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(two), {"id": 1})
        assert [change.table for change in found.take(connection)] == [two]


def test_other_databases_have_no_triggers() -> None:
    with pytest.raises(CaptureError, match="There are triggers for postgresql and sqlite, not for 'oracle'"):
        capture(Tag).ddl("oracle")


def test_ddl_takes_a_dialect(engine: Engine) -> None:
    assert capture(Tag).ddl(engine.dialect) == capture(Tag).ddl(engine.dialect.name)


# -- names, schemas, rights


STRANGE = ["Mixed Case", "имя", 'quo"te', "per%cent %s", "col:on", "select", "ы" * 60, "apos'trophe", "hookline_change"]


@pytest.mark.parametrize("name", STRANGE)
def test_any_name(name: str, engine: Engine) -> None:
    if engine.dialect.name == "postgresql":
        name = name.encode()[:60].decode()
    metadata = MetaData()
    columns = [Column("id", Integer, primary_key=True), Column(name, String), Column("hookline_place", Integer)]
    table = Table(name, metadata, *columns)
    twin = Table(f"{name}2", metadata, Column("id", Integer, primary_key=True))
    found = capture(table, twin)
    found.listen(metadata)
    metadata.create_all(engine)
    found.check(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(table), {"id": 1, name: "Ж", "hookline_place": 7})
        connection.execute(insert(twin), {"id": 1})
        connection.execute(table.update().values(hookline_place=8))
        connection.execute(table.delete())
        row = {"id": 1, name: "Ж", "hookline_place": 7}
        later = row | {"hookline_place": 8}
        assert take(found, connection) == [(None, row), (None, {"id": 1}), (row, later), (later, None)]
    metadata.drop_all(engine)
    assert left_behind(engine) == []


def test_one_name_in_two_schemas(engine: Engine, tmp_path: Any) -> None:
    metadata = MetaData()
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text(f"ATTACH '{tmp_path / 'other.db'}' AS other"))
        else:
            connection.execute(text("DROP SCHEMA IF EXISTS other CASCADE"))
            connection.execute(text("CREATE SCHEMA other"))
        connection.commit()
        here = Table("place", metadata, Column("id", Integer, primary_key=True))
        there = Table("place", metadata, Column("id", Integer, primary_key=True), schema="other")
        found = capture(here, there)
        found.listen(metadata)
        metadata.create_all(connection)
        connection.commit()
        found.check(connection)
        connection.rollback()
        with connection.begin():
            found.begin(connection)
            connection.execute(insert(there), {"id": 2})
            connection.execute(insert(here), {"id": 1})
            assert {(one.table, one.key) for one in found.take(connection)} == {(here, (1,)), (there, (2,))}
            assert found.take(connection) == []
        metadata.drop_all(connection)
        connection.commit()
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA other CASCADE"))
            connection.commit()


def test_a_log_in_a_schema_of_its_own(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite's triggers reach their own database only")
    table = items()
    table.metadata.create_all(engine)
    found = capture(table, log="Журнал", schema="audit")
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(text("DROP SCHEMA IF EXISTS audit CASCADE"))
        connection.execute(text("CREATE SCHEMA audit"))
        found.install(connection)
        found.check(connection)
        connection.execute(insert(table), {"id": 1, "name": "one"})
        connection.execute(text("TRUNCATE item"))
        row = {"id": 1, "name": "one"}
        assert take(found, connection) == [(None, row), (row, None)]
        assert inspect(connection).get_table_names() == ["item"]
        found.remove(connection)
        assert inspect(connection).get_table_names(schema="audit") == []
        connection.execute(text("DROP SCHEMA audit"))


def test_who_may_write_the_table_need_not_be_able_to_touch_the_log(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no users")
    found = installed(engine)
    role = f"writer_{engine.url.database}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        connection.execute(text(f"GRANT ALL ON tag TO {role}"))
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        # Nor can they lead the trigger astray.
        connection.execute(text("CREATE TEMP TABLE hookline_capture (LIKE tag)"))
        connection.execute(text("SET LOCAL search_path = pg_temp"))
        connection.execute(text("INSERT INTO public.tag VALUES (1, 'one')"))
        connection.execute(text("DELETE FROM public.tag"))
        connection.execute(text("RESET ROLE"))
        connection.execute(text("SET LOCAL search_path = public"))
        connection.execute(text("DROP TABLE pg_temp.hookline_capture"))
        assert [one.operation for one in found.take(connection)] == ["insert", "delete"]
        transaction.rollback()
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_row_level_security_hides_nothing_from_the_triggers(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no users")
    found = installed(engine)
    role = f"reader_{engine.url.database}"
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(text(f"CREATE ROLE {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
        connection.execute(text(f"GRANT ALL ON tag, person_tag TO {role}"))
        connection.execute(text("ALTER TABLE tag ENABLE ROW LEVEL SECURITY"))
        connection.execute(text("CREATE POLICY low ON tag USING (id < 10) WITH CHECK (true)"))
        add_tags(connection, 1, 20)
        found.take(connection)
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        connection.execute(text("UPDATE tag SET label = 'x'"))
        connection.execute(text("TRUNCATE tag, person_tag"))
        connection.execute(text("RESET ROLE"))
        assert [(one.operation, one.key) for one in found.take(connection)] == [
            ("update", (1,)),
            *(("delete", (number,)) for number in (20, 1)),
        ]
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


# -- kinds of tables


def test_a_table_without_rowids(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("sqlite only")
    metadata = MetaData()
    table = Table(
        "pair", metadata, Column("a", String, primary_key=True), Column("b", String, primary_key=True),
        sqlite_with_rowid=False,
    )  # fmt: skip
    found = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(table), {"a": "x", "b": "y"})
        connection.execute(update(table).values(b="z"))
        assert [one.key for one in found.take(connection)] == [("x", "y"), ("x", "y")]


def test_what_a_collation_calls_equal_is_a_change(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("sqlite only")
    metadata = MetaData()
    table = Table("word", metadata, Column("id", Integer, primary_key=True), Column("text", String(collation="NOCASE")))
    found = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(insert(table), {"id": 1, "text": "ann"})
        connection.execute(update(table).values(text="Ann"))
        connection.execute(update(table).values(text="Ann"))
        assert [one.operation for one in found.take(connection)] == ["insert", "update"]


@pytest.fixture
def partitioned(engine: Engine) -> tuple[Table, Capture]:
    if engine.dialect.name == "sqlite":
        pytest.skip("postgresql only")
    metadata = MetaData()
    table = Table(
        "event", metadata, Column("id", Integer, primary_key=True), Column("year", Integer, primary_key=True),
        Column("text", String), postgresql_partition_by="LIST (year)",
    )  # fmt: skip
    found = capture(table)
    found.listen(metadata)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for year in (2024, 2025):
            connection.execute(text(f"CREATE TABLE event_{year} PARTITION OF event FOR VALUES IN ({year})"))
    return table, found


def test_a_partitioned_table(engine: Engine, partitioned: tuple[Table, Capture]) -> None:
    table, found = partitioned
    with engine.begin() as connection:
        found.begin(connection)
        rows = [{"id": n, "year": year, "text": "x"} for n, year in ((1, 2024), (2, 2025))]
        connection.execute(insert(table), rows)
        connection.execute(update(table).where(table.c.id == 1).values(year=2025))
        connection.execute(text("TRUNCATE event"))
        moved = rows[0] | {"year": 2025}
        taken = take(found, connection)
        assert taken[:3] == [(None, rows[0]), (None, rows[1]), (rows[0], moved)]
        assert sorted(taken[3:], key=str) == sorted([(moved, None), (rows[1], None)], key=str)


def test_a_row_that_a_trigger_keeps_out_of_its_new_partition(
    engine: Engine, partitioned: tuple[Table, Capture]
) -> None:
    table, found = partitioned
    with engine.begin() as connection:
        found.begin(connection)
        rows = [{"id": n, "year": 2024, "text": "x"} for n in (1, 2, 3)]
        connection.execute(insert(table), rows)
        found.take(connection)
        connection.execute(
            text("CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        )
        connection.execute(
            text(
                "CREATE TRIGGER keep_out BEFORE INSERT ON event_2025 FOR EACH ROW WHEN (NEW.id = 2) "
                "EXECUTE FUNCTION keep_out()"
            )
        )
        connection.execute(update(table).values(year=2025))
        there = [dict(row._mapping) for row in connection.execute(table.select().order_by(table.c.id))]
        taken = take(found, connection)
        assert [old for old, _ in taken if old] == rows
        assert [new for _, new in taken if new] == there
        assert not any(old and new and old["id"] != new["id"] for old, new in taken)


def test_writing_to_a_partition_by_its_name_is_not_captured(engine: Engine, partitioned: tuple[Table, Capture]) -> None:
    _, found = partitioned
    with engine.begin() as connection:
        found.begin(connection)
        connection.execute(text("INSERT INTO event_2024 VALUES (1, 2024, 'x')"))
        assert take(found, connection) == []


def test_rows_larger_than_a_part(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large for one row of the log goes into several, and is read as one."""
    if engine.dialect.name == "sqlite":
        pytest.skip("postgresql only")
    from hookline.sqlalchemy.capturing import plpgsql

    monkeypatch.setattr(plpgsql, "_PART_ROWS", 7)
    monkeypatch.setattr(plpgsql, "_PART_BYTES", 100)
    monkeypatch.setattr(plpgsql, "_SIZE", "greatest(1, least(7, 100 / greatest(1, hookline_widest)))")
    table = items()
    table.metadata.create_all(engine)
    found = capture(table)
    found.install(engine)
    for width in (1, 20):
        with engine.begin() as connection:
            found.begin(connection)
            rows = [{"id": n, "name": "n" * width} for n in range(1, 51)]
            connection.execute(
                text(f"INSERT INTO item SELECT n, repeat('n', {width}) FROM generate_series(1, 50) AS n")
            )
            connection.execute(text("UPDATE item SET id = id + 100 WHERE id <> 20"))
            assert (connection.scalar(text("SELECT count(*) FROM hookline_capture")) or 0) >= 14
            taken = take(found, connection)
            assert taken[:50] == [(None, row) for row in rows]
            assert taken[50:] == [(row, row | {"id": row["id"] + 100}) for row in rows if row["id"] != 20]
            connection.execute(text("TRUNCATE item"))
            assert len(take(found, connection)) == 50
