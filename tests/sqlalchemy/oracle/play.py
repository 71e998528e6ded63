"""The stage of one sequence: its session and savepoints, its entities by name, its story."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import wraps
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import inspect, select
from sqlalchemy.exc import CircularDependencyError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from hookline import Hooks, ValidationError
from hookline.errors import HookLoopError
from hookline.sqlalchemy import attach

from .database import Database
from .rules import Rule
from .schema import MODELS, restart_ticks
from .witness import Witness


def step(**arguments: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine, which notes that it was taken."""
    return lambda function: rule(**arguments)(_noting(function))


def first_step(**arguments: Any) -> Callable[[Callable[..., None]], Any]:
    """The rule that every sequence begins with, which notes that it was taken."""
    return lambda function: initialize(**arguments)(_noting(function))


def _noting(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def taken(self: Play, **arguments: Any) -> None:
        if not self.taking:  # a rule may take another
            self.steps.append((function.__name__, arguments))
        before, self.taking = self.taking, True
        # Stays so if the step fails: there is nothing to commit at the end then.
        function(self, **arguments)
        self.taking = before

    return taken


class Play(RuleBasedStateMachine):
    """What the rules of the machine play on.

    Args:
        database: Where.
    """

    session: Session | AsyncSession

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.story: list[str] = []
        self.steps: list[tuple[str, dict[str, Any]]] = []
        self.taking = False
        self.attachments = ExitStack()
        self.entity_names: dict[int, str] = {}
        self.objects: list[Any] = []
        self.savepoints: list[SessionTransaction] = []
        self.hooks = Hooks(bypass="warn" if database.capture is None else "capture")
        self.witness = Witness(database.counts, in_order=database.capture is None)
        self.in_force: list[Rule] = []
        self.by_statements = False
        restart_ticks()
        database.clear()
        database.counts["sequences"] += 1

    # Telling -------------------------------------------------------------------------------------

    def tell(self, line: str) -> None:
        self.story.append(line)

    def tell_refusal(self, error: BaseException) -> None:
        self.tell(f"    # {type(error).__name__}: {str(error).splitlines()[0][:150]}")

    def name(self, entity: Any) -> str:
        """The class and a number; in the order of keys for what was loaded."""
        if entity is None:
            return "None"
        if id(entity) not in self.entity_names:
            kind = type(entity).__name__.lower()
            number = 1 + sum(name.rstrip("0123456789") == kind for name in self.entity_names.values())
            self.entity_names[id(entity)] = f"{kind}{number}"
        return self.entity_names[id(entity)]

    def names_of(self, entities: Sequence[Any]) -> str:
        return f"[{', '.join(map(self.name, entities))}]"

    # Doing ---------------------------------------------------------------------------------------

    @property
    def sync_session(self) -> Session:
        return self.session.sync_session if isinstance(self.session, AsyncSession) else self.session

    def open_session(self) -> None:
        self.session = self.database.session()
        self.attachments.enter_context(attach(self.hooks, self.session, capture=self.database.capture))
        self.savepoints = []

    def load(self) -> None:
        """Load everything, and name it by class and key."""
        bases = [model for model in MODELS if inspect(model).inherits is None]

        def load() -> None:
            self.objects = []
            for model in bases:
                self.objects += self.sync_session.scalars(select(model).order_by(*inspect(model).primary_key)).all()

        self.database.run(self.session, load)
        self.entity_names = {}
        for entity in self.objects:
            self.name(entity)

    def perform(self, line: str, function: Callable[[], Any]) -> bool:
        """Do one thing; if the flush in it is refused, go back to the last savepoint or the beginning."""
        self.tell(line)
        self.database.counts["operations"] += 1
        try:
            self.database.run(self.session, function)
        except Exception as error:
            if not self.is_refusal(error):
                raise
            self.database.counts[f"refused by {type(error).__name__}"] += 1
            self.tell_refusal(error)
            self.go_back()
            return False
        return True

    def is_refusal(self, error: BaseException) -> bool:
        """Whether this is an answer that a user must expect of a flush."""
        if isinstance(error, AssertionError):
            return str(error).startswith("Dependency rule")  # SQLAlchemy: a key column would become NULL
        if isinstance(error, InvalidRequestError):  # the flush that the step itself caused deleted its object
            return "has been deleted" in str(error) or "Could not refresh instance" in str(error)
        return isinstance(error, (ValidationError, HookLoopError, CircularDependencyError))

    def go_back(self) -> None:
        if self.savepoints:
            self.tell(f"savepoint{len(self.savepoints)}.rollback()")
            self.database.run(self.session, self.savepoints.pop().rollback)
            self.witness.ledger.rollback()
            self.load_again()
        else:
            self.roll_back_all()

    def roll_back_all(self) -> None:
        self.tell("session.rollback()")
        self.database.run(self.session, self.sync_session.rollback)
        self.savepoints = []
        self.ended(committed=False)
        self.load_again()

    def load_again(self) -> None:
        """Rows that statements have written came and went without their objects."""
        if self.by_statements:
            self.objects = []
            gc.collect()  # objects of rows that are gone; their keys may be given to other rows
            self.sync_session.expire_all()  # SQLAlchemy takes what was loaded in a savepoint for true after its end
            self.load()
            for one in list(self.sync_session):
                if inspect(one).expired:  # held by the traceback of an error, say: another row may be given its key
                    self.sync_session.expunge(one)

    def alive(self, *models: type) -> list[Any]:
        """Entities that a user may still write to."""
        gone = self.sync_session.deleted
        return [
            entity
            for entity in self.objects
            if isinstance(entity, models or object)
            and (inspect(entity).persistent or inspect(entity).pending)
            and entity not in gone
        ]

    def persistent(self, *models: type) -> list[Any]:
        return [entity for entity in self.alive(*models) if inspect(entity).persistent]

    def pick(self, number: int, *models: type, or_none: bool = False) -> Any:
        """One of the living by number. With `or_none`, zero is None."""
        living: list[Any] = self.alive(*models)
        if or_none:
            living.insert(0, None)
        return living[number % len(living)] if living else None

    def key_of(self, entity: Any) -> Any:
        """Its key as a foreign key column takes it; None if it has none yet."""
        identity = None if entity is None else inspect(entity).identity
        return identity[0] if identity else None

    def ended(self, *, committed: bool) -> None:
        """The transaction is over: hold what was told against the database, and begin the next."""
        after = self.database.snapshot()
        self.witness.close(after, committed=committed)
        self.witness.open(after)

    def close(self) -> None:
        """Let go of the session."""
        self.attachments.close()
        if hasattr(self, "session"):
            self.database.run(self.session, self.sync_session.close)
