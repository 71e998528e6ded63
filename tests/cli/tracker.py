"""Two workflows as a process imports them: ``hookline draw tests.cli.tracker:hooks``."""

from __future__ import annotations

import os

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from tests.workflow.parcels import moods, parcels

url = os.environ.get("TRACKER_URL", "sqlite://")
hooks, lonely, none = Hooks(), Hooks("lonely"), Hooks("none")
shipping, tickets, only = parcels(), moods(), moods(editable=True)
hooks.use(shipping)
hooks.use(tickets)
lonely.use(only)
sessions = (
    async_sessionmaker(create_async_engine(url), expire_on_commit=False)
    if "aiosqlite" in url
    else sessionmaker(create_engine(url), expire_on_commit=False)
)
attachment = attach(hooks, sessions)
attach(lonely, sessions)
