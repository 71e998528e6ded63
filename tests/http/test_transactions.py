"""One request is one transaction: what hooks see, what they refuse, and which rows there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Header, HTTPException, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from hookline import Hooks, ValidationError
from hookline.durable import Deliveries, Worker
from hookline.http import CRUD, Hook, HookType
from hookline.sqlalchemy import Outbox, attach
from tests.http.cinema import Movie
from tests.http.conftest import Client, served

ROWS = "/movies/"


def count(look: Session, model: type = Movie) -> int:
    look.rollback()
    found = look.scalar(select(func.count()).select_from(model))
    look.rollback()
    return found or 0


async def test_what_before_commit_refuses_is_not_written_and_nobody_hears_of_it(
    client: Client, hooks: Hooks, look: Session
) -> None:
    heard: list[str] = []

    @hooks.before_commit("write", Movie)
    def refuse(change: Any) -> None:
        if change.new["name"] == "bad":
            raise ValidationError(change.entity, {"name": "is bad"}, code="bad")

    @hooks.after_commit("write", Movie)
    def hear(change: Any) -> None:
        heard.append(change.new["name"])

    async with client(allow_bulk_create=True) as http:
        for answer in (
            await http.post(ROWS, json={"name": "bad"}),
            await http.post(ROWS + "bulk/", json=[{"name": "good"}, {"name": "bad"}]),
        ):
            assert answer.status_code == 422, answer.text
            assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("name", "bad")]
        assert (count(look), heard) == (0, [])
        place = (await http.post(ROWS, json={"name": "good"})).headers["location"]
        assert (await http.patch(place, json={"name": "bad"})).status_code == 422
        assert (await http.get(place)).json()["name"] == "good"
    assert heard == ["good"]


async def test_what_before_commit_writes_to_the_row_is_in_the_answer_and_in_its_tag(
    client: Client, hooks: Hooks, look: Session
) -> None:
    @hooks.before_commit("write", Movie)
    def rate(change: Any) -> None:
        change.entity.rating = len(change.new["name"])

    async with client() as http:
        made = await http.post(ROWS, json={"name": "Solaris"})
        assert made.json()["rating"] == 7
        place = made.headers["location"]
        for tag in (made.headers["etag"], None):
            read = await http.get(place)
            assert tag in (read.headers["etag"], None)
            changed = await http.patch(place, json={"name": f"{read.json()['name']}!"},
                                       headers={"if-match": read.headers["etag"]})  # fmt: skip
            assert changed.json()["rating"] == len(changed.json()["name"])
            assert (await http.get(place)).json() == changed.json()
            assert (await http.get(place)).headers["etag"] == changed.headers["etag"]


@pytest.fixture(params=["plain", "coroutine"])
def kind(request: pytest.FixtureRequest, sessions: Any) -> str:
    if request.param == "coroutine" and isinstance(sessions, sessionmaker):
        return "plain"  # coroutines are for async sessions
    return str(request.param)


def listening(seen: list[tuple[str, Any, Any]], phase: str, kind: str) -> Callable[..., Any]:
    """A hook that notes who asked, and how."""

    def plain(change: Any, request: Any, user: Any) -> None:
        seen.append((phase, request.method, user))

    async def coroutine(change: Any, request: Any, user: Any) -> None:
        seen.append((phase, request.method, user))

    return plain if kind == "plain" else coroutine


PHASES = ("before", "after", "before_commit", "after_commit")


async def test_hooks_of_every_phase_and_of_every_rule_book_know_request_and_user(
    sessions: Any, hooks: Hooks, look: Session, kind: str
) -> None:
    other, seen, seen_by_other = Hooks(), [], []
    for book, notes in ((hooks, seen), (other, seen_by_other)):
        for phase in PHASES:
            getattr(book, phase)("write", Movie, name=phase)(listening(notes, phase, kind))
    application = FastAPI()

    def who(x_user: str = Header()) -> str:
        return x_user

    application.include_router(CRUD(Movie, sessions, read_only=False, user=who), prefix="/movies")
    with attach(other, sessions):
        async with served(application) as http:
            made = await http.post(ROWS, json={"name": "Solaris"}, headers={"x-user": "Ann"})
            assert made.status_code == 201, made.text
            place = made.headers["location"]
            await http.patch(place, json={"name": "Stalker"}, headers={"x-user": "Bob"})
            await http.put(place, json={"name": "Mirror"}, headers={"x-user": "Cem"})
            await http.delete(place, headers={"x-user": "Dan"})
            assert (await http.post(ROWS, json={"name": "Solaris"})).status_code == 422
    told = [("POST", "Ann"), ("PATCH", "Bob"), ("PUT", "Cem"), ("DELETE", "Dan")]
    expected = [(phase, method, user) for method, user in told for phase in PHASES]
    assert seen == expected
    assert seen_by_other == expected


class Backend(AuthenticationBackend):
    """Believes a header."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(), SimpleUser(name))


