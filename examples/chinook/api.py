"""The store over HTTP: every class of ``models.py``, under the rules of ``rules.py``.

``uvicorn --factory api:application`` serves the database whose URL is in the environment, in as many processes as you
like; ``serve.py`` does that, and makes the database.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from database import connect
from fastapi import Depends, FastAPI, Header, HTTPException
from models import (
    Album,
    Artist,
    AuditEntry,
    Base,
    Customer,
    Employee,
    Genre,
    Invoice,
    InvoiceLine,
    MediaType,
    Player,
    Playlist,
    Receipt,
    Track,
    playlist_track,
)
from rules import hooks
from sqlalchemy import URL, insert, literal, make_url, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.types import ASGIApp, Receive, Scope, Send

from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import attach

DATABASE = "CHINOOK_DATABASE"
"""The environment variable with the URL."""

answers = IdempotencyKeys()
"""Where answers are kept, so that what is sent twice happens once."""

#: What clients may do with each class, besides reading it. What a rule keeps, no client writes.
SERVED: dict[type[Base], dict[str, Any]] = {
    Genre: {},
    MediaType: {},
    Artist: {"read_only_fields": ["slug"]},
    Album: {"read_only_fields": ["slug"], "references": {"artist_id": "name"}},
    Track: {"references": {"album_id": "title", "genre_id": "name", "mediatype_id": "name"}},
    Playlist: {"read_only_fields": ["slug", "track_count"]},
    Player: {"references": {"track_id": "name"}},
    Employee: {"label": "lastname", "references": {"reports_to_id": "lastname"}},
    Customer: {"label": "lastname", "references": {"support_rep_id": "lastname"}},
    Invoice: {"read_only_fields": ["total"], "references": {"customer_id": "lastname"}},
    InvoiceLine: {"references": {"track_id": "name"}},
    Receipt: {"read_only": True, "secret": ["delivery"]},
    AuditEntry: {"read_only": True},
}


def who(x_user: Annotated[str, Header(description="Who you are, for the audit trail.")] = "a client") -> str:
    """The user, for whom rules ask by that name. A real store would have a look at the passport."""
    return x_user


def application(url: URL | None = None) -> FastAPI:
    """The application.

    Args:
        url: Of the database; the one in the environment by default.
    """
    engine = connect(url or make_url(os.environ[DATABASE]))
    sessions = sessionmaker[Session](engine)
    attach(hooks, sessions)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    store = FastAPI(title="Chinook", description=__doc__.split("\n")[0], lifespan=lifespan)
    store.add_middleware(Loudspeaker)
    for model, options in SERVED.items():
        store.include_router(served(model, sessions, **options), prefix=f"/{model.__tablename__}")
    add_playlist_tracks(store, sessions)
    return store


def served(model: type[Base], sessions: sessionmaker[Session], *, read_only: bool = False, **options: Any) -> CRUD:
    """One class, with as much as its clients may do."""
    if not read_only:
        options |= {"allow_bulk_create": True, "idempotency": answers}
    return CRUD(model, sessions, read_only=read_only, user=who, max_depth=1, **options)


def add_playlist_tracks(store: FastAPI, sessions: sessionmaker[Session]) -> None:
    """The links of a secondary table are no rows of a class: a path of our own, under the same rules."""

    @store.post("/playlist/{playlist_id}/tracks/", tags=["Playlist"], status_code=201)
    def add_tracks(playlist_id: int, tracks: list[int], user: Annotated[str, Depends(who)]) -> dict[str, int]:
        """Put tracks on a playlist, but for those that are there already: who sends them twice does no harm."""
        with hooks.context(user=user), sessions.begin() as session:
            playlist = session.get(Playlist, playlist_id, with_for_update=True)
            if playlist is None:
                raise HTTPException(404, "There is no such playlist")
            there = select(playlist_track.c.track_id).where(playlist_track.c.playlist_id == playlist_id)
            wanted = select(literal(playlist_id), Track.id).where(Track.id.in_(tracks), Track.id.not_in(there))
            added = session.execute(insert(playlist_track).from_select(["playlist_id", "track_id"], wanted))
            return {"added": added.rowcount, "track_count": playlist.track_count}


class Loudspeaker:
    """What rules ask for as ``loudspeaker``: here, it is the terminal."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with hooks.context(loudspeaker=lambda message: print(f"♪ now playing: {message}", flush=True)):
            await self.app(scope, receive, send)
