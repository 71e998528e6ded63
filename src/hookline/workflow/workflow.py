"""A workflow: states, transitions and approvals on one field of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty, Session
from sqlalchemy.orm.attributes import QueryableAttribute

from hookline.core.link import End
from hookline.core.step import Flow, StepChange
from hookline.errors import WorkflowDefinitionError, WorkflowStoreError, near
from hookline.workflow.awaiting import awaiting
from hookline.workflow.callbacks import Callbacks
from hookline.workflow.definition import Definition, Draft, State, Transition, as_text
from hookline.workflow.drawing import mermaid, svg, text
from hookline.workflow.entries import Entry
from hookline.workflow.governing import govern
from hookline.workflow.keys import among
from hookline.workflow.migration import Migration, migrate
from hookline.workflow.progress import Progress
from hookline.workflow.starting import start
from hookline.workflow.tables import Tables
from hookline.workflow.users import Actor, actor_of
from hookline.workflow.values import StateValues
from hookline.workflow.versions import Versions

if TYPE_CHECKING:
    from hookline.core.registry import Adapter, Hooks


class Workflow(Flow, Callbacks):
    """States, transitions and approvals on one field of a model.

    ``hooks.use(workflow)`` puts it in force: from then on, objects get their initial state when they are inserted,
    through any door, and the field is written by the workflow only.

    Its tables are declared in the metadata of the model: ``Base.metadata.create_all`` makes them, and migrations see
    them.

    Args:
        field: The field: an attribute of a mapped class, of type string, enum, integer or UUID; or a many-to-one
            relationship to a table of states, whose states are then given by their keys or as objects.
        initial: The state in which objects begin.
        transitions: All ways from one state to another.
        states: Those of which more is to be said: a label, or that no transition leads there.
        editable: Whether the database's definition goes before this one, which is then only the first; so is it if no
            definition is given.
        direct: What happens to a write of the field that goes around the workflow: ``"refuse"``, or ``"jump"``, which
            makes a jump of it.
        users: Makes an `Actor` of a user; `users_of` does for mapped classes.
        bypass: What happens to raw SQL that goes around it, as of any hook; the default refuses it, unless the model is
            captured: then what it did is refused before COMMIT.

    Raises:
        WorkflowDefinitionError: Something dangles or cannot be reached, or the field cannot hold a state.

    Example:
        >>> from hookline.workflow import Approval, Transition, Workflow
        >>> shipping = Workflow(Parcel.status, initial="new", transitions=[
        ...     Transition("new", "sent", Approval(groups="desk")),
        ...     Transition("sent", "arrived", Approval(groups="courier")),
        ... ])
        >>> shipping.name, shipping.final_states
        ('parcel.status', ('arrived',))
    """

    def __init__(
        self,
        field: Any,
        *,
        initial: Any = None,
        transitions: Iterable[Transition] = (),
        states: Iterable[State] = (),
        editable: bool = False,
        direct: str = "refuse",
        users: Callable[[Any], Actor] = actor_of,
        bypass: str | None = "capture",
    ) -> None:
        if direct not in ("refuse", "jump"):
            raise WorkflowDefinitionError(f"direct= is 'refuse' or 'jump', not {direct!r}.")
        self.attribute, self.column = _field(field)
        self.model, self.field = self.attribute.class_, self.attribute.key
        self.mapper: Mapper[Any] = sa.inspect(self.model)
        self.relationship: str | None = field.key if field.key != self.field else None
        table: Any = self.mapper.base_mapper.local_table
        self.name = f"{table.fullname}.{self.column.name}"
        self.values = StateValues(self.column, f"{self.model.__name__}.{self.field}")
        self.direct, self.actor, self.bypass = direct, users, bypass
        transitions, states = tuple(transitions), tuple(states)
        code = None
        if initial is not None or transitions or states:
            if initial is None:
                raise WorkflowDefinitionError(f"The workflow {self.name!r} has no initial state: initial='draft'.")
            code = self.definition_of(initial, transitions, states)
        key: Any = self.mapper.base_mapper.primary_key
        self.tables = Tables(table.metadata, table, key, self.column.key)
        self.versions = Versions(self.tables, self.name, code, editable or code is None)
        self.book: Hooks | None = None
        self._books: list[Hooks] = []

    def definition_of(
        self, initial: Any, transitions: Iterable[Transition], states: Iterable[State] = ()
    ) -> Definition:
        """A definition for this field, whose states are given as the field has them.

        Raises:
            WorkflowDefinitionError: Something dangles or cannot be reached, or is no value of the field.
        """
        text_of = self.values.text
        return Definition(
            text_of(initial),
            [as_text(text_of, one) for one in transitions],
            [State(text_of(one.value), one.label, one.jump_only) for one in states],
        )

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}>"

    # -- as the engine knows it

    def join(self, book: Hooks) -> None:
        """Belong to a rule book from now on; `Hooks.use` calls it.

        Raises:
            WorkflowStoreError: It belongs to another one.
        """
        if self.book is not None and self.book is not book:
            raise WorkflowStoreError(f"{self!r} belongs to the rule book {self.book.name!r}. Make another for another.")
        govern(self, book)
        self.book = book
        self.follow(book)

    def follow(self, book: Hooks) -> None:
        """Serve a rule book that has its hooks already; `Hooks.include` calls it."""
        self._books.append(book)

    def named_by(self, target: object) -> bool:
        """Whether the target of a hook names its field."""
        if not isinstance(target, QueryableAttribute) or target.key not in (self.field, self.relationship):
            return False
        model: Any = target.class_
        return issubclass(model, self.model) or issubclass(self.model, model)

    def to_data(self, step: StepChange) -> dict[str, Any]:
        """A step as JSON has it, but for its object."""
        data: dict[str, Any] = {"by": step.by, "jump": step.jump}
        data |= {"source": self.values.text(step.source), "destination": self.values.text(step.destination)}
        if isinstance(step.approval, Entry):
            ends = {"source": data["source"], "destination": data["destination"]}
            data["approval"] = step.approval.to_data() | ends
        return data

    def from_data(self, event: str, row: End, data: Mapping[str, Any]) -> StepChange:
        """A step of an object from what `to_data` gave."""
        source, destination = self.values.value(data["source"]), self.values.value(data["destination"])
        entry = data.get("approval")
        if entry is not None:
            entry = Entry.from_data(entry | {"source": source, "destination": destination})
        return StepChange(
            event, self, row, source, destination, approval=entry, by=data["by"], jump=data["jump"]
        )  # fmt: skip

    def adapter_of(self, session: Session) -> Adapter:
        """What governs a session for the rule book that uses this workflow.

        Raises:
            WorkflowStoreError: None does, or no rule book uses it.
        """
        if self.book is None:
            raise WorkflowStoreError(f"No rule book uses {self!r}. Write hooks.use(workflow) first.")
        for adapter in (one for book in self._books for one in book.adapters):
            if adapter.begin(session):
                return adapter
        raise WorkflowStoreError(
            f"{self!r} belongs to the rule book {self.book.name!r}, which does not govern this session: "
            f"write attach(hooks, SessionLocal)."
        )

    def state(self, given: Any) -> Any:
        """A state as the field has it.

        Raises:
            WorkflowDefinitionError: No definition that this process knows has it.
        """
        text, known = self.values.text(given), self.versions.known.values()
        if known and not any(text in one.states for one in known):
            names = {name for one in known for name in one.states}
            raise WorkflowDefinitionError(f"{self.name!r} has no state {text!r}.{near(text, names)}")
        return self.values.value(text)

    def connection(self, session: Session) -> sa.Connection:
        """The connection by which a session writes the model."""
        return session.connection(bind_arguments={"mapper": self.mapper})

    # -- one object

    def of(self, entity: Any) -> Progress:
        """The way of one object.

        Raises:
            WorkflowStoreError: It is none of the model, or in no session.
        """
        return Progress(self, entity)

    # -- all objects

    @property
    def definition(self) -> Definition:
        """The definition that code gives.

        Raises:
            WorkflowStoreError: The database has it alone: ``workflow.current(session)``.
        """
        if self.versions.code is None:
            raise WorkflowStoreError(
                f"The definition of {self.name!r} is in the database only. Ask for workflow.current(session)."
            )
        return self.versions.code

    def current(self, session: Session) -> Definition:
        """The definition with which objects begin now."""
        return self.versions.current(self.connection(session))[1]

    @property
    def initial_state(self) -> Any:
        """The state in which objects begin, as the field has it, by code; `current` asks the database."""
        return self.values.value(self.definition.initial)

    @property
    def final_states(self) -> tuple[Any, ...]:
        """The states that no transition leaves, by code; `current` asks the database."""
        return tuple(map(self.values.value, self.definition.final_states))

    def awaiting(self, user: Any) -> sa.Select[Any]:
        """The objects that wait for an approval of a user: a ``select()`` of the model, to be narrowed and ordered.

        Args:
            user: Whose.

        Example:
            >>> [parcel.id for parcel in session.scalars(shipping.awaiting(desk).order_by(Parcel.id))]
            [1]
        """
        return awaiting(self, self.actor(user))

    def key_from_text(self, texts: Sequence[str]) -> tuple[Any, ...]:
        """A key from what somebody has typed.

        Raises:
            WorkflowDefinitionError: It is none of the model.
        """
        columns: Any = self.mapper.base_mapper.primary_key
        if len(texts) != len(columns):
            names = ", ".join(column.name for column in columns)
            raise WorkflowDefinitionError(f"The key of {self.model.__name__} is {names}, not {', '.join(texts)}.")
        where = f"{self.model.__name__}."
        return tuple(StateValues(one, where + one.name).value(text) for one, text in zip(columns, texts, strict=True))

    def keyed(self, keys: Sequence[tuple[Any, ...]]) -> Any:
        """The condition that a step is one of these objects'."""
        return among(self.tables.key, keys)

    def counts(self, session: Session) -> dict[Any, int]:
        """How many objects are in each state; states of the current definition without any are there with 0."""
        found = dict.fromkeys(map(self.values.value, self.current(session).states), 0)
        counted = sa.select(self.attribute, sa.func.count()).group_by(self.attribute)
        return found | {state: number for state, number in session.execute(counted) if state is not None}

    def start(self, session: Session) -> dict[Any, int]:
        """Let objects begin that were there before the workflow was: in whichever of its states they are.

        Those without a state are put into the initial one. Set at a time: a few statements, whatever the number of
        objects. Those that are under way are left alone.

        Returns:
            By state, how many objects there are that could not begin, because the definition does not have it.
        """
        return start(self, session)

    # -- definitions in the database

    def create_tables(self, bind: sa.Engine | sa.Connection) -> None:
        """Make its tables where they are not there yet; the model's own must be there."""
        self.tables.metadata.create_all(bind, tables=self.tables.all)

    def check(self, bind: sa.Engine | sa.Connection) -> None:
        """Compare its tables with what they should be.

        Raises:
            WorkflowStoreError: Something is missing.
        """
        if isinstance(bind, sa.Engine):
            with bind.connect() as connection:
                self.tables.check(connection)
        else:
            self.tables.check(bind)

    def publish(self, session: Session, definition: Definition | None = None, *, by: str | None = None) -> list[str]:
        """Write a definition to the database, as the current one.

        Objects that are under way keep theirs; `migrate` moves them.

        Args:
            session: The session, in whose transaction it is written.
            definition: The definition; that of code if left out.
            by: Who does it.

        Returns:
            What it changes, a line each; empty if it was the current one already.
        """
        chosen = self.definition if definition is None else definition
        before = self.published(session, locked=True)
        if before == chosen:
            return []
        self.versions.write(self.connection(session), chosen, by=by, current=True)
        return ["the first definition"] if before is None else before.differences(chosen)

    def published(self, session: Session, *, locked: bool = False) -> Definition | None:
        """The current definition that the database has; None if it has none.

        Args:
            session: The session.
            locked: Whether to keep others from publishing until the end of the transaction.
        """
        return self.versions.published(self.connection(session), locked=locked)

    def compare(self, session: Session) -> list[str]:
        """What the database's definition has otherwise than that of code, a line each; empty if nothing."""
        there = self.published(session)
        return ["the database has no definition"] if there is None else self.definition.differences(there)

    @contextmanager
    def edit(self, session: Session, *, by: str | None = None) -> Iterator[Draft]:
        """Edit the current definition; it is published at the end of the block, if all is well.

        Args:
            session: The session, in whose transaction it is published.
            by: Who does it.

        Raises:
            WorkflowDefinitionError: Something dangles or cannot be reached; nothing is published.
            WorkflowStoreError: The definition is that of code, so nobody would obey another one.
        """
        if not self.versions.editable:
            raise WorkflowStoreError(
                f"The definition of {self.name!r} is in code. Change it there, or make it editable: "
                f"Workflow(..., editable=True)."
            )
        now = self.published(session, locked=True) or self.versions.code
        if now is None:
            raise WorkflowStoreError(
                f"The workflow {self.name!r} has no definition to edit. Write the first by workflow.publish(session, "
                f"workflow.definition_of('draft', [Transition('draft', 'sent')]))."
            )
        draft = Draft(now, self.values.text)
        yield draft
        self.publish(session, draft.definition(), by=by)

    def migrate(
        self,
        session: Session,
        *where: Any,
        states: Mapping[Any, Any] | None = None,
        by: str | None = None,
    ) -> Migration:
        """Let objects that are under way go on by the current definition.

        Args:
            session: The session, in whose transaction it is done.
            *where: Conditions on the model; all objects if there are none.
            states: For states that the current definition does not have, those that take their place: such objects
                jump there, with hooks.
            by: Who does it.

        Returns:
            What was done.
        """
        return migrate(self, session, where, states or {}, by)

    # -- pictures

    def draw(
        self,
        form: str = "mermaid",
        *,
        of: Any = None,
        definition: Definition | None = None,
    ) -> str:
        """The workflow as a picture.

        Args:
            form: ``"mermaid"``, ``"svg"`` or ``"text"``.
            of: An object, whose way so far is marked; the definition is then its own.
            definition: Another definition than that of code.

        Raises:
            WorkflowDefinitionError: There is no such form.
        """
        forms = {"mermaid": mermaid, "svg": svg, "text": text}
        if form not in forms:
            raise WorkflowDefinitionError(f"Workflows are drawn as {', '.join(forms)}, not as {form!r}.")
        if of is None:
            return forms[form](self.definition if definition is None else definition)
        progress = self.of(of)
        text_of = self.values.text
        gone = [(text_of(one.source), text_of(one.destination)) for one in progress.history if one.completes]
        return forms[form](progress.definition if definition is None else definition, gone, text_of(progress.state))


def _field(field: Any) -> tuple[Any, sa.Column[Any]]:
    """The attribute of a column, and the column, that a workflow is on."""
    if isinstance(field, QueryableAttribute):
        prop = field.property
        if isinstance(prop, RelationshipProperty) and len(prop.local_columns) == 1 and not prop.uselist:
            (column,) = prop.local_columns
            name = field.parent.get_property_by_column(column).key
            return getattr(field.class_, name), column  # type: ignore[return-value]
        if isinstance(prop, ColumnProperty) and isinstance(prop.columns[0], sa.Column):
            return field, prop.columns[0]
    raise WorkflowDefinitionError(
        f"A workflow is on a field of a mapped class, such as Shipping.status, not on {field!r}."
    )