async def test_the_user_of_starlettes_middleware_is_known_to_hooks(sessions: Any, hooks: Hooks, look: Session) -> None:
    seen: list[str] = []

    @hooks.after_commit("insert", Movie)
    def note(change: Any, user: Any) -> None:
        seen.append(user.display_name)

    def sign(row: Movie, user: Any) -> None:
        row.name = f"{row.name} by {user.display_name}"

    application = FastAPI()
    application.add_middleware(AuthenticationMiddleware, backend=Backend())
    hook = Hook(HookType.pre_save, sign)
    application.include_router(CRUD(Movie, sessions, read_only=False, hooks=[hook]), prefix="/movies")
    async with served(application) as http:
        made = await http.post(ROWS, json={"name": "Solaris"}, headers={"x-user": "Ann"})
        assert made.json()["name"] == "Solaris by Ann"
        assert (await http.post(ROWS, json={"name": "Solaris"})).status_code == 201
    assert seen == ["Ann", ""]


async def test_a_dependency_that_refuses_is_obeyed_and_nothing_is_written(client: Client, look: Session) -> None:
    async def who(request: Request) -> None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    async with client(user=who) as http:
        for method, path in (("GET", ROWS), ("POST", ROWS), ("GET", ROWS + "schema/"), ("DELETE", ROWS + "1/")):
            refused = await http.request(method, path, json={"name": "Solaris"} if method == "POST" else None)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.headers["content-type"] == "application/problem+json"
    assert count(look) == 0


def test_durable_hooks_hear_of_what_was_committed_and_of_nothing_else(sessions: Any, look: Session) -> None:
    book, told = Hooks(), []
    bind = look.get_bind()
    Outbox().create_tables(bind)

    @book.durable("insert", Movie)
    def tell(change: Any) -> None:
        told.append(change.new["name"])

    @book.before_commit("insert", Movie)
    def refuse(change: Any) -> None:
        if change.new["name"] == "bad":
            raise ValidationError(change.entity, {"name": "is bad"})

    async def requests() -> None:
        application = FastAPI()
        application.include_router(CRUD(Movie, sessions, read_only=False), prefix="/movies")
        async with served(application) as http:
            for name, status in (("good", 201), ("bad", 422), ("fine", 201)):
                answer = await http.post(ROWS, json={"name": name})
                assert answer.status_code == status, answer.text

    plain = sessionmaker(bind)
    with attach(book, sessions):
        asyncio.run(requests())
    with attach(book, plain):
        assert sum(one.number for one in Deliveries(book).counts()) == 2
        asyncio.run(Worker(book).serve(until_idle=True))
    assert sorted(told) == ["fine", "good"]


# -- which rows there are


async def test_rows_that_only_leaves_out_are_nowhere(client: Client, look: Session) -> None:
    look.add_all([Movie(id=1, name="mine", year=1), Movie(id=2, name="theirs", year=2)])
    look.commit()
    bulk = {"allow_bulk_patch": True, "allow_bulk_delete": True}
    async with client(only=lambda request: Movie.year == 1, **bulk) as http:
        assert [row["id"] for row in (await http.get(ROWS)).json()["rows"]] == [1]
        assert (await http.get(ROWS + "count/")).json() == {"count": 1}
        assert [row["id"] for row in (await http.get(ROWS + "ids/")).json()["rows"]] == ["1"]
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            body = {"name": "x"} if method in ("PATCH", "PUT") else None
            assert (await http.request(method, ROWS + "2/", json=body)).status_code == 404
        assert (await http.patch(ROWS + "?__all=true", json={"rating": 1})).json() == {"count": 1, "ids": ["1"]}
        assert (await http.patch(ROWS + "?id=2", json={"rating": 1})).json() == {"count": 0, "ids": []}
        assert (await http.delete(ROWS + "?__all=true")).json() == {"count": 1, "ids": ["1"]}
    assert look.execute(select(Movie.id, Movie.name, Movie.rating)).all() == [(2, "theirs", None)]


async def test_no_row_is_made_or_changed_into_one_that_only_leaves_out(
    client: Client, hooks: Hooks, look: Session
) -> None:
    look.add(Movie(name="mine", year=1))
    look.commit()
    heard: list[Any] = []
    hooks.after_commit("write", Movie, name="hear")(lambda change: heard.append(change))
    bulk = {"allow_bulk_create": True, "allow_bulk_patch": True}
    async with client(only=lambda request: Movie.year == 1, **bulk) as http:
        for method, path, body in (
            ("POST", ROWS, {"name": "x", "year": 2}),
            ("POST", ROWS + "bulk/", [{"name": "x", "year": 1}, {"name": "y", "year": 2}]),
            ("PATCH", ROWS + "1/", {"year": 2}),
            ("PUT", ROWS + "1/", {"name": "x", "year": 2}),
            ("PATCH", ROWS + "?__all=true", {"year": 2}),
        ):
            refused = await http.request(method, path, json=body)
            assert refused.status_code == 422, refused.text
            assert refused.json()["errors"][0]["code"] == "out_of_reach"
        assert heard == []
        assert (await http.post(ROWS, json={"name": "also mine", "year": 1})).status_code == 201
        assert (await http.patch(ROWS + "1/", json={"name": "still mine"})).status_code == 200
    assert [(row.name, row.year) for row in look.execute(select(Movie.name, Movie.year).order_by(Movie.id))] == [
        ("still mine", 1), ("also mine", 1),
    ]  # fmt: skip


async def test_a_hook_may_bring_a_row_to_its_owner(client: Client, hooks: Hooks, look: Session) -> None:
    @hooks.before_commit("insert", Movie)
    def own(change: Any) -> None:
        change.entity.year = 1

    async with client(only=lambda request: Movie.year == 1) as http:
        made = await http.post(ROWS, json={"name": "x", "year": 2})
        assert (made.status_code, made.json()["year"]) == (201, 1)
