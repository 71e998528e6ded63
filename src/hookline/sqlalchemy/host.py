"""One session as the engine sees it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Mapper, Session, SessionTransaction, attributes

from hookline.core.change import Change
from hookline.core.hook import Hook
from hookline.core.link import LinkChange
from hookline.core.run import Steps, first_of
from hookline.core.step import StepChange
from hookline.core.transaction import Transaction
from hookline.errors import BrokenRegistrationWarning, PhaseError, Problem, ValidationError
from hookline.sqlalchemy.asynchronous import around
from hookline.sqlalchemy.change import RowChange
from hookline.sqlalchemy.load import Need, load_rows, load_values
from hookline.sqlalchemy.mapped import WRITTEN, MappedChange
from hookline.sqlalchemy.readback import ReadBack
from hookline.sqlalchemy.relations import RowEnd
from hookline.sqlalchemy.scopes import AfterScope, WritingScope
from hookline.sqlalchemy.stir import Stir
from hookline.sqlalchemy.warn import warn

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from hookline.core.net import NetChange
    from hookline.core.plan import Plan
    from hookline.core.registered import Registered
    from hookline.sqlalchemy.attachment import Attachment
    from hookline.sqlalchemy.concern import Schema
    from hookline.sqlalchemy.outbox.writing import Work
    from hookline.sqlalchemy.statements.chunks import Reader
    from hookline.sqlalchemy.statements.door import Followed


class SessionHost:
    """What the engine needs of one session under one rule book.

    Attributes:
        session: The sync session; of an AsyncSession, the one inside it.
        asynchronous: Whether there is an AsyncSession around it, so that hooks can be awaited.
        tx: The transaction; None while nothing needs one.
        stir: Who made what pending.
        after: The scope of the hook that is running after the end; None while the transaction is open.
        draining: Whether a loop is flushing until nothing is pending.
        ended: The transaction whose end is being told.
        committing: Whether everything before COMMIT went well, and COMMIT is next.
        number: The database and the number of the transaction that wrote deliveries, where a database can tell by it
            what has become of it.
        committed: The transaction or savepoint that was committed last.
        caller: The hook that this session was opened for, and the change it is running on.
        connections: Those that work for its transaction.
        ending: Whether the outermost commit has begun.
        accounted: How many steps of the transaction captured rows have been held against.
        unfollowed: Rows that hooks do not follow, and that triggers have captured all the same: each with the number of
            steps before it.
        flushing: Whether a flush is sending its statements.
        muted: Whether statements are part of something that is followed already.
        sending: The statements that are being sent, with their hooks.
        readers: The queries for large statements that are being read.
        collecting: Where statements that were sent wait for their `after` hooks; None if they run at once.
        registered: The hooks of registrations that the transaction began with; None while it has written nothing.
    """

    def __init__(self, attachment: Attachment, session: Session) -> None:
        self.attachment, self.session = attachment, session
        self.asynchronous = around(session) is not None
        self.tx: Transaction | None = None
        self.stir = Stir(session)
        self.after: AfterScope | None = None
        self.draining = False
        self.ended: Transaction | None = None
        self.committing = False
        self.lost: BaseException | None = None
        self.backend: int | None = None
        self.number: tuple[Engine, int] | None = None
        self.committed: SessionTransaction | None = None
        self.caller: tuple[Hook | None, Change[Any] | None] = (None, None)
        self.connections: list[Connection] = []
        self.flushing = False
        self.ending = False
        self.accounted = 0
        self.unfollowed: list[tuple[int, MappedChange]] = []
        self.muted = False
        self.sending: list[tuple[Any, Followed]] = []
        self.readers: list[Reader] = []
        self.collecting: list[Followed] | None = None
        self.registered: Registered | None = None

    @property
    def schema(self) -> Schema:
        """The mapped classes."""
        return self.attachment.schema

    def open_transaction(self) -> Transaction:
        """The transaction, begun if need be."""
        if self.tx is None:
            self.tx = Transaction(self.attachment.book, self)
            self.tx.registered = self.registered
            nested = self.session.get_nested_transaction()
            while nested is not None:
                if nested.nested:
                    self.tx.set_savepoint()
                nested = nested.parent
        return self.tx

    @property
    def origin(self) -> tuple[Hook | None, Change[Any] | None]:
        """Whose a write is that begins now: the hook that is running, and the change that it is running on."""
        tx = self.open_transaction()
        return self.caller if tx.cause is None else (tx.cause, first_of(tx.subject))

    # -- registrations

    @property
    def plan(self) -> Plan:
        """The hooks for a write: those of code as they are now, those of registrations as the transaction began."""
        book = self.attachment.book
        if not book.sources.all:
            return book.plan
        return self.begin().plan(book.plan)

    def begin(self) -> Registered:
        """The hooks of registrations for this transaction: asked for at its first write, on its own connection."""
        registered = self.registered
        if registered is None:
            registered = self.registered = self.attachment.book.registered(self._connection_of)
            if self.tx is not None:
                self.tx.registered = registered
            for part in registered.parts:
                for problem in part.unheard():
                    warn(problem, BrokenRegistrationWarning)
        return registered

    def _connection_of(self, table: Any) -> Connection:
        return self.session.connection(bind_arguments={"clause": table})

    # -- for the engine

    def flush(self) -> None:
        """Write what is pending, with hooks, until nothing is."""
        session = self.session
        if self.draining:  # a flush within a flush: the outer one goes on until nothing is pending
            return
        self.draining = True
        try:
            while True:
                while not session._is_clean():
                    session.flush()
                if not self.read_back():
                    return
        finally:
            self.draining = False

    def read_back(self) -> bool:
        """Read what triggers have captured, if this is the end of the transaction; whether there was anything."""
        capture = self.attachment.capture
        if capture is None or not self.ending:
            return False
        found: list[bool] = []

        def take() -> Steps[None]:
            found.append((yield from ReadBack(self, capture).take()))

        self.attachment.drive(self, take())
        return found[0]

    def scope(self) -> WritingScope:
        """What hooks can reach while the transaction is open."""
        return WritingScope(self)

    def fresh_scope(self, cause: Hook | None, parent: Change[Any] | None) -> AfterScope:
        """What one hook can reach after its end."""
        return AfterScope(self, cause, parent)

    @property
    def observer(self) -> Stir:
        """What finds out who made what pending."""
        return self.stir

    def deliver(self, work: Work) -> None:
        """Write what durable hooks are to be told of."""
        self.attachment.deliver(self, work)

    def identity(self, given: object, key: Any) -> Hashable:
        """The identity of an entity, or of a model's row by key."""
        if isinstance(given, type):
            return self.schema.facts(given).root, key if isinstance(key, tuple) else (key,)
        state = attributes.instance_state(given)
        facts = self.schema.facts(state.class_)
        return facts.root, facts.key_of(state)

    def complete(self, changes: list[Change[Any]]) -> None:
        """Load what of these changes is not at hand."""
        needs: list[Need] = []
        for change in changes:
            if isinstance(change, MappedChange):
                _complete(change, needs)
            elif isinstance(change, LinkChange):
                for end in change.ends:
                    end.find()
            elif isinstance(change, StepChange):
                change.row.find()
            else:
                for step in cast("NetChange[Any]", change).steps:
                    _complete(cast("MappedChange", step), needs)
        for step, values in load_values(self.session_in_use, needs):
            step.take_new(values)

    @property
    def session_in_use(self) -> Session:
        """The writing session; after the end, that of the hook that is running."""
        return self.session if self.after is None else self.after.sync_session

    # -- for changes

    def fetch(self, change: MappedChange, names: tuple[str, ...]) -> Mapping[str, Any]:
        """Some values of a change's row, from the database; empty if the row is gone."""
        key = change.key_tuple if change.stage == WRITTEN else change.stored_key or change.key_tuple
        if key is None:
            return {}
        if self.after is not None or change.tx is self.tx:
            return load_rows(self.session_in_use, change.facts, [key], names).get(key, {})
        with self.attachment.new_session(self) as session:
            return load_rows(session, change.facts, [key], names).get(key, {})

    def held(self, mapper: Mapper[Any], key: tuple[Any, ...]) -> Any:
        """The object of a row, if the session holds it."""
        return self.session.identity_map.get(mapper.identity_key_from_primary_key(key))

    def entity_of(self, change: MappedChange, own: Any) -> Any:
        """The object of a change that was written, as the session in use knows it.

        Args:
            change: The change, after the end of its transaction.
            own: The object in the writing session.
        """
        if self.after is None or change.event == "delete":
            return own
        return self.after.load(change.facts.model, change.key_tuple)

    def object_at(self, end: RowEnd) -> Any:
        """The object at one end of a link."""
        if self.after is None and end.state is not None:
            return end.state.obj()
        if self.after is not None and end.state is not None and end.state.was_deleted:
            return end.state.obj()
        session, model = self.session_in_use, end.facts.model
        with session.no_autoflush:
            if end.names == end.facts.key_names:
                return session.get(model, end.values)
            where = [getattr(model, name) == value for name, value in zip(end.names, end.values, strict=True)]
            return session.scalars(select(model).where(*where)).first()

    def relink(self, change: RowChange, name: str, value: Any) -> None:
        """Assign a foreign key that a relationship would overwrite: assign the relationship."""
        state, facts = change.state, change.facts
        for prop in facts.mapper.relationships:
            if facts.aliases.get(prop.key) == (name,) and not prop.viewonly:
                other = None
                if value is not None:
                    with self.session.no_autoflush:
                        other = self.session.get(prop.mapper.class_, value)
                    if other is None:
                        about = Problem(state.obj(), name, "foreign_key", "there is no {model} {key}",
                                        {"model": prop.mapper.class_.__name__, "key": value})  # fmt: skip
                        raise ValidationError(state.obj(), {name: about})
                setattr(state.obj(), prop.key, other)
                change.synced = {key: source for key, source in change.synced.items() if key != name}
                setattr(state.obj(), name, value)
                return
        raise PhaseError(
            f"{change!r}: {name!r} follows a relationship that has changed in the same flush; "
            f"assign the relationship instead."
        )

    def running(self) -> str | None:
        """The hook that is running in this transaction, for errors."""
        if self.tx is None or self.tx.cause is None:
            return None
        return f"{self.tx.cause} on {first_of(self.tx.subject)!r}"


def _complete(change: MappedChange, needs: list[Need]) -> None:
    """Load what the change's row will not tell any more once it is written; say what is needed of one that was."""
    if change.stage != WRITTEN:
        if change.event != "insert":
            change.load_all()
    elif names := change.unknown_names():
        needs.append((change, change.key_tuple or (), names))
