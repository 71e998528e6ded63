"""Many clients at once: no update is lost, nothing waits for ever, and what is sent again happens once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Header
from sqlalchemy import Engine, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Hooks, ValidationError
from hookline.http import CRUD, IdempotencyKeys
from hookline.sqlalchemy import attach
from tests.databases import Database
from tests.http.conftest import served
from tests.sqlalchemy.databases import async_engine_for, engine_for

ROWS, ROW = "/movies/", "/movies/1/"
PATIENCE = 120.0


class Base(DeclarativeBase): ...


class Versioned(Base):
    __tablename__ = "versioned"
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}


class Stamped(Base):
    __tablename__ = "stamped"
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Plain(Base):
    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


Opened = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(params=["sync", "async"])
def crowded(request: pytest.FixtureRequest, database: Database, hooks: Hooks) -> Opened:
    """`async with crowded(Model) as http:` serves a class to a crowd, with a pool of ten connections."""
    pool: dict[str, Any] = {"pool_size": 10, "max_overflow": 0, "pool_timeout": PATIENCE}
    if database.kind == "sqlite":
        pool["connect_args"] = {"timeout": PATIENCE}  # writers wait in line

    @asynccontextmanager
    async def opened(model: type, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        application = FastAPI()
        if request.param == "sync":
            engine: Any = engine_for(str(database), **pool)
            sessions: Any = sessionmaker(engine)
        else:
            engine = async_engine_for(str(database), **pool)
            sessions = async_sessionmaker(engine)
        application.include_router(CRUD(model, sessions, **{"read_only": False, **options}), prefix="/movies")
        try:
            with attach(hooks, sessions):
                async with served(application) as http:
                    yield http
        finally:
            ended = engine.dispose()
            if ended is not None:
                await ended

    return opened


@pytest.fixture
def look(engine: Engine) -> Any:
    Base.metadata.create_all(engine)
    IdempotencyKeys().create_tables(engine)
    with Session(engine) as session:
        session.add_all([Versioned(), Stamped(), Plain()])
        session.commit()
        yield session


async def add_one(http: httpx.AsyncClient, attempts: int) -> Counter[int]:
    """Read, add one, write if nobody else has; how the writes ended."""
    ended: Counter[int] = Counter()
    for _ in range(attempts):
        seen = await http.get(ROW)
        answer = await http.patch(ROW, json={"count": seen.json()["count"] + 1},
                                  headers={"if-match": seen.headers["etag"]})  # fmt: skip
        ended[answer.status_code] += 1
        if answer.status_code == 200:
            break
    return ended


def count(look: Session, model: Any) -> int:
    look.rollback()
    found = look.scalars(select(model.count)).one()
    look.rollback()
    return int(found)


@pytest.mark.parametrize("model", [Versioned, Stamped, Plain], ids=lambda model: model.__name__.lower())
async def test_a_crowd_loses_no_update(crowded: Opened, look: Session, model: Any) -> None:
    async with crowded(model) as http, asyncio.timeout(PATIENCE):
        ended = sum(await asyncio.gather(*(add_one(http, 2) for _ in range(200))), Counter())
    assert set(ended) <= {200, 412}, ended
    assert ended[200] > 0
    assert count(look, model) == ended[200]


async def test_who_reads_again_gets_through(crowded: Opened, look: Session) -> None:
    async with crowded(Plain) as http, asyncio.timeout(PATIENCE):
        ended = sum(await asyncio.gather(*(add_one(http, 1000) for _ in range(12))), Counter())
    assert (set(ended) <= {200, 412}, ended[200], count(look, Plain)) == (True, 12, 12)


async def test_without_a_tag_the_last_one_wins_and_nobody_waits_for_ever(crowded: Opened, look: Session) -> None:
    async with crowded(Versioned, allow_bulk_patch=True) as http, asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*(
            http.patch(ROW if number % 2 else ROWS + "?__all=true", json={"count": number}) for number in range(40)
        ))  # fmt: skip
    assert {answer.status_code for answer in answers} == {200}
    assert count(look, Versioned) in range(40)


async def test_a_tag_can_be_asked_for(crowded: Opened, look: Session) -> None:
    async with crowded(Plain, require_if_match=True) as http:
        for method, body in (("PATCH", {"count": 7}), ("PUT", {"count": 7}), ("DELETE", None)):
            refused = await http.request(method, ROW, json=body)
            assert (refused.status_code, refused.headers["content-type"]) == (428, "application/problem+json")
        assert count(look, Plain) == 0
        tag = (await http.get(ROW)).headers["etag"]
        assert (await http.patch(ROW, json={"count": 7}, headers={"if-match": tag})).status_code == 200
        assert (await http.patch(ROW, json={"count": 8}, headers={"if-match": tag})).status_code == 412
        assert (await http.delete(ROW, headers={"if-match": "*"})).status_code == 204


# -- the same request again


def who(x_user: str = Header("Ann")) -> str:
    return x_user


def kept(crowded: Opened, **options: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return crowded(Plain, idempotency=IdempotencyKeys(), user=who, **options)


async def test_the_same_request_of_many_clients_happens_once(crowded: Opened, look: Session) -> None:
    async with kept(crowded, allow_bulk_create=True) as http, asyncio.timeout(PATIENCE):
        for path, body in ((ROWS, {"count": 5}), (ROWS + "bulk/", [{"count": 6}, {"count": 6}])):
            head = {"idempotency-key": "once"}
            answers = await asyncio.gather(*(http.post(path, json=body, headers=head) for _ in range(20)))
            assert {answer.status_code for answer in answers} <= {201, 409}, [one.text for one in answers]
            done = [answer for answer in answers if answer.status_code == 201]
            assert len({answer.text for answer in done}) == 1
            assert len({answer.headers.get("etag") for answer in done}) == 1
            assert len({answer.headers.get("location") for answer in done}) == 1
            assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
            again = await http.post(path, json=body, headers=head)
            assert (again.status_code, again.text) == (201, done[0].text)
    counts = Counter(look.scalars(select(Plain.count)))
    assert counts == {0: 1, 5: 1, 6: 2}


async def test_a_key_with_another_body_is_refused_and_another_users_key_is_another(
    crowded: Opened, look: Session
) -> None:
    head = {"idempotency-key": "once"}
    async with kept(crowded) as http:
        first = await http.post(ROWS, json={"count": 5}, headers=head)
        other = await http.post(ROWS, json={"count": 6}, headers=head)
        assert (other.status_code, other.json()["type"]) == (422, "urn:hookline:problem:idempotency-reused")
        bob = await http.post(ROWS, json={"count": 6}, headers={**head, "x-user": "Bob"})
        assert (first.status_code, bob.status_code, bob.json()["count"]) == (201, 201, 6)
    assert sorted(look.scalars(select(Plain.count))) == [0, 5, 6]


async def test_a_key_of_a_request_that_failed_can_be_used_again(crowded: Opened, hooks: Hooks, look: Session) -> None:
    wrong = [True]

    @hooks.before_commit("insert", Plain)
    def refuse(change: Any) -> None:
        if wrong.pop():
            raise ValidationError(change.entity, {"count": "is too much"})

    head = {"idempotency-key": "again"}
    async with kept(crowded) as http:
        assert (await http.post(ROWS, json={"count": "x"}, headers=head)).status_code == 422
        assert (await http.post(ROWS, json={"count": 5}, headers=head)).status_code == 422
        wrong.append(False)
        done = await http.post(ROWS, json={"count": 6}, headers=head)
        assert (done.status_code, "idempotency-replayed" in done.headers) == (201, False)
    assert sorted(look.scalars(select(Plain.count))) == [0, 6]
