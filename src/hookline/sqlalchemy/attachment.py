"""Tying a rule book to sessions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, Table, event, inspect
from sqlalchemy.exc import DBAPIError, InvalidRequestError, UnboundExecutionError
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session, class_mapper, scoped_session, sessionmaker
from sqlalchemy.orm.exc import UnmappedClassError

from hookline.core.events import STEP_EVENTS
from hookline.core.hook import Hook
from hookline.core.plan import Plan
from hookline.core.registry import Hooks
from hookline.core.run import Steps
from hookline.core.step import StepChange
from hookline.core.targets import RelationSet
from hookline.core.transaction import Transaction
from hookline.errors import DuplicateHookError, HooklineError, TargetError, UnknownFieldError
from hookline.sqlalchemy.asynchronous import around, is_a, is_async_class
from hookline.sqlalchemy.capturing import Capture
from hookline.sqlalchemy.concern import Schema
from hookline.sqlalchemy.data import from_data, to_data
from hookline.sqlalchemy.happening import Happening, row_at, row_of
from hookline.sqlalchemy.host import SessionHost
from hookline.sqlalchemy.listeners import Listeners
from hookline.sqlalchemy.names import name_of, named
from hookline.sqlalchemy.outbox.store import Store
from hookline.sqlalchemy.outbox.tables import Outbox
from hookline.sqlalchemy.outbox.writing import Deliveries, Work
from hookline.sqlalchemy.relations import RowEnd, SQLRelation
from hookline.sqlalchemy.statements import wrapped
from hookline.sqlalchemy.tables import models_so_far

_MARK = "__hookline__"
"""Where a session class or a session keeps its attachments."""


class Attachment:
    """A rule book tied to sessions, until it is detached; `attach` makes one.

    As a context manager it detaches at the end of the block.

    Attributes:
        book: The rule book.
        target: What was given to `attach`.
        raise_after_commit: Whether failures after COMMIT are raised to the caller of ``commit()``.
        capture: The triggers whose log the sessions read back; None if there are none.
        outbox: The tables in which deliveries wait.
        wakers: Called when deliveries are committed here.
        ready: The engines that have the tables in which deliveries wait, as far as was looked.
    """

    def __init__(
        self, book: Hooks, target: Any, *, raise_after_commit: bool = False, capture: Capture | None = None,
        outbox: Outbox | None = None,
    ) -> None:  # fmt: skip
        self.book, self.target, self.raise_after_commit = book, target, raise_after_commit
        self.capture = capture
        self.outbox = Outbox() if outbox is None else outbox
        self.wakers: list[Callable[[], None]] = []
        self._checked: WeakSet[Engine] = WeakSet()
        self.ready: WeakSet[Engine] = WeakSet()
        self._idle: WeakKeyDictionary[Engine, Plan] = WeakKeyDictionary()
        self.schema = Schema()
        self._deliveries = Deliveries(self.outbox, self.schema)
        self._owner, self._factory = _owner_of(target)
        self._hosts: WeakKeyDictionary[Session, SessionHost] = WeakKeyDictionary()
        self._listeners = Listeners(self)
        self._unguard = book.adopt(self)
        for name, listener in self._listeners.session_events():
            event.listen(self._owner, name, listener)
        setattr(self._owner, _MARK, (*vars(self._owner).get(_MARK, ()), self))
        wrapped.listen(self._owner, attachments_of)

    def around_bulk(self, session: Session, send: Callable[..., None]) -> Callable[..., None]:
        """An older bulk method of a session, with hooks around it."""

        def save(mapper: Any, given: Any, **options: Any) -> None:
            self._listeners.save_mappings(session, send, mapper, given, options)

        return save

    def concerns(self, session: Session, statement: Any) -> bool:
        """Whether hooks may have to run around an INSERT, UPDATE or DELETE of the ORM."""
        host = self.host_of(session)
        return host is not None and self._listeners.concerned(host, statement)

    def around_statement(self, state: ORMExecuteState) -> Any:
        """Such a statement, with hooks around it; a listener as of SQLAlchemy's ``do_orm_execute``."""
        return self._listeners.orm_execute(state)

    def detach(self) -> None:
        """Untie it; sessions then behave as if Hookline were not there.

        Raises:
            HooklineError: It is not attached any more.
        """
        attached = vars(self._owner).get(_MARK, ())
        if self not in attached:
            raise HooklineError(f"{self!r} is detached already.")
        setattr(self._owner, _MARK, tuple(one for one in attached if one is not self))
        for name, listener in self._listeners.session_events():
            event.remove(self._owner, name, listener)
        self._listeners.forget_engines()
        self._unguard()
        self._hosts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def __repr__(self) -> str:
        return f"<Attachment of {self.book!r} to {self.target!r}>"

    def host_of(self, session: Session) -> SessionHost | None:
        """The session as the engine sees it; None if another attachment of the same rule book serves it."""
        host = self._hosts.get(session)
        if host is None and self in attachments_of(session):
            host = self._hosts[session] = SessionHost(self, session)
        return host

    def others(self, session: Session) -> list[Attachment]:
        """What other rule books have a say in what a session writes."""
        return [one for one in attachments_of(session) if one is not self]

    def known_host(self, session: Session) -> SessionHost | None:
        """The same, but not made if it is not there yet."""
        return self._hosts.get(session)

    def captured(self, source: type | Table) -> bool:
        """Whether the database itself takes down what is written to a class, or to a secondary table.

        What is captured is reported to the hooks of the commit phases, whichever way it came, so that no write goes
        around them.

        Args:
            source: A mapped class, or the secondary table of a relation.
        """
        if self.capture is None:
            return False
        tables = [source] if isinstance(source, Table) else self.schema.facts(source).mapper.tables
        # By name: two classes may be mapped to one table in the database, each with a description of its own.
        names = {table.fullname for table in self.capture.tables}
        return all(isinstance(table, Table) and table.fullname in names for table in tables)

    def begin_capture(self, connection: Connection) -> None:
        """A connection joins a transaction: what it captures will be read back.

        Raises:
            CaptureError: The triggers do not match the models; this is looked at once for each engine.
        """
        if self.capture is not None:
            if connection.engine not in self._checked:
                self.capture.check(connection)
                self._checked.add(connection.engine)
            self.capture.begin(connection)

    def begin_durable(self, session: Session, connection: Connection) -> None:
        """A connection joins a transaction: durable hooks need their tables where the rows are that they are about.

        Raises:
            OutboxError: They are missing or outdated; this is looked at once for each engine.
        """
        engine, plan = connection.engine, self.book.known_plan
        if engine in self.ready or not plan.has_phase("durable") or self._idle.get(engine) is plan:
            return
        if session.bind is None and engine not in self.durable_engines(session):
            self._idle[engine] = plan
            return
        self.outbox.check(connection)
        self.ready.add(engine)

    def durable_engines(self, session: Session) -> list[Engine]:
        """Where a session writes the rows that durable hooks are about."""
        found: dict[Engine, None] = {}
        for hook in self.book.known_plan.phase("durable"):
            for target in hook.targets or (None,):
                model = target if target is None or isinstance(target, type) else getattr(target, "class_", None)
                with suppress(UnboundExecutionError, UnmappedClassError):  # of a base of many classes, say
                    found[session.get_bind(model).engine] = None
        return list(found)

    def deliver(self, host: SessionHost, work: Work) -> None:
        """Write what durable hooks are to be told of, in a session's transaction."""
        self._deliveries.write(host, work)
        if self.wakers:
            host.open_transaction().after_commit(self._wake)

    def _wake(self) -> None:
        for wake in self.wakers:
            wake()

    @cached_property
    def store(self) -> Store:
        """The outbox as a worker sees it."""
        return Store(self)

    def drive(self, host: SessionHost, steps: Steps[None]) -> None:
        """Run steps in a session."""
        self._listeners.drive(host, steps)

    def begin_commit(self, host: SessionHost) -> None:
        """All is ready in a session: COMMIT is next."""
        self._listeners.begin_commit(host)

    def new_session(self, host: SessionHost) -> Session:
        """A session like the one that wrote, for what runs after the end."""
        old = host.session
        if host.asynchronous:
            outer = around(old)
            assert outer is not None
            new = _inner(self._factory() if self._factory is not None else type(outer)())
        else:
            new = self._factory() if self._factory is not None else type(old)()
        new.bind = old.bind
        for name in ("binds", "_Session__binds"):  # SQLAlchemy 2.1, and 2.0
            if name in vars(old):
                setattr(new, name, vars(old)[name])
        new.join_transaction_mode = old.join_transaction_mode
        if type(old) is not type(new) or self._owner is old:
            self._adopt(new)
        return new

    @property
    def asynchronous(self) -> bool:
        """Whether the sessions are async."""
        return is_a(self.target, "async_sessionmaker", "async_scoped_session", "AsyncSession")

    def session(self) -> Session:
        """A new session like those that it is attached to."""
        if self._factory is None and isinstance(self._owner, Session):
            host = self.host_of(self._owner)
            assert host is not None
            return self.new_session(host)
        return _inner(self._owner() if self._factory is None else self._factory())

    def _adopt(self, session: Session) -> None:
        """Serve a session that was made for a hook as the one it was made for."""
        if self in attachments_of(session):
            return
        for name, listener in self._listeners.session_events():
            event.listen(session, name, listener)
        setattr(session, _MARK, (self,))
        wrapped.listen(session, attachments_of)

    def relation(self, target: object) -> SQLRelation | None:
        """The relation that an attribute names; None if it names none."""
        parent = getattr(target, "parent", None)
        if parent is None or not hasattr(target, "property"):
            return None
        self.schema.relations.learn((parent,))
        return self.schema.relations.named_by(target)

    # -- for registrations, which name things by data

    @property
    def known_models(self) -> int:
        """How many classes this process has mapped so far."""
        return models_so_far()

    def name_of(self, target: object) -> str | None:
        """The name of a mapped class or of an attribute of one, the same in all processes; None if it is neither."""
        return name_of(target)

    def named(self, name: str) -> object | None:
        """The mapped class, or the attribute of one, that has this name; None if there is none.

        Raises:
            TargetError: It may mean several.
        """
        found: object | None = named(name, self.schema.tables.models())
        return found

    def names(self) -> list[str]:
        """The names of the mapped classes."""
        return [model.__name__ for model in self.schema.tables.models()]

    def row_of(self, entity: object) -> tuple[type, tuple[Any, ...]] | None:
        """The class and the key of an object; None if it is not mapped, or has no key yet."""
        state = inspect(entity, raiseerr=False)
        if not isinstance(state, InstanceState):
            return None
        key = self.schema.facts(state.class_).key_of(state)
        return None if key is None or None in key else (state.class_, key)

    def identity(self, model: type, key: tuple[Any, ...]) -> Hashable:
        """The identity of a row, as `Change.identity` has it."""
        return self.schema.facts(model).root, key

    def key_names(self, model: type) -> tuple[str, ...]:
        """The fields of the primary key."""
        return self.schema.facts(model).key_names

    def to_data(self, model: type, field: str, value: Any) -> Any:
        """A field's value as JSON has it.

        Raises:
            TargetError: It cannot be kept so.
        """
        return to_data(f"{model.__name__}.{field}", self.schema.facts(model).columns.get(field), value)

    def from_data(self, model: type, field: str, data: Any) -> Any:
        """A field's value from JSON.

        Raises:
            TargetError: It is none of this field.
        """
        return from_data(f"{model.__name__}.{field}", self.schema.facts(model).columns.get(field), data)

    # -- for workflows

    def row(self, session: Any, entity: object) -> RowEnd | None:
        """The row of an object, as the steps of a session have it; None if it is not attached to that."""
        host = self._own_host(session)
        return None if host is None else row_of(host, entity)

    def row_at(self, session: Any, model: type, key: tuple[Any, ...]) -> RowEnd | None:
        """The same by its key."""
        host = self._own_host(session)
        return None if host is None else row_at(host, model, key)

    def happen(self, session: Any, steps: Sequence[StepChange], write: Callable[[], None]) -> None:
        """Let steps of workflows happen in a session's transaction: run the hooks around what writes them.

        Args:
            session: A session that it is attached to.
            steps: The steps, in order, of rows that `row` gave.
            write: Writes them.

        Raises:
            ValidationError: Hooks refused; nothing is written.
        """
        host = self._own_host(session)
        assert host is not None
        self.drive(host, Happening(host, steps).around(write))

    def transaction(self, session: Any) -> Transaction:
        """The transaction of a session that it is attached to."""
        host = self._own_host(session)
        assert host is not None
        return host.open_transaction()

    def field_of(self, target: Any) -> tuple[type, str]:
        """The class and the name of an attribute of a mapped class."""
        return target.class_, target.key

    def _own_host(self, session: Any) -> SessionHost | None:
        sync = _sync_of(session)
        return self.host_of(sync) if isinstance(sync, Session) else None

    def begin(self, session: Any) -> bool:
        """Let a session's transaction go on with the registrations of now; False if it is not attached to."""
        host = self._own_host(session)
        if host is not None:
            host.begin()
        return host is not None

    def check(self, hook: Hook) -> None:
        """Refuse a hook whose targets or fields are not there.

        Raises:
            TargetError: A target is not mapped.
            UnknownFieldError: Its condition names a field that its model does not have.
            OutboxError: It is durable, and the tables for its deliveries are missing or outdated.
            DuplicateHookError: It is durable, and its deliveries could not be told from another rule book's.
        """
        if hook.phase == "durable":
            self._check_outbox()
            self._check_alone(hook)
        for target in hook.targets:
            if isinstance(target, RelationSet):
                for relation in target:
                    self._check_relation(hook, relation)
            elif isinstance(target, type):
                self._check_model(hook, target)
            elif set(hook.events) <= set(STEP_EVENTS):
                self._check_field(hook, target)
            else:
                self._check_relation(hook, target)

    def _check_outbox(self) -> None:
        place = self._owner if isinstance(self._owner, Session) else self._factory
        bind = getattr(place, "bind", None) or getattr(place, "kw", {}).get("bind")
        if isinstance(bind, Engine) and not self.asynchronous and bind not in self.ready:
            try:
                with bind.connect() as connection:
                    self.outbox.check(connection)
            except DBAPIError:  # it cannot be reached: then the first transaction says so, and is asked
                return
            self.ready.add(bind)

    def _check_alone(self, hook: Hook) -> None:
        """Deliveries have nothing but the name of their hook: a worker would run whichever it knows."""
        table = self.outbox.deliveries.fullname
        for other in attachments_of(self._owner):
            if other.book is self.book or other.outbox.deliveries.fullname != table:
                continue
            theirs = other.book.durable_hooks().get(hook.name)
            if theirs is not None and theirs.function != hook.function:
                raise DuplicateHookError(
                    f"There is a {theirs} in {other.book!r} already, and both rule books keep their deliveries in "
                    f"{table}, where they could not be told apart. Give one hook another name, or one rule book an "
                    f"outbox of its own: attach(..., outbox=Outbox('{self.book.name}_'))."
                )

    def _check_model(self, hook: Hook, model: type) -> None:
        try:
            class_mapper(model)
        except InvalidRequestError as error:
            if any(isinstance(mapper, Mapper) for mapper in _mapped_subclasses(model)):
                return  # a mixin or an abstract base: its mapped subclasses are meant
            raise TargetError(
                f"{hook} is about {model.__name__}, which is not mapped by SQLAlchemy. "
                f"Name a mapped class, or a base of mapped classes."
            ) from error
        names = () if hook.condition is None else tuple(hook.condition.names())
        if hook.terms is not None:
            names += hook.terms.names
        if names and "link" not in hook.events and "unlink" not in hook.events:
            facts = self.schema.facts(model)
            for name in names:
                if name not in facts.readable and not any(
                    name in self.schema.facts(sub.class_).readable for sub in facts.mapper.self_and_descendants
                ):
                    raise UnknownFieldError(f"{hook}: {facts.unknown(name)}")

    def _check_field(self, hook: Hook, target: Any) -> None:
        if name_of(target) is None:
            raise TargetError(
                f"{hook} is about {target!r}, which is no field of a mapped class. "
                f"Name the field of a workflow, such as Shipping.status, or its class."
            )

    def _check_relation(self, hook: Hook, target: Any) -> None:
        parent = getattr(target, "parent", None)
        prop = getattr(target, "property", None)
        if prop is None or parent is None:
            raise TargetError(
                f"{hook} is about {target!r}, which is neither a class nor a relation. "
                f"Name a relationship or a foreign key column of a mapped class: Company.boss or Company.boss_id."
            )
        if not {"link", "unlink"} & set(hook.events):
            raise TargetError(
                f"{hook} is for {' and '.join(hook.events)}, but its target {target} is a relation. Write "
                f"{parent.class_.__name__} with when=changed({target.key!r}), or the events 'link' and 'unlink'."
            )
        if self.relation(target) is None:
            raise TargetError(
                f"{hook} is about {target}, which links nothing: it has no foreign key. "
                f"Name a relationship or a foreign key column."
            )


