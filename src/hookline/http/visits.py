"""One request at work: its session, what hooks may ask for, and which rows there are for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.requests import Request

from hookline.core.arguments import Arguments, read
from hookline.errors import UsageError
from hookline.http.hooks import Asked, Reach
from hookline.http.sessions import Sessions, context_of, wait_for

R = TypeVar("R")


class Visit(NamedTuple):
    """One request at work.

    Attributes:
        session: Its session.
        held: What hooks may ask for by name.
        where: What the rows meet that there are for it.
    """

    session: Session
    held: Mapping[str, Any]
    where: tuple[ColumnElement[bool], ...]


class Visits:
    """What lets requests work.

    Args:
        sessions: Opens their sessions.
        only: Which rows there are for a request; None for all.
    """

    def __init__(self, sessions: Sessions, only: Callable[..., Any] | None) -> None:
        self.sessions, self._only = sessions, only
        self._asks: Arguments | None = None
        if only is not None:
            self._asks = read(only, "CRUD(only=...)", ("request", "user", "session"))

    async def run(self, request: Request, user: Any, work: Callable[[Visit], R]) -> R:
        """Do the work of a request in a session, with its context.

        Args:
            request: The request.
            user: Who sent it; None if nobody knows.
            work: Does it.
        """
        own = {"request": request} if user is None else {"request": request, "user": user}

        def inside(session: Session) -> R:
            with context_of(session, own) as held:
                return work(Visit(session, held, self._where(session, held)))

        return await self.sessions.run(inside)

    def _where(self, session: Session, held: Mapping[str, Any]) -> tuple[ColumnElement[bool], ...]:
        if self._only is None or self._asks is None:
            return ()
        asked = Asked(session, "read", None, held)
        given = self._only(**self._asks.fill("CRUD(only=...)", Reach(asked, held), asked))
        if hasattr(given, "__await__"):
            given = wait_for(session, given)
        found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, ColumnElement) else (given,)
        for one in found:
            if not isinstance(one, ColumnElement):
                raise UsageError(
                    f"CRUD(only=...) returned {one!r}; it gives back a condition, such as Movie.owner_id == user.id, "
                    f"or several."
                )
        return found
