"""What the conformance suite needs of SQLAlchemy: sessions, models, verbs; sync and async in one body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    NullPool,
    Table,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import Hooks, Transaction
from hookline.sqlalchemy import attach, transaction
from hookline.testing import drive

from .databases import async_engine_for, empty, engine_for

T = TypeVar("T")


class Base(DeclarativeBase):
    pass


person_tag = Table(
    "person_tag",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)
friendship = Table(
    "friendship",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("friend_id", ForeignKey("person.id"), primary_key=True),
)


class Company(Base):
    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    employees: Mapped[list[Person]] = relationship(back_populates="employer")


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int] = mapped_column(default=0)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    employer_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    boss: Mapped[Person | None] = relationship(back_populates="staff", remote_side=id)
    staff: Mapped[list[Person]] = relationship(back_populates="boss")
    employer: Mapped[Company | None] = relationship(back_populates="employees")
    tags: Mapped[list[Tag]] = relationship(secondary=person_tag, back_populates="people")
    friends: Mapped[list[Person]] = relationship(
        secondary=friendship,
        primaryjoin=lambda: Person.id == friendship.c.person_id,
        secondaryjoin=lambda: Person.id == friendship.c.friend_id,
    )


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    people: Mapped[list[Person]] = relationship(secondary=person_tag, back_populates="tags")


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default="new")
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    customer: Mapped[Person | None] = relationship()
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")


class Line(Base):
    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    sku: Mapped[str]
    quantity: Mapped[int] = mapped_column(default=1)
    order: Mapped[Order] = relationship(back_populates="lines")


class SchemaModels:
    """The schema's classes by name."""

    Person = Person
    Company = Company
    Tag = Tag
    Order = Order
    Line = Line


class SavepointVerbs:
    """An open `begin_nested()`."""

    def __init__(self, session: SessionVerbs, nested: Any) -> None:
        self._session, self._nested = session, nested

    async def rollback(self) -> None:
        await self._session.perform(self._nested.rollback)


class SessionVerbs:
    """The suite's verbs over a `Session`, or over the `Session` inside an `AsyncSession`."""

    def __init__(self, raw: Session | AsyncSession, hooks: Hooks | None) -> None:
        self.raw = raw
        self._hooks = hooks
        self._inner = raw.sync_session if isinstance(raw, AsyncSession) else raw

    async def perform(self, function: Any, *arguments: Any) -> Any:
        """Call a function that may talk to the database."""
        if isinstance(self.raw, AsyncSession):
            return await self.raw.run_sync(lambda session: function(*arguments))
        return function(*arguments)

    async def get(self, model: type[T], key: Any) -> T:
        entity: T = await self.perform(self._inner.get_one, model, key)
        return entity

    async def add(self, *entities: object) -> None:
        self._inner.add_all(entities)

    async def set(self, entity: object, **values: object) -> None:
        for name, value in values.items():
            setattr(entity, name, value)

    async def link(self, subject: object, relation: str, target: object) -> None:
        def link() -> None:
            if _is_collection(subject, relation):
                getattr(subject, relation).append(target)
            else:
                setattr(subject, relation, target)

        await self.perform(link)

    async def unlink(self, subject: object, relation: str, target: object) -> None:
        def unlink() -> None:
            if _is_collection(subject, relation):
                getattr(subject, relation).remove(target)
            else:
                setattr(subject, relation, None)

        await self.perform(unlink)

    async def link_by_key(self, subject: object, relation: str, key: Any) -> None:
        setattr(subject, f"{relation}_id", key)

    async def delete(self, entity: object) -> None:
        await self.perform(self._inner.delete, entity)

    async def flush(self) -> None:
        await self.raw.flush() if isinstance(self.raw, AsyncSession) else self.raw.flush()

    async def commit(self) -> None:
        await self.raw.commit() if isinstance(self.raw, AsyncSession) else self.raw.commit()

    async def rollback(self) -> None:
        await self.raw.rollback() if isinstance(self.raw, AsyncSession) else self.raw.rollback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[SavepointVerbs]:
        nested = await self.perform(self._inner.begin_nested)
        try:
            yield SavepointVerbs(self, nested)
            if nested.is_active:
                await self.perform(nested.commit)
        except BaseException:
            if nested in _open_transactions(self._inner):
                await self.perform(nested.rollback)
            raise

    def transaction(self) -> Transaction:
        if self._hooks is None:
            return transaction(self.raw)
        return transaction(self.raw, self._hooks)


def _open_transactions(session: Session) -> Iterator[Any]:
    current = session.get_nested_transaction()
    while current is not None:
        yield current
        current = current.parent


def _is_collection(subject: object, relation: str) -> bool:
    return bool(inspect(type(subject)).relationships[relation].uselist)