def attach(
    hooks: Hooks,
    target: Any,
    *,
    raise_after_commit: bool = False,
    capture: Capture | None = None,
    outbox: Outbox | None = None,
) -> Attachment:
    """Let a rule book govern what is written through some sessions.

    Args:
        hooks: The rule book.
        target: A sessionmaker, async_sessionmaker, scoped_session, async_scoped_session, a Session class, or a single
            session, sync or async.
        raise_after_commit: Let ``commit()`` raise what ``after_commit`` hooks raised, as an ExceptionGroup; the
            transaction is committed all the same.
        capture: Triggers, as `hookline.sqlalchemy.capture` makes them and ``capture.install(engine)`` has installed
            them: then raw SQL and cascades of the database reach the hooks of the commit phases, too.
        outbox: The tables in which the deliveries of durable hooks wait; ``Outbox()`` if left out.

    Returns:
        The attachment, to detach it again. To attach the same rule book twice to the same target changes nothing.

    Raises:
        TargetError: The target is none of these, or a hook is about a class that is not mapped.
        OutboxError: There are durable hooks, and their tables are missing or outdated. Where there is no engine to ask
            yet, or only an async one, this is raised when the first transaction begins.

    Example:
        >>> from sqlalchemy.orm import sessionmaker
        >>> from hookline import Hooks
        >>> SessionLocal = sessionmaker()
        >>> attachment = attach(Hooks(), SessionLocal)
        >>> attachment.detach()
    """
    owner, _ = _owner_of(target)
    for attached in vars(owner).get(_MARK, ()):
        if attached.book is hooks:
            return attached  # type: ignore[no-any-return]
    return Attachment(hooks, target, raise_after_commit=raise_after_commit, capture=capture, outbox=outbox)


