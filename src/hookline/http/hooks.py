"""Hooks on requests: what runs when a client saves, patches or deletes, as in Piccolo API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.orm import Session

from hookline.core.arguments import Arguments, read
from hookline.core.transaction import Transaction
from hookline.errors import AsyncHookError, UsageError
from hookline.http.sessions import wait_for
from hookline.sqlalchemy.asynchronous import around
from hookline.sqlalchemy.attachment import transaction

T = TypeVar("T")


class HookType(Enum):
    """When a hook runs, and what it is given, and may give back.

    Those with ``pre`` run before the row is written, those with ``post`` after it was, in the same transaction.
    ``save`` is for POST and PUT, ``patch`` for PATCH and ``delete`` for DELETE, of one row or of many.
    """

    pre_save = "pre_save"
    pre_patch = "pre_patch"
    pre_delete = "pre_delete"
    post_save = "post_save"
    post_patch = "post_patch"
    post_delete = "post_delete"

    @property
    def edited(self) -> str | None:
        """What such a hook may give back, edited."""
        return {"save": "row", "patch": "values"}.get(self.value.rpartition("_")[2])

    @property
    def given(self) -> tuple[str, ...]:
        """What such a hook may ask for by name."""
        own = {"save": ("row",), "patch": ("row_id", "values"), "delete": ("row_id",)}
        return (*own[self.value.rpartition("_")[2]], "request", "user", "entity", "event", "tx", "session")


class Hook:
    """A function that runs on requests.

    Args:
        hook_type: When.
        callable: What; sync or async. It asks by name for what it needs: ``row``, or ``row_id`` and ``values``, or
            ``row_id``; and ``request``, ``user``, ``entity``, ``event``, ``tx``, ``session``, and whatever the context
            holds. It returns what it was given, edited; or None, which leaves it as it is.

    Raises:
        UnknownArgumentError: It asks for what such a hook cannot be given.

    Example:
        >>> def set_rating(row):
        ...     row.rating = 10
        ...     return row
        >>> Hook(HookType.pre_save, set_rating)
        <Hook pre_save: set_rating>
    """

    def __init__(self, hook_type: HookType, callable: Callable[..., Any]) -> None:  # noqa: A002 - as in Piccolo API
        self.hook_type, self.callable = HookType(hook_type), callable
        name = getattr(callable, "__qualname__", repr(callable))
        self.name = name.rpartition("<locals>.")[2]
        self.arguments: Arguments = read(callable, str(self), self.hook_type.given)

    def __str__(self) -> str:
        return f"hook {self.name!r} ({self.hook_type.value})"

    def __repr__(self) -> str:
        return f"<Hook {self.hook_type.value}: {self.name}>"


class RequestHooks:
    """The hooks of one resource.

    Args:
        hooks: All of them, in order.
        asynchronous: Whether sessions are async.

    Raises:
        AsyncHookError: An async hook asks for a session that is not.
    """

    def __init__(self, hooks: Iterable[Hook], *, asynchronous: bool) -> None:
        self._hooks: dict[HookType, list[Hook]] = {}
        for hook in hooks:
            if not isinstance(hook, Hook):
                raise UsageError(
                    f"CRUD(hooks=[...]) takes hooks on requests, such as Hook(HookType.pre_save, function), not "
                    f"{hook!r}. A rule book is tied to sessions: attach(hooks, SessionLocal)."
                )
            if hook.arguments.asynchronous and not asynchronous and {"session", "tx"} & set(hook.arguments.names):
                raise AsyncHookError(
                    f"{hook} is async and asks for the session, which is not: it is at work in another thread. "
                    f"Make it a plain function, or give CRUD() an async_sessionmaker."
                )
            self._hooks.setdefault(hook.hook_type, []).append(hook)

    def run(self, when: HookType, asked: Asked, given: T) -> T:
        """Run the hooks of one type, each with what the one before it has left.

        Args:
            when: Their type.
            asked: What they can ask for.
            given: What they may edit.

        Returns:
            What they have left of it.
        """
        for hook in self._hooks.get(when, ()):
            result = self._call(hook, asked, when.edited, given)
            if result is not None and when.edited is not None:
                given = result
        return given

    def _call(self, hook: Hook, asked: Asked, edited: str | None, given: Any) -> Any:
        held = dict(asked.held)
        if edited is not None:
            held[edited] = given
        filled = hook.arguments.fill(str(hook), Reach(asked, held), asked)
        result = hook.callable(**filled)
        if hasattr(result, "__await__"):
            result = wait_for(asked.session, result)
        if edited == "values" and result is not None and not isinstance(result, Mapping):
            raise UsageError(f"{hook} returned {result!r}; it gives back the values, a dict, or None for no change.")
        return result


class Asked(NamedTuple):
    """What hooks of one request can ask for.

    Attributes:
        session: The session.
        event: ``insert``, ``update`` or ``delete``.
        entity: The row, as an object.
        held: The rest, by name.
    """

    session: Session
    event: str
    entity: Any
    held: Mapping[str, Any]


class Reach:
    """What one call of a hook can reach."""

    def __init__(self, asked: Asked, values: Mapping[str, Any]) -> None:
        self._asked, self.values = asked, values

    @property
    def tx(self) -> Transaction:
        """The transaction, if one rule book governs the session."""
        return transaction(self._asked.session)

    def session(self, asynchronous: bool) -> Any:
        """The session; for an async function, the AsyncSession around it."""
        return around(self._asked.session) if asynchronous else self._asked.session

    def entity(self, change: Any, asynchronous: bool) -> Any:
        """The row as an object."""
        return self._asked.entity
