"""What the whole suite shares: real databases (see `tests.databases`) and `async def` tests.

An `async def` test runs in an event loop of its own, by `asyncio.run`: no plugin decides about loops here.
"""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import settings

from tests.databases import (
    async_engine,
    database,
    engine,
    forget_server_folder,
    postgresql_server,
    postgresql_url,
    share_server_folder,
)

__all__ = ["async_engine", "database", "engine", "postgresql_server", "postgresql_url"]


# How long an example takes says nothing on a busy machine.
settings.register_profile("hookline", deadline=None, print_blob=True)
settings.load_profile("hookline")


def pytest_configure(config: pytest.Config) -> None:
    share_server_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    forget_server_folder()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
