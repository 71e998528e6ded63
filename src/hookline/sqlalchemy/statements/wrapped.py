"""Methods of sessions that are wrapped, because no event tells what they do, or none does so cheaply enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from hookline.sqlalchemy.attachment import Attachment

AttachmentsOf = Callable[[Session], "list[Attachment]"]

_SAVE: Final = "_bulk_save_mappings"
"""What the older bulk methods all call: bulk_save_objects and the like. They tell no event that they write."""

_EXECUTE: Final = "_execute_internal"
"""What execute, scalars, scalar and Query.update and .delete all call.

There is an event for it, but a single listener makes SQLAlchemy prepare every statement twice, SELECT included. Here
the listener is added to those that write.
"""


def listen(owner: Any, attachments_of: AttachmentsOf) -> None:
    """Let a session class, or one session, run hooks around what these methods do.

    It is done once for any number of rule books, and stays when they are detached: without any, the methods do what
    they did.
    """
    _wrap(owner, _SAVE, lambda inherited: _saving(inherited, attachments_of))
    _wrap(owner, _EXECUTE, lambda inherited: _executing(inherited, attachments_of))


def _wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    if getattr(vars(owner).get(name), "__hookline__", False):
        return
    inherited: Callable[..., Any] = getattr(owner, name)
    if isinstance(owner, Session):  # it is bound already
        bound = inherited
        inherited = lambda _session, /, *given, **options: bound(*given, **options)  # noqa: E731 - it has no better name
    method: Any = make(inherited)
    method.__hookline__ = True
    setattr(owner, name, method.__get__(owner) if isinstance(owner, Session) else method)


def _saving(inherited: Callable[..., Any], attachments_of: AttachmentsOf) -> Callable[..., Any]:
    def save(session: Session, mapper: Any, mappings: Any, /, **options: Any) -> None:
        send: Callable[..., Any] = inherited.__get__(session)
        for attachment in attachments_of(session):
            send = attachment.around_bulk(session, send)
        send(mapper, mappings, **options)

    return save


def _executing(inherited: Callable[..., Any], attachments_of: AttachmentsOf) -> Callable[..., Any]:
    def execute(session: Session, statement: Any, /, *given: Any, **options: Any) -> Any:
        if getattr(statement, "is_dml", False) and options.get("_parent_execute_state") is None:
            listeners = [one.around_statement for one in attachments_of(session) if one.concerns(session, statement)]
            if (theirs := options.get("_add_event")) is not None:
                listeners.append(theirs)
            if listeners:
                options["_add_event"] = _all(listeners)
        return inherited(session, statement, *given, **options)

    return execute


def _all(listeners: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One listener that brings the others with it: SQLAlchemy takes one for a statement, and goes through a list."""
    first, *others = listeners
    if not others:
        return first

    def begin(state: Any) -> Any:
        state._events_todo.extend(others)
        return first(state)

    return begin