def transaction(session: Any, hooks: Hooks | None = None) -> Transaction:
    """The transaction of a session, as hooks get it by the name ``tx``.

    Args:
        session: A session, sync or async, that a rule book is attached to.
        hooks: Which rule book, if several are.

    Raises:
        TargetError: No rule book is attached, or several are and none was named.
    """
    sync: Session = _sync_of(session)
    found = [one for one in attachments_of(sync) if hooks is None or one.book is hooks]
    if len(found) != 1:
        raise TargetError(
            f"{'No rule book is' if not found else 'Several rule books are'} attached to {session!r}. "
            f"{'Write attach(hooks, SessionLocal) first.' if not found else 'Name one: transaction(session, hooks).'}"
        )
    host = found[0].host_of(sync)
    assert host is not None
    return host.open_transaction()


def _sync_of(session: Any) -> Any:
    """The sync session that somebody means."""
    if isinstance(session, scoped_session) or is_a(session, "async_scoped_session"):
        session = session()
    return session.sync_session if is_a(session, "AsyncSession") else session


def attachments_of(owner: Session | type[Session]) -> list[Attachment]:
    """What is attached to a session, or to a class of sessions: to itself, then to its classes; each rule book once."""
    found: dict[Hooks, Attachment] = {}
    for place in owner.__mro__ if isinstance(owner, type) else (owner, *type(owner).__mro__):
        for attachment in vars(place).get(_MARK, ()):
            found.setdefault(attachment.book, attachment)
    return list(found.values())


