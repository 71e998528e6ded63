"""Raw SQL in attached sessions: which hooks it goes around, and what the policies make of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    column,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker
from sqlalchemy.sql.expression import ClauseElement, Executable

from hookline import BypassError, Hooks, UnhookedWriteWarning, becomes, changed, from_user
from hookline.sqlalchemy import attach
from hookline.sqlalchemy.attachment import Attachment
from hookline.sqlalchemy.reading import text as reading


class Base(DeclarativeBase):
    pass


membership = Table(
    "membership",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("club_id", ForeignKey("Club.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="person")
    age: Mapped[int] = mapped_column(default=0)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    boss: Mapped[Person | None] = relationship(remote_side=id)
    clubs: Mapped[list[Club]] = relationship(secondary=membership)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Employee(Person):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    salary: Mapped[int] = mapped_column(default=0)
    __mapper_args__ = {"polymorphic_identity": "employee"}


class Guest(Person):
    __mapper_args__ = {"polymorphic_identity": "guest"}


class Club(Base):
    __tablename__ = "Club"
    id: Mapped[int] = mapped_column(primary_key=True)


class Other(Base):
    __tablename__ = "other"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(default="")


PERSON = "INSERT INTO person (id, kind, age) VALUES (1, 'person', 1)"
UPDATE = "UPDATE person SET age = 300"


def nothing(change: Any) -> None: ...


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def maker(engine: Engine, hooks: Hooks) -> Iterator[sessionmaker[Session]]:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with attach(hooks, maker):
        yield maker


@pytest.fixture
def session(maker: sessionmaker[Session]) -> Iterator[Session]:
    with maker() as session:
        yield session


@contextmanager
def around(*names: str) -> Iterator[list[str]]:
    """The block gives warnings that name these hooks together, each in one of its own."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        texts: list[str] = []
        yield texts
    assert all(one.category is UnhookedWriteWarning for one in caught)
    texts += [str(one.message) for one in caught]
    assert [", ".join(re.findall(r"hook '(\w+)'", message)) for message in texts] == list(names)


# -- what is seen


def test_a_warning_names_the_statement_the_hooks_and_what_to_do(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "save", Person, name="age_in_range")
    hooks.add(nothing, "after_commit", "update", Person, name="tell")
    with around("age_in_range, tell") as texts:
        session.execute(text("UPDATE person\n   SET age = :age"), {"age": 300})
    (message,) = texts
    assert "'UPDATE person SET age = " in message
    assert "goes around hook 'age_in_range' (check), hook 'tell' (after_commit)" in message
    for advice in ("through the session", "update(Model)", "capture", "bypass='allow'"):
        assert advice in message


def test_a_warning_points_at_the_line_that_writes(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "save", Person)
    with pytest.warns(UnhookedWriteWarning) as caught:
        session.execute(text(UPDATE))
    assert caught[0].filename == __file__


def test_long_statements_and_many_hooks_are_shortened(hooks: Hooks, session: Session) -> None:
    for number in range(8):
        hooks.add(nothing, "check", "save", Person, name=f"hook{number}")
    with pytest.warns(UnhookedWriteWarning, match=r"'hook4' \(check\) and 3 more hooks") as caught:
        session.execute(text(f"{UPDATE} WHERE id IN ({', '.join(map(str, range(500)))})"))
    assert len(str(caught[0].message)) < 700