class SQLAlchemyHarness:
    """One database, one colour.

    Args:
        url: A synchronous URL. Its tables are made if they are missing.
        is_async: Whether to open `AsyncSession`s on the same database.
        has_async_hooks: Whether the suite's hooks are async functions.
    """

    models = SchemaModels()

    def __init__(self, url: str, *, is_async: bool = False, has_async_hooks: bool = False) -> None:
        self.is_async, self.has_async_hooks = is_async, has_async_hooks
        self._outside = engine_for(url)
        Base.metadata.create_all(self._outside)
        self._runner = asyncio.Runner() if is_async else None
        self._hooks: Hooks | None = None
        if is_async:
            self._async_engine = async_engine_for(url)
            self._engine: Engine = self._async_engine.sync_engine
        else:
            self._engine = engine_for(url)
        self._attached = self._maker()
        self._bare = self._maker()

    def _maker(self) -> Any:
        return async_sessionmaker(self._async_engine) if self.is_async else sessionmaker(self._engine)

    def close(self) -> None:
        """Let go of all connections and of the event loop."""
        if self._runner is not None:
            self._runner.run(self._async_engine.dispose())
            self._runner.close()
        self._engine.dispose()
        self._outside.dispose()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return drive(coroutine) if self._runner is None else self._runner.run(coroutine)

    @contextmanager
    def attach(self, hooks: Hooks, **options: Any) -> Iterator[object]:
        # A sessionmaker of its own, so that nothing is left of an earlier test.
        self._attached = self._maker()
        self._hooks = hooks
        with attach(hooks, self._attached, **options) as attachment:
            yield attachment
        self._hooks = None

    @asynccontextmanager
    async def open(self, *, attached: bool = True) -> AsyncIterator[SessionVerbs]:
        session = (self._attached if attached else self._bare)()
        try:
            yield SessionVerbs(session, self._hooks)
        finally:
            await session.close() if isinstance(session, AsyncSession) else session.close()

    def wrap(self, session: Any) -> SessionVerbs:
        return SessionVerbs(session, self._hooks)

    def key(self, entity: object) -> Any:
        identity = inspect(entity).identity
        assert identity is not None, f"{entity} has not been written"
        return identity[0] if len(identity) == 1 else tuple(identity)

    async def clear(self) -> None:
        with self._outside.begin() as connection:
            empty(connection, Base.metadata)

    async def rows(self, model: type) -> Mapping[Any, Mapping[str, Any]]:
        table = inspect(model).local_table
        with self._outside.connect() as connection:
            return {row.id: dict(row._mapping) for row in connection.execute(select(table))}

    async def links(self, model: type, relation: str) -> frozenset[tuple[Any, Any]]:
        mapper = inspect(model)
        attribute = mapper.relationships[relation]
        with self._outside.connect() as connection:
            if attribute.secondary is None:
                column = next(iter(attribute.local_columns))
                pairs = connection.execute(select(mapper.primary_key[0], column).where(column.is_not(None)))
            else:
                ours = attribute.synchronize_pairs[0][1]
                theirs = attribute.secondary_synchronize_pairs[0][1]
                pairs = connection.execute(select(ours, theirs))
            return frozenset((subject, target) for subject, target in pairs)

    @contextmanager
    def fail_commit(self) -> Iterator[object]:
        with self._commit_replaced(self._refused_commit):
            yield None

    def _refused_commit(self, dialect: Any, dbapi_connection: Any, commit: Any) -> None:
        dialect.do_rollback(dbapi_connection)
        raise dialect.dbapi.OperationalError("the database refused to commit")

    def lose_connection_on_commit(self, *, arrived: bool) -> Any:
        if self._engine.dialect.name != "postgresql":
            return None  # an SQLite file cannot be lost on the way

        def lose(dialect: Any, dbapi_connection: Any, commit: Any) -> None:
            cursor = dbapi_connection.cursor()
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
            cursor.close()
            if arrived:
                commit(dbapi_connection)
            self._terminate(backend)
            # What a driver says when the answer to COMMIT never comes.
            cursor = dbapi_connection.cursor()
            cursor.execute("COMMIT")

        return self._commit_replaced(lose)

    def _terminate(self, backend: int) -> None:
        engine = create_engine(self._outside.url, poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
        engine.dispose()

    @contextmanager
    def _commit_replaced(self, replacement: Any) -> Iterator[object]:
        """Put a function in the place of the next COMMIT of this harness's engine."""
        dialect = self._engine.dialect
        commit = dialect.do_commit
        used = False

        def do_commit(dbapi_connection: Any) -> None:
            nonlocal used
            if used:
                return commit(dbapi_connection)
            used = True
            return replacement(dialect, dbapi_connection, commit)

        dialect.do_commit = do_commit  # type: ignore[method-assign]
        try:
            yield None
        finally:
            del dialect.do_commit  # type: ignore[method-assign]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        sent: list[str] = []

        def sending(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            sent.append(statement)

        event.listen(self._engine, "before_cursor_execute", sending)
        try:
            yield sent
        finally:
            event.remove(self._engine, "before_cursor_execute", sending)