def _owner_of(target: Any) -> tuple[Any, Callable[[], Any] | None]:
    """The Session class or session whose events are listened to, and what makes sessions like it."""
    if isinstance(target, scoped_session) or is_a(target, "async_scoped_session"):
        return _owner_of(target.session_factory)
    if isinstance(target, sessionmaker):
        return target.class_, target
    if is_a(target, "async_sessionmaker"):
        return _own_sync_class(target), target
    if is_a(target, "AsyncSession"):
        return target.sync_session, None
    if isinstance(target, Session) or (isinstance(target, type) and issubclass(target, Session)):
        return target, None
    if is_async_class(target):
        raise TargetError(
            f"attach() cannot tell the sessions of {target.__name__} from others: they share a sync session class. "
            f"Attach to the async_sessionmaker that makes them."
        )
    raise TargetError(
        f"attach() takes a sessionmaker, async_sessionmaker, scoped_session, Session class or session, not {target!r}."
    )


def _inner(made: Any) -> Session:
    """The sync session of one that was just made."""
    if not is_a(made, "AsyncSession"):
        return made  # type: ignore[no-any-return]
    inner: Session = made.sync_session
    inner.info["hookline.proxy"] = made  # it must live as long as the session: async hooks are given it
    return inner


def _own_sync_class(maker: Any) -> type[Session]:
    """The sync session class that only this maker's sessions use; made if need be."""
    given = maker.kw.get("sync_session_class")
    shared: type[Session] = given or maker.class_.sync_session_class
    if vars(shared).get("__hookline_maker__") is maker:
        return shared
    own = type(shared.__name__, (shared,), {"__hookline_maker__": maker})
    maker.kw["sync_session_class"] = own
    return own


def _mapped_subclasses(model: type) -> Iterator[Any]:
    sub: type
    for sub in type.__subclasses__(model):
        yield sub.__dict__.get("__mapper__")
        yield from _mapped_subclasses(sub)
