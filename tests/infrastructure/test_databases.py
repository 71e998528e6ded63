"""The databases that the other tests lean on."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

TABLES = (
    "CREATE TABLE parent (id integer PRIMARY KEY)",
    "CREATE TABLE child (parent_id integer REFERENCES parent)",
)


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_gets_an_empty_database(engine: Engine, time: str) -> None:
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement))


def test_foreign_keys_are_minded(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(text(statement))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO child VALUES (1)"))


async def test_async_tests_run_and_share_the_database(engine: Engine, async_engine: AsyncEngine) -> None:
    with engine.begin() as connection:
        connection.execute(text(TABLES[0]))
    async with async_engine.begin() as connection:
        await connection.execute(text("INSERT INTO parent VALUES (1)"))
        await asyncio.sleep(0)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM parent")) == 1


@pytest.mark.xfail(raises=ZeroDivisionError, reason="to see that a failing coroutine fails its test")
async def test_an_async_test_can_fail() -> None:
    await asyncio.sleep(1 // 0)


def test_savepoints_work(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(TABLES[0]))
        with connection.begin_nested() as savepoint:
            connection.execute(text("INSERT INTO parent VALUES (1)"))
            savepoint.rollback()
        assert connection.scalar(text("SELECT count(*) FROM parent")) == 0


def test_postgresql_is_a_real_server(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version_num"))
    engine.dispose()
    assert int(str(version)) >= 160000
