"""An application as people deploy it: what uvicorn serves, by several processes, with a worker in each.

The environment says where the database is (``CINEMA_URL``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from hookline import Hooks
from hookline.durable import Worker
from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import attach
from tests.http.cinema import Base, Ticket
from tests.sqlalchemy.databases import engine_for

hooks = Hooks()


class Told(Base):
    """Somebody was told of a ticket."""

    __tablename__ = "told"
    id: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[str]
    process: Mapped[int]


@hooks.durable("insert", Ticket)
def tell(change: Any, session: Session) -> None:
    session.add(Told(holder=change.new["holder"], process=os.getpid()))


def serving(url: str) -> FastAPI:
    """The application; deliveries are worked on for as long as it runs."""
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    sessions = sessionmaker(engine_for(url, **options))
    attach(hooks, sessions)

    @asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        worker = Worker(hooks, poll=0.1)
        task = asyncio.create_task(worker.serve())
        yield
        worker.stop()
        await task

    application = FastAPI(lifespan=working)
    tickets = CRUD(Ticket, sessions, read_only=False, idempotency=IdempotencyKeys(), max_body=10_000)
    application.include_router(tickets, prefix="/tickets")

    @application.get("/process")
    async def process() -> int:
        return os.getpid()

    return application


if "CINEMA_URL" in os.environ:
    application = serving(os.environ["CINEMA_URL"])