def test_every_way_of_sending_text(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    connection = session.connection()
    returning = "UPDATE person SET age = 2 RETURNING id, kind, age, boss_id"
    with around(*["rule"] * 9):
        session.execute(text(PERSON))
        session.execute(text(UPDATE))
        connection.execute(text(UPDATE))
        connection.exec_driver_sql(UPDATE)
        session.execute(text("UPDATE person SET age = :a WHERE id = :i"), [{"a": 1, "i": 1}, {"a": 2, "i": 2}])
        session.scalars(select(Person).from_statement(text(returning))).all()
        session.execute(text("DELETE FROM person WHERE id < 0 RETURNING id").columns(column("id", Integer))).all()
        session.execute(DDL("DELETE FROM person WHERE id < 0"))
        session.execute(Custom())


class Custom(Executable, ClauseElement):
    """A construct of somebody's own, which SQLAlchemy knows nothing of."""

    inherit_cache = False


@compiles(Custom)
def _compile(element: Custom, compiler: Any, **options: Any) -> str:
    return "DELETE FROM person WHERE id < 0"


def test_executemany_of_driver_sql_warns_once(hooks: Hooks, session: Session, engine: Engine) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    with around("rule"):
        session.connection().exec_driver_sql(
            f"INSERT INTO person (id, kind, age) VALUES ({mark}, 'person', {mark})", [(1, 1), (2, 2), (3, 3)]
        )
    assert len(session.scalars(select(Person)).all()) == 3


def test_an_update_of_other_fields_than_a_condition_waits_for_passes(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "update", Person, when=changed("age") & from_user(), name="both")
    hooks.add(nothing, "check", "update", Person, when=changed("age") | becomes("kind", "guest"), name="either")
    hooks.add(nothing, "check", "update", Person, when=changed("boss"), name="relation")
    hooks.add(nothing, "check", "update", Person, when=~changed("age"), name="unknown")
    with around("both, either, unknown", "either, unknown", "relation, unknown", "unknown"):
        session.execute(text(UPDATE))
        session.execute(text("UPDATE person SET kind = 'guest'"))
        session.execute(text("UPDATE person SET BOSS_ID = NULL"))
        session.execute(text("UPDATE person SET id = 1 WHERE id < 0"))


def test_what_concerns_no_hook_passes(hooks: Hooks, session: Session, engine: Engine) -> None:
    hooks.add(nothing, "check", ("save"), Person)
    session.execute(text("INSERT INTO other (id, note) VALUES (1, 'x')"))
    session.execute(text("DELETE FROM person"))  # nobody has a hook for deletes
    session.execute(text("SELECT * FROM person"))
    with session.begin_nested():
        session.execute(text("SELECT * FROM person WHERE kind = 'update person'"))
    session.execute(text("SAVEPOINT update_person"))
    session.execute(text("RELEASE SAVEPOINT update_person"))
    session.execute(text("CREATE TABLE unknown (id INTEGER, person INTEGER REFERENCES person ON DELETE CASCADE)"))
    session.execute(text("INSERT INTO unknown (id) VALUES (1)"))
    session.execute(text("EXPLAIN UPDATE person SET age = 1"))
    session.execute(
        text("PRAGMA user_version" if engine.dialect.name == "sqlite" else "SET application_name = 'update'")
    )
    session.commit()


def test_what_the_unit_of_work_and_constructs_send_is_not_raw(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", Person)
    session.add(person := Person(age=1))
    session.commit()
    person.age = 2
    session.commit()
    session.delete(person)
    session.commit()


def test_no_hooks_no_look(hooks: Hooks, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.sqlalchemy.raw.read", None)
    session.execute(text(UPDATE))


# -- whose table it is


def test_all_classes_of_a_table_are_meant(hooks: Hooks, session: Session) -> None:
    for model in (Person, Employee, Guest, Club):
        hooks.add(nothing, "check", "write", model, exact=True, name=model.__name__)
    with around("Person, Employee, Guest"):
        session.execute(text(UPDATE))
    with around("Person, Guest"):  # an Employee is not there before its own row is
        session.execute(text(PERSON))
    with around("Employee"):
        session.execute(text("INSERT INTO employee (id, salary) VALUES (1, 1)"))
    with around("Employee"):
        session.execute(text("UPDATE employee SET salary = 2"))


def test_a_hook_on_a_base_class_hears_of_the_table_of_a_subclass(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    with around("rule"):
        session.execute(text("UPDATE employee SET salary = 2"))


def test_a_hook_without_a_target_concerns_every_mapped_table(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "before", "insert", name="rule")
    with around("rule"):
        session.execute(text("INSERT INTO other (id, note) VALUES (1, '')"))
    session.execute(text("UPDATE other SET note = 'x'"))


def test_classes_that_are_mapped_later_are_known(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", name="rule")
    name = f"late_on_{session.get_bind().dialect.name}"
    session.execute(text(f"CREATE TABLE {name} (id INTEGER)"))
    session.execute(text(f"DELETE FROM {name}"))

    class Later(DeclarativeBase):
        pass

    class Late(Later):
        __tablename__ = name
        id: Mapped[int] = mapped_column(primary_key=True)

    with around("rule"):
        session.execute(text(f"DELETE FROM {name}"))


def test_names_are_compared_as_the_database_does(hooks: Hooks, session: Session, engine: Engine) -> None:
    hooks.add(nothing, "check", "write", (Person, Club), name="rule")
    for statement in ("UPDATE PERSON SET age = 1", 'UPDATE "person" SET age = 1', 'DELETE FROM "Club"'):
        with around("rule"):
            session.execute(text(statement))
    if engine.dialect.name == "postgresql":
        session.execute(text("CREATE TABLE club (id INTEGER)"))
        session.execute(text('CREATE TABLE "PERSON" (id INTEGER)'))
        session.execute(text("DELETE FROM club"))
        session.execute(text('DELETE FROM "PERSON"'))


def test_schemas(hooks: Hooks, session: Session, engine: Engine) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    if engine.dialect.name == "sqlite":
        home, elsewhere, create = "main", "temp", "CREATE TEMP TABLE person (age INTEGER)"
    else:
        home, elsewhere = "public", "attic"
        create = "CREATE SCHEMA attic; CREATE TABLE attic.person (age INTEGER)"
    with around("rule"):
        session.execute(text(f"UPDATE {home}.person SET age = 1"))
    session.connection().exec_driver_sql(create)
    session.execute(text(f"UPDATE {elsewhere}.person SET age = 1"))


def test_a_table_in_a_schema_of_its_own(database: Any, hooks: Hooks) -> None:
    if database.kind == "sqlite":
        return  # it has no schemas to create

    class Home(DeclarativeBase):
        metadata = MetaData(schema="crm")

    class Lead(Home):
        __tablename__ = "lead"
        id: Mapped[int] = mapped_column(primary_key=True)

    hooks.add(nothing, "check", "write", Lead, name="rule")
    engine = create_engine(database.url)
    maker = sessionmaker(engine)
    with attach(hooks, maker), maker() as session:
        session.execute(text("CREATE SCHEMA crm"))
        session.execute(text("CREATE TABLE crm.lead (id INTEGER)"))
        with around("rule"):
            session.execute(text('DELETE FROM CRM."lead"'))
        session.execute(text("SET LOCAL search_path = crm"))
        with around("rule"):  # nothing else of that name is known, so a search path must lead there
            session.execute(text("DELETE FROM lead"))
    with attach(hooks, maker), maker() as session:
        session.connection(execution_options={"schema_translate_map": {"crm": "tenant"}})
        session.execute(text("CREATE SCHEMA tenant"))
        session.execute(text("CREATE TABLE tenant.lead (id INTEGER)"))
        with around("rule"):
            session.execute(text("DELETE FROM tenant.lead"))
    engine.dispose()


def test_a_table_of_another_database_of_the_session_is_not_meant(engine: Engine, hooks: Hooks, tmp_path: Path) -> None:
    class There(DeclarativeBase):
        pass

    class Stranger(There):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        age: Mapped[int]

    second = create_engine(f"sqlite:///{tmp_path}/second.sqlite")
    Base.metadata.create_all(engine)
    There.metadata.create_all(second)
    hooks.add(nothing, "check", "write", Person, name="ours")
    hooks.add(nothing, "check", "write", Stranger, name="theirs")
    maker = sessionmaker(binds={Person: engine, Stranger: second})
    with attach(hooks, maker), maker() as session:
        with around("ours"):
            session.execute(text(UPDATE), bind_arguments={"mapper": Person})
        with around("theirs"):
            session.execute(text(UPDATE), bind_arguments={"mapper": Stranger})
    second.dispose()


# -- links


def test_links_of_foreign_keys(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "link", Person.boss, name="linked")
    hooks.add(nothing, "check", "unlink", Person.boss_id, name="unlinked")
    session.execute(text(PERSON))
    session.execute(text(UPDATE))  # not that column
    with around("linked"):
        session.execute(text("INSERT INTO person (id, kind, age, boss_id) VALUES (2, 'person', 0, 1)"))
    with around("linked, unlinked"):
        session.execute(text("UPDATE person SET boss_id = 1 WHERE id = 1"))
    with around("unlinked"):
        session.execute(text("DELETE FROM person WHERE id = 3"))


def test_links_of_secondary_tables(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "after", "link", Person.clubs, name="joined")
    hooks.add(nothing, "after", "unlink", Person.clubs, name="left")
    session.add(Person(id=1, clubs=[Club(id=1)]))
    session.add(Club(id=2))
    session.flush()
    with around("joined"):
        session.execute(text("INSERT INTO membership (person_id, club_id) VALUES (1, 2)"))
    with around("left"):
        session.execute(text("DELETE FROM membership"))


def test_a_link_hook_on_a_class(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "after", "link", Club, name="rule")
    with around("rule"):
        session.execute(text("INSERT INTO membership SELECT id, id FROM person WHERE id < 0"))


# -- writes that are hidden in constructs


def test_a_select_that_writes(hooks: Hooks, session: Session, engine: Engine) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    if engine.dialect.name == "sqlite":
        return  # its common table expressions cannot write
    session.execute(insert(Other).values(id=1))
    up = update(Person).values(age=1).returning(Person.id).cte()
    plain = table("person", column("id"))
    as_text = text("UPDATE person SET age = :age RETURNING id").bindparams(age=1).columns(column("id", Integer)).cte()
    statements = [
        select(up.c.id),
        select(as_text.c.id),
        select(Other.id).add_cte(delete(Person.__table__).where(Person.id < 0).cte("gone")),
        select(Other.id).add_cte(delete(plain).where(plain.c.id < 0).cte("gone")),
        select(Other).from_statement(select(Other).add_cte(delete(Person).where(Person.id < 0).cte("gone"))),
        insert(Other.__table__).from_select(["id"], select(up.c.id)),
        insert(Other.__table__).values(id=2, note="").add_cte(delete(Person).where(Person.id < 0).cte("gone")),
    ]
    for statement in statements:
        with around("rule"):
            session.execute(statement)
    session.execute(select(update(Other).values(note="x").returning(Other.id).cte()))
    session.execute(select(select(Person.id).cte()))


def test_an_upsert_in_a_select(hooks: Hooks, session: Session, engine: Engine) -> None:
    from sqlalchemy.dialects import postgresql

    hooks.add(nothing, "check", "update", Other, name="rule")
    if engine.dialect.name == "sqlite":
        return
    upsert = postgresql.insert(Other).values(id=1, note="x").returning(Other.id)
    session.execute(select(upsert.on_conflict_do_nothing().cte()))
    with around("rule"):
        session.execute(select(upsert.on_conflict_do_update(index_elements=["id"], set_={"note": "y"}).cte()))


# -- policies


def test_a_refused_statement_is_not_sent(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", Person, name="strict", bypass="refuse")
    hooks.add(nothing, "after", "write", Person, name="other")
    sent: list[str] = []
    engine: Any = session.get_bind()
    event.listen(engine, "after_cursor_execute", lambda c, cursor, statement, *rest: sent.append(statement))
    session.execute(text("SELECT 1"))
    with pytest.raises(
        BypassError, match=r"'UPDATE .*'strict' \(check\), hook 'other' \(after\), and was not sent"
    ) as error:
        session.execute(text(UPDATE))
    assert "hook 'strict' (check) has bypass='refuse'" in str(error.value)
    assert "[docs/errors.md#bypass]" in str(error.value)
    assert sent[-1] == "SELECT 1"
    session.add(Other(id=1))  # the transaction goes on
    session.commit()


@pytest.mark.parametrize("book", ["refuse", "warn", "allow"])
def test_the_strictest_policy_decides_and_a_hook_may_have_its_own(book: str, maker: Any, hooks: Hooks) -> None:
    hooks.bypass = book
    hooks.add(nothing, "check", "write", Person, name="default")
    hooks.add(nothing, "check", "write", Club, name="club", bypass="allow")
    hooks.add(nothing, "check", "write", Other, name="other", bypass="refuse")
    with maker() as session:
        session.execute(text('DELETE FROM "Club"'))
        if book == "refuse":
            with pytest.raises(BypassError):
                session.execute(text(UPDATE))
        else:
            with around(*["default"] * (book == "warn")):
                session.execute(text(UPDATE))
        hooks.add(nothing, "after", "write", Person, name="allowed", bypass="allow")
        hooks.add(nothing, "after", "write", Person, name="refused", bypass="refuse")
        with pytest.raises(BypassError, match="'refused'") as error:
            session.execute(text(UPDATE))
        assert "'allowed'" not in str(error.value)
        with pytest.raises(BypassError, match="'other'"):
            session.execute(text("DELETE FROM other"))


def test_several_statements_in_one_text(hooks: Hooks, session: Session, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        return  # its driver takes one at a time
    hooks.add(nothing, "check", "write", Person, name="person")
    hooks.add(nothing, "check", "write", Other, name="other", bypass="refuse")
    with pytest.raises(BypassError, match=r"'person'.*'other'"):
        session.connection().exec_driver_sql(f"{UPDATE}; DELETE FROM other")


def test_what_cannot_be_read_counts_as_touching_everything(hooks: Hooks, session: Session, engine: Engine) -> None:
    rule = hooks.add(nothing, "check", "write", Person, name="rule")
    hooks.add(nothing, "check", "write", Club, name="quiet", bypass="allow")
    if engine.dialect.name == "postgresql":
        statement = "DO $$ BEGIN DELETE FROM other; END $$"
    else:
        statement = "UPDATE other SET note = 1 NOT INDEXED ,,"
    with around("rule") as texts, suppress(DBAPIError):
        session.execute(text(statement))
    assert re.search(r"It could not be read \(.+\), so it may write to any table\.", texts[0])
    session.rollback()
    hooks.remove(rule.name)
    hooks.add(nothing, "after", "insert", Other, name="strict", bypass="refuse")
    with pytest.raises(BypassError, match="could not be read"):
        session.execute(text(statement))


def test_capture_that_is_not_there_refuses(hooks: Hooks, session: Session) -> None:
    hooks.bypass = "capture"
    hooks.add(nothing, "after_commit", "write", Person, name="tell")
    hooks.add(nothing, "check", "write", Club, name="late")
    hooks.add(nothing, "before", "write", Other, name="edit")
    hooks.add(nothing, "after_commit", "link", Person.clubs, name="joined")
    with pytest.raises(BypassError, match=r"'tell' .*has bypass='capture', but nothing captures Person"):
        session.execute(text(UPDATE))
    with pytest.raises(BypassError, match="nothing captures Club"):
        session.execute(text('DELETE FROM "Club"'))
    with pytest.raises(BypassError, match="nothing captures table membership"):
        session.execute(text("INSERT INTO membership (person_id, club_id) VALUES (1, 2)"))
    with around("edit"):  # what capture cannot serve gets a warning
        session.execute(text("DELETE FROM other"))


def test_captured_models(hooks: Hooks, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {membership, *(table for model in (Person, Employee, Guest) for table in inspect(model).tables)}
    monkeypatch.setattr(Attachment, "captured", lambda self, source: source in tables)
    hooks.add(nothing, "after_commit", "write", Person, name="tell")
    hooks.add(nothing, "before_commit", "write", Person, name="refuse_late", bypass="refuse")
    hooks.add(nothing, "check", "write", Person, name="late", bypass="capture")
    hooks.add(nothing, "after_rollback", "link", Person.clubs, name="joined")
    session.execute(text(UPDATE))
    session.execute(text("INSERT INTO membership SELECT id, id FROM person WHERE id < 0"))
    hooks.add(nothing, "check", "write", Person, name="early")
    with around("early"):  # it did not ask to run late
        session.execute(text(UPDATE))


# -- who is asked


def test_hooks_that_are_switched_off_are_not_gone_around(hooks: Hooks, session: Session) -> None:
    hooks.add(nothing, "check", "write", Person, name="integrity", category="integrity", bypass="refuse")
    hooks.add(nothing, "after", "write", Person, name="notify", category="notification")
    hooks.add(nothing, "after", "write", Club, name="audit", category="audit", protected=True)
    with hooks.deny_all_but("notification"), around("notify"):
        session.execute(text(UPDATE))
    with hooks.allow_all_but("notification"), pytest.raises(BypassError):
        session.execute(text(UPDATE))
    with hooks.deny_all_but(), around("audit"):
        session.execute(text(UPDATE))
        session.execute(text('DELETE FROM "Club"'))


def test_two_rule_books_speak_for_themselves(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    first, second = Hooks("first"), Hooks("second", bypass="allow")
    first.add(nothing, "check", "write", Person, name="one")
    second.add(nothing, "check", "write", Person, name="two")
    maker = sessionmaker(engine)
    with attach(first, maker), attach(second, maker), maker() as session:
        with around("one"):
            session.execute(text(UPDATE))
        second.bypass = "warn"
        with around("one", "two"):
            session.execute(text(UPDATE))
        second.bypass = "refuse"
        with second.deny_all_but(), around("one"):
            session.execute(text(UPDATE))


def test_sessions_without_a_rule_book_are_free(hooks: Hooks, maker: sessionmaker[Session], engine: Engine) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    with maker() as session, around("rule"):
        session.execute(text(UPDATE))
    with Session(engine) as free:
        free.execute(text(UPDATE))
        free.connection().exec_driver_sql(UPDATE)
    with engine.begin() as connection:
        connection.execute(text(UPDATE))
    attachment = attach(hooks, single := Session(engine))
    with single, around("rule"):
        single.execute(text(UPDATE))
    attachment.detach()
    with single:
        single.execute(text(UPDATE))


def test_a_connection_is_free_again_when_the_transaction_is_over(
    hooks: Hooks, maker: sessionmaker[Session], engine: Engine
) -> None:
    hooks.add(nothing, "check", "write", Person, name="rule")
    with engine.connect() as connection:
        with maker(bind=connection) as session:
            with around("rule"):
                session.execute(text(UPDATE))
            session.rollback()
        connection.execute(text(UPDATE))


def test_raw_sql_of_hooks_is_no_exception(hooks: Hooks, session: Session) -> None:
    @hooks.after("insert", Other)
    def sloppy(change: Any, session: Session) -> None:
        session.execute(text(UPDATE))

    hooks.add(nothing, "check", "write", Person, name="rule")
    session.add(Other(id=1))
    with around("rule"):
        session.flush()


def test_raw_sql_of_hooks_after_the_commit(hooks: Hooks, session: Session) -> None:
    @hooks.after_commit("insert", Other)
    def sloppy(change: Any, session: Session) -> None:
        session.execute(text(UPDATE))

    hooks.add(nothing, "check", "write", Person, name="rule")
    session.add(Other(id=1))
    with around("rule"):
        session.commit()


async def test_async_sessions(async_engine: AsyncEngine, hooks: Hooks) -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    hooks.add(nothing, "check", "write", Person, name="rule")
    maker = async_sessionmaker(async_engine)
    with attach(hooks, maker):
        async with maker() as session:
            with around("rule", "rule", "rule"):
                await session.execute(text(UPDATE))
                connection = await session.connection()
                await connection.exec_driver_sql(UPDATE)
                await session.execute(text("UPDATE person SET age = :age"), [{"age": 1}, {"age": 2}])
            with pytest.warns(UnhookedWriteWarning) as caught:
                await session.execute(text(UPDATE))
            assert caught[0].filename == __file__
            with hooks.deny_all_but():
                await session.execute(text(UPDATE))
            hooks.bypass = "refuse"
            with pytest.raises(BypassError):
                await session.execute(text(UPDATE))
            session.add(Other(id=1))
            await session.commit()


# -- what it costs


def test_a_statement_is_read_once(hooks: Hooks, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from hookline.sqlalchemy.reading import parse as module

    hooks.add(nothing, "check", "write", Person, name="rule", bypass="allow")
    parsed: list[str] = []
    real = module.parse
    monkeypatch.setattr(module, "parse", lambda dialect, text: parsed.append(text) or real(dialect, text))
    reading._parsed.cache_clear()
    for _ in range(5):
        session.execute(text("SELECT count(*) FROM person"))
        session.execute(text("SELECT count(*) FROM person WHERE kind = 'update'"))
        session.execute(text(UPDATE))
    assert sorted(parsed) == ["SELECT count(*) FROM person WHERE kind = 'update'", UPDATE]
