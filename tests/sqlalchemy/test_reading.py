"""What a text of SQL writes to, in the words of each database."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from hookline.sqlalchemy.reading import text as reading
from hookline.sqlalchemy.reading.text import read


def writes(dialect: str, text: str) -> set[str]:
    """What a text writes to, as ``event schema.table``."""
    found = read(dialect, text)
    assert found.unread == ""
    return {
        f"{one.event} {one.schema}.{one.table}" if one.schema else f"{one.event} {one.table}" for one in found.writes
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        # plain statements
        "INSERT INTO person (age) VALUES (1)": "insert person",
        "INSERT INTO person AS p DEFAULT VALUES RETURNING p.id": "insert person",
        "INSERT INTO person (id) OVERRIDING SYSTEM VALUE VALUES (1)": "insert person",
        "INSERT INTO person SELECT * FROM company": "insert person",
        "UPDATE person SET (age, name) = (1, 'x'), tags[1] = 2, other = DEFAULT": "update person",
        "UPDATE ONLY person p SET age = 1 FROM company AS c WHERE c.id = p.company_id": "update person",
        "UPDATE person SET age = 1 WHERE CURRENT OF cursor": "update person",
        "DELETE FROM person": "delete person",
        "DELETE FROM ONLY person USING company c WHERE c.id = company_id": "delete person",
        "TRUNCATE person": "delete person",
        "TRUNCATE TABLE ONLY person, crm.company RESTART IDENTITY CASCADE": "delete person, delete crm.company",
        # names
        "UPDATE Person SET age = 1": "update person",
        'UPDATE "Person" SET age = 1': "update Person",
        'UPDATE "public"."Order Line" SET x = 1': "update public.Order Line",
        "UPDATE CRM.Person SET x = 1": "update crm.person",
        "DELETE FROM shop.crm.person": "delete shop.crm.person",
        # both an insert and something else
        "INSERT INTO person VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b": "insert person, update person",
        "INSERT INTO person (a) VALUES (1) ON CONFLICT DO NOTHING": "insert person",
        "MERGE INTO person AS p USING s ON p.id = s.id WHEN MATCHED AND s.gone THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT (a) VALUES (1)":
            "insert person, update person, delete person",
        "MERGE INTO person USING s ON true WHEN NOT MATCHED THEN INSERT VALUES (1) "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE": "insert person, delete person",
        "MERGE INTO person USING s ON true WHEN MATCHED THEN DO NOTHING": "",
        # inside others
        "WITH gone AS (DELETE FROM person RETURNING *), up AS (UPDATE company SET x = 1) "
        "INSERT INTO archive SELECT * FROM gone": "delete person, update company, insert archive",
        "WITH gone AS (DELETE FROM person RETURNING *) SELECT count(*) FROM gone": "delete person",
        "WITH person AS (SELECT 1) DELETE FROM person": "delete person",
        "WITH RECURSIVE t(n) AS (VALUES (1)) DELETE FROM person WHERE id IN (SELECT n FROM t)": "delete person",
        # several
        "UPDATE person SET name = 'a;b'; ; DELETE FROM \"a;b\"; SELECT 1": "update person, delete a;b",
        "LOCK TABLE person; UPDATE company SET x = 1": "update company",
        "BEGIN; DELETE FROM person; COMMIT": "delete person",
        # files, new tables
        "COPY person FROM STDIN": "insert person",
        "COPY person (a, b) FROM '/tmp/x' WITH (FORMAT csv)": "insert person",
        "COPY person TO STDOUT": "",
        "COPY (SELECT * FROM person) TO STDOUT": "",
        "SELECT * INTO adults FROM person": "insert adults",
        "SELECT * INTO TEMP adults FROM person": "",
        "CREATE TABLE IF NOT EXISTS crm.adults AS SELECT * FROM person": "insert crm.adults",
        "CREATE UNLOGGED TABLE adults AS SELECT * FROM person": "insert adults",
        "CREATE TEMP TABLE adults ON COMMIT DROP AS SELECT * FROM person": "",
        # what is only asked about, and what is carried out
        "EXPLAIN DELETE FROM person": "",
        "EXPLAIN (VERBOSE, COSTS off) DELETE FROM person": "",
        "EXPLAIN ANALYZE DELETE FROM person": "delete person",
        "EXPLAIN (ANALYZE, BUFFERS) WITH x AS (DELETE FROM person) SELECT 1": "delete person",
        "PREPARE p AS UPDATE person SET age = $1": "update person",
        # no rows
        "SELECT * FROM person FOR NO KEY UPDATE SKIP LOCKED": "",
        "SELECT replace(name, 'x', 'insert into person') FROM person -- delete from person": "",
        "/* update */ SELECT update FROM person": "",
        "SELECT $$ DELETE FROM person $$": "",
        "DECLARE c CURSOR FOR SELECT * FROM person FOR UPDATE": "",
        "CREATE TABLE person (id int GENERATED ALWAYS AS (1) STORED, x int REFERENCES y ON DELETE CASCADE)": "",
        "ALTER TABLE person ADD FOREIGN KEY (x) REFERENCES y ON UPDATE CASCADE; DROP TABLE person": "",
        "GRANT UPDATE, DELETE ON person TO ann": "",
        "COMMENT ON TABLE person IS 'update it'": "",
        "CREATE TRIGGER t AFTER UPDATE ON person FOR EACH ROW EXECUTE FUNCTION f()": "",
        "CREATE FUNCTION f() RETURNS void AS $$ DELETE FROM person $$ LANGUAGE sql": "",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO a VALUES (1); DELETE FROM b; END; "
        "DELETE FROM c": "delete c",
        "SET application_name = 'update'; SAVEPOINT replace; RELEASE replace; VACUUM person -- update": "",
        "LISTEN updates; NOTIFY updates, 'delete'; REFRESH MATERIALIZED VIEW x -- update": "",
        "CALL do_it(); SELECT do_it() -- update": "",
    }.items(),
)  # fmt: skip
def test_on_postgresql(text: str, expected: str) -> None:
    assert writes("postgresql", text) == set(filter(None, expected.split(", ")))


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "INSERT OR REPLACE INTO person (a) VALUES (1)": "insert person, update person, delete person",
        "REPLACE INTO Person (a) VALUES (1)": "insert person, update person, delete person",
        "INSERT OR IGNORE INTO person VALUES (1)": "insert person",
        "INSERT INTO person SELECT 1 WHERE true ON CONFLICT DO UPDATE SET a = 2": "insert person, update person",
        "UPDATE OR REPLACE main.person SET a = 1": "update main.person, delete main.person",
        "UPDATE person SET a = 1 FROM company WHERE 1": "update person",
        'DELETE FROM "Person" ORDER BY id LIMIT 1': "delete person",
        "INSERT INTO [two words] VALUES (1)": "insert two words",
        "INSERT INTO `person` VALUES (1)": "insert person",
        "PRAGMA foreign_keys = ON; VACUUM INTO 'file'": "",
        "EXPLAIN QUERY PLAN DELETE FROM person": "",
        "CREATE TRIGGER t AFTER UPDATE ON person BEGIN UPDATE company SET a = 1; DELETE FROM company; END": "",
        "CREATE TABLE adults AS SELECT * FROM person": "insert adults",
    }.items(),
)
def test_on_sqlite(text: str, expected: str) -> None:
    assert writes("sqlite", text) == set(filter(None, expected.split(", ")))


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        ("mysql", "REPLACE person (a) VALUES (1)", "insert person, update person, delete person"),
        ("mysql", "INSERT IGNORE person (a) VALUES (%s) ON DUPLICATE KEY UPDATE a = 2", "insert person, update person"),
        ("mariadb", "UPDATE person p JOIN company c ON p.x = c.x SET p.a = 1", "update person"),
        ("mysql", "UPDATE person p, company c SET p.a = 1, c.b = 2", "update person, update company"),
        ("mysql", "DELETE p FROM person p JOIN company c", "delete person"),
        ("mysql", "DELETE FROM p, c USING person p JOIN shop.company c", "delete person, delete shop.company"),
        ("mysql", "SELECT a INTO @x FROM person", ""),
        ("mssql", "UPDATE p SET a = 1 FROM dbo.[Person] AS p JOIN x ON x.id = p.id", "update dbo.person"),
        ("mssql", "DELETE TOP (10) person WHERE id = ?", "delete person"),
        ("mssql", "WITH x AS (SELECT 1) DELETE TOP (@n + 1) PERCENT FROM person", "delete person"),
        ("mssql", "UPDATE TOP 5 person SET a = 1", "update person"),
        ("mssql", "CREATE TABLE event (id int); INSERT INTO person VALUES (1)", "insert person"),
        ("mssql", "WITH twice AS (SELECT * FROM person) DELETE FROM twice", "delete person"),
        ("mssql", "UPDATE @rows SET a = 1", ""),
        ("mssql", "MERGE person AS p USING s ON 1 = 1 WHEN MATCHED THEN UPDATE SET a = 1;", "update person"),
        ("mssql", "SELECT * INTO adults FROM person", "insert adults"),
        ("mssql", "ALTER TABLE a ADD FOREIGN KEY (c) REFERENCES d (e) ON DELETE CASCADE", ""),
        ("mssql", "CREATE PROCEDURE p AS UPDATE person SET a = 1", ""),
        ("oracle", "INSERT ALL INTO a VALUES (1) INTO \"b\" VALUES (2) SELECT * FROM dual", "insert A, insert b"),
        ("oracle", "DELETE person WHERE id = :1", "delete PERSON"),
        ("something else", "UPDATE Person SET a = 1", "update person"),
        ("duckdb", "INSERT OR REPLACE INTO person VALUES (1)", "insert person, update person, delete person"),
    ],
)  # fmt: skip
def test_on_other_databases(dialect: str, text: str, expected: str) -> None:
    assert writes(dialect, text) == set(filter(None, expected.split(", ")))


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgresql", "UPDATE person SET age = 1 WHERE NONSENSE NONSENSE"),
        ("postgresql", "SELECT 1; UPDATE"),
        ("postgresql", "DO $$ BEGIN UPDATE person SET age = 1; END $$"),
        ("postgresql", "COPY (DELETE FROM person RETURNING *) TO STDOUT"),
        ("postgresql", "DELETE FROM person WHERE name = 'not ended"),
        ("mysql", "LOAD DATA INFILE 'x' INTO TABLE person"),
        ("mysql", "PREPARE p FROM 'DELETE FROM person'"),
        ("mssql", "UPDATE a SET x = 1 UPDATE b SET y = 2"),
        ("mssql", "SET NOCOUNT ON INSERT INTO person VALUES (1)"),
        ("mssql", "CREATE TABLE #t (a int REFERENCES b ON DELETE CASCADE) INSERT INTO person SELECT 1"),
        ("mssql", "EXEC('DELETE FROM person')"),
        ("postgresql", "UPDATE"),
        ("postgresql", "TRUNCATE(1)"),
        ("mysql", "INSERT('x', 1, 2, 'y')"),
        ("oracle", "BEGIN DELETE FROM person; END;"),
        ("oracle", "UPDATE (SELECT * FROM person) SET a = 1"),
    ],
)
def test_what_cannot_be_read_says_so(dialect: str, text: str) -> None:
    assert read(dialect, text).unread != ""


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("sqlite", "UPDATE person SET a = ?, b = ?2 WHERE c = :c AND d = @d AND e = $e"),
        ("postgresql", "UPDATE person SET a = %(a)s WHERE id = %(id)s::INTEGER AND a %% 2 = 0 AND n LIKE '100%%'"),
        ("postgresql", "UPDATE person SET a = $1::INTEGER WHERE b ? 'x' AND a = ANY($2)"),
        ("postgresql", "UPDATE person SET a = %s, b = %s::INTERVAL WHERE c = ANY(%s)"),
        ("postgresql", "UPDATE person SET a = b %b"),
        ("mysql", "UPDATE person SET a = %s, b = %(b)s WHERE c = 100 %% 3"),
        ("oracle", "UPDATE person SET a = :1, b = :name WHERE c = :2"),
        ("mssql", "UPDATE person SET a = ? OUTPUT inserted.id WHERE b = ?"),
        ("something else", "UPDATE person SET a = :a, b = :2 WHERE c = :c"),
    ],
)
def test_placeholders_of_drivers(dialect: str, text: str) -> None:
    assert {one.lower() for one in writes(dialect, text)} == {"update person"}


def test_columns_that_are_assigned() -> None:
    text = 'INSERT INTO p (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET (b, "C") = (1, 2), d[1] = 3'
    assert [one.columns for one in read("postgresql", text).writes] == [{"a"}, {"b", "C", "d"}]
    assert read("postgresql", "INSERT INTO p VALUES (1)").writes[0].columns is None


def test_the_parser_is_loaded_when_it_is_needed() -> None:
    program = (
        "import sys; import hookline.sqlalchemy; from hookline.sqlalchemy.reading.text import read; "
        "read('sqlite', 'SELECT 1'); assert 'sqlglot' not in sys.modules; "
        "read('sqlite', 'DELETE FROM x'); assert 'sqlglot' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_parser_nothing_is_readable_and_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hookline.sqlalchemy.reading.parse", None)
    assert "install hookline[sqlalchemy]" in read("sqlite", "DELETE FROM a_table_of_this_test_only").unread
    reading._parsed.cache_clear()


def test_a_text_is_parsed_once_and_one_without_a_writing_word_never(monkeypatch: pytest.MonkeyPatch) -> None:
    from hookline.sqlalchemy.reading import parse as module

    parsed: list[str] = []
    real = module.parse
    monkeypatch.setattr(module, "parse", lambda dialect, text: parsed.append(text) or real(dialect, text))
    reading._parsed.cache_clear()
    for _ in range(3):
        read("sqlite", "SELECT updated_at, inserts FROM person WHERE deleted")
        read("sqlite", "SELECT * FROM person FOR UPDATE")
    assert parsed == ["SELECT * FROM person FOR UPDATE"]


def test_long_texts_are_not_kept() -> None:
    before = reading._parsed.cache_info().currsize
    text = f"INSERT INTO person VALUES {', '.join(['(1)'] * 4000)}"
    assert writes("sqlite", text) == {"insert person"}
    assert reading._parsed.cache_info().currsize == before
    assert read("sqlite", "SELECT 1" + " " * 20_000).writes == ()


def test_the_parser_says_nothing_for_us_and_all_for_others(caplog: pytest.LogCaptureFixture) -> None:
    import sqlglot

    with caplog.at_level(logging.WARNING, "sqlglot"):
        assert read("postgresql", "ALTER TABLE a ADD SOMETHING VERY UNUSUAL; UPDATE a SET CREATE").unread
        assert caplog.records == []
        sqlglot.parse_one("DO $$ x $$", read="postgres")
        assert len(caplog.records) == 1
