"""Hooks on requests: what runs, with what, in which order, and what comes of what they give back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.requests import Request

from hookline import AsyncHookError, Hooks, TargetError, UnknownArgumentError, UsageError
from hookline.http import CRUD, Hook, HookType
from hookline.http import CRUD as PiccoloCRUD
from tests.http.cinema import Movie
from tests.http.conftest import Client, served


def every(told: list[Any]) -> list[Hook]:
    """A hook of each type, that tells what it was given."""

    def saved(when: str, row: Movie, event: str) -> None:
        told.append((when, event, row.name))

    def patched(when: str, row_id: int, values: dict[str, Any]) -> None:
        told.append((when, row_id, dict(values)))

    def deleted(when: str, row_id: int) -> None:
        told.append((when, row_id))

    functions: dict[str, Callable[..., Any]] = {"save": saved, "patch": patched, "delete": deleted}
    return [Hook(one, _named(functions[one.value.split("_")[1]], one.value)) for one in HookType]


def _named(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    if "row" in function.__annotations__:

        def on_row(row: Any, event: str) -> Any:
            return function(when, row, event)

        return on_row
    if "values" in function.__annotations__:

        def on_values(row_id: Any, values: Any) -> Any:
            return function(when, row_id, values)

        return on_values

    def on_key(row_id: Any) -> Any:
        return function(when, row_id)

    return on_key


async def test_they_run_on_every_route_that_saves_patches_or_deletes(client: Client) -> None:
    told: list[Any] = []
    options = {"allow_bulk_create": True, "allow_bulk_patch": True, "allow_bulk_delete": True}
    async with client(hooks=every(told), **options) as http:

        async def after(sent: Any) -> list[Any]:
            told.clear()
            answer = await sent
            assert answer.is_success, answer.text
            return list(told)

        assert await after(http.post("/movies/", json={"name": "a"})) == [
            ("pre_save", "insert", "a"),
            ("post_save", "insert", "a"),
        ]
        assert await after(http.put("/movies/1/", json={"name": "b"})) == [
            ("pre_save", "update", "b"),
            ("post_save", "update", "b"),
        ]
        assert await after(http.patch("/movies/1/", json={"name": "c"})) == [
            ("pre_patch", 1, {"name": "c"}),
            ("post_patch", 1, {"name": "c"}),
        ]
        assert await after(http.post("/movies/bulk/", json=[{"name": "x"}, {"name": "y"}])) == [
            ("pre_save", "insert", "x"),
            ("pre_save", "insert", "y"),
            ("post_save", "insert", "x"),
            ("post_save", "insert", "y"),
        ]
        assert await after(http.patch("/movies/?name__in=x&name__in=y", json={"year": 1})) == [
            ("pre_patch", 2, {"year": 1}),
            ("pre_patch", 3, {"year": 1}),
            ("post_patch", 2, {"year": 1}),
            ("post_patch", 3, {"year": 1}),
        ]
        assert await after(http.delete("/movies/?year=1")) == [
            ("pre_delete", 2),
            ("pre_delete", 3),
            ("post_delete", 2),
            ("post_delete", 3),
        ]
        assert await after(http.delete("/movies/1/")) == [("pre_delete", 1), ("post_delete", 1)]
        assert await after(http.get("/movies/")) == []


async def test_they_do_not_run_for_a_row_that_is_not_there(client: Client) -> None:
    told: list[Any] = []
    async with client(hooks=every(told)) as http:
        assert (await http.patch("/movies/7/", json={"name": "c"})).status_code == 404
        assert (await http.put("/movies/7/", json={"name": "c"})).status_code == 404
        assert (await http.delete("/movies/7/")).status_code == 404
    assert told == []


async def test_what_one_gives_back_is_what_the_next_is_given(client: Client, look: Session) -> None:
    async def first(row: Movie) -> Movie:
        row.rating = 10
        return row

    def second(row: Movie) -> None:  # gives nothing back: it is as it was, and as this one has edited it
        row.rating = row.rating + 1 if row.rating else 0

    def stripped(values: dict[str, Any], row_id: int) -> dict[str, Any]:
        return {**values, "name": values["name"].strip()}

    async def marked(values: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {**values, "name": f"<{values['name']}>"}

    given = [Hook(HookType.pre_save, first), Hook(HookType.pre_patch, stripped), Hook(HookType.pre_save, second)]
    async with client(hooks=[*given, Hook(HookType.pre_patch, marked)]) as http:
        assert (await http.post("/movies/", json={"name": "a"})).json()["rating"] == 11
        assert (await http.patch("/movies/1/", json={"name": " b "})).json()["name"] == "<b>"
    assert look.query(Movie.name, Movie.rating).all() == [("<b>", 11)]


async def test_what_a_hook_edits_after_the_row_was_written_is_written_too(client: Client, look: Session) -> None:
    def numbered(row: Movie) -> None:
        row.name = f"{row.name} ({row.id})"

    def counted(entity: Movie) -> None:
        entity.year += 1

    given = [Hook(HookType.post_save, numbered), Hook(HookType.post_patch, counted)]
    async with client(hooks=given) as http:
        assert (await http.post("/movies/", json={"name": "a"})).json()["name"] == "a (1)"
        assert (await http.patch("/movies/1/", json={"year": 1990})).json()["year"] == 1991
    assert look.query(Movie.name, Movie.year).all() == [("a (1)", 1991)]


async def test_they_ask_by_name_for_what_they_need(client: Client, hooks: Hooks) -> None:
    seen: list[Any] = []

    def asks(row: Any, request: Request, session: Any, tx: Any, entity: Any, event: str, tenant: str) -> None:
        seen.append((request.method, entity is row, event, tenant, tx.data, session is not None))

    def takes_all(**everything: Any) -> None:
        seen.append(sorted(everything))

    given = [Hook(HookType.pre_save, asks), Hook(HookType.pre_patch, takes_all)]
    async with client(hooks=given) as http:
        with hooks.context(tenant="t1"):
            assert (await http.post("/movies/", json={"name": "a"})).is_success
            assert (await http.patch("/movies/1/", json={"name": "b"})).is_success
    assert seen == [("POST", True, "insert", "t1", {}, True), ["request", "row_id", "tenant", "values"]]


async def test_one_that_raises_leaves_nothing_written(client: Client, look: Session) -> None:
    def fails(row: Movie) -> None:
        raise RuntimeError("the password is hunter2")

    async with client(hooks=[Hook(HookType.post_save, fails)]) as http:
        answer = await http.post("/movies/", json={"name": "a"})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert look.query(Movie).count() == 0


async def test_what_cannot_be_given_back_is_an_error_that_names_the_hook(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(hooks=[Hook(HookType.pre_save, lambda row: 7)]) as http:
        assert (await http.post("/movies/", json={"name": "a"})).status_code == 500
    assert "gives back the row, a Movie, or None" in caplog.text
    async with client(hooks=[Hook(HookType.pre_patch, lambda values: {"nmae": "b"})]) as http:
        await http.post("/movies/", json={"name": "a"})
        assert (await http.patch("/movies/1/", json={"name": "a"})).status_code == 500
    assert "Did you mean 'name'?" in caplog.text


def test_a_hook_that_asks_for_what_it_cannot_be_given_is_refused_when_it_is_made() -> None:
    with pytest.raises(UnknownArgumentError, match=r"asks for 'value'. Did you mean 'values'"):
        Hook(HookType.pre_patch, lambda row_id, value: None)
    with pytest.raises(UnknownArgumentError, match="asks for 'changes', which is not there"):
        Hook(HookType.pre_save, lambda changes: None)
    with pytest.raises(UsageError, match="takes hooks on requests"):
        CRUD(Movie, sessionmaker(), hooks=[lambda row: row])  # type: ignore[list-item]


def test_an_async_hook_that_asks_for_a_sync_session_is_refused() -> None:
    async def asks(row: Any, session: Any) -> None: ...

    with pytest.raises(AsyncHookError, match="Make it a plain function, or give CRUD\\(\\) an async_sessionmaker"):
        CRUD(Movie, sessionmaker(), hooks=[Hook(HookType.pre_save, asks)], read_only=False)


class Query:
    """How the class below is asked for a row."""

    def __init__(self, sessions: sessionmaker[Session], model: type) -> None:
        self._sessions, self._model = sessions, model

    def get(self, condition: Any) -> Query:
        self._condition = condition
        return self

    async def run(self) -> Any:
        def found() -> Any:
            with self._sessions() as session:
                return session.query(self._model).where(self._condition).one()

        return await asyncio.to_thread(found)


async def test_hooks_that_were_written_for_piccolo_work_as_they_are(look: Session) -> None:
    sessions = sessionmaker(look.get_bind())

    class Base(DeclarativeBase):
        __sessions__ = sessions

        @classmethod
        def objects(cls) -> Query:
            return Query(sessions, cls)

    class Film(Base):
        __tablename__ = "film"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rating: Mapped[float | None]

    Base.metadata.create_all(look.get_bind())
    deleted: list[int] = []
    before: list[str] = []

    async def rated_10(row: Film) -> Film:
        row.rating = 10
        return row

    async def rated_20(row: Film) -> Film:
        row.rating = 20
        return row

    async def without_blanks(row_id: int, values: dict[str, Any]) -> dict[str, Any]:
        current = await Film.objects().get(Film.id == row_id).run()
        before.append(current.name)
        if values.get("name"):
            values["name"] = values["name"].replace(" ", "")
        return values

    async def pre_delete(row_id: int) -> None:
        deleted.append(row_id)

    app = PiccoloCRUD(
        table=Film,
        read_only=False,
        hooks=[
            Hook(hook_type=HookType.pre_save, callable=rated_10),
            Hook(hook_type=HookType.pre_save, callable=rated_20),
            Hook(hook_type=HookType.pre_patch, callable=without_blanks),
            Hook(hook_type=HookType.pre_delete, callable=pre_delete),
        ],
    )
    async with served(app) as http:
        assert (await http.post("/", json={"name": "Solaris"})).json()["rating"] == 20
        assert (await http.patch("/1/", json={"name": "So la ris"})).json()["name"] == "Solaris"
        assert (await http.delete("/1/")).status_code == 204
    assert (before, deleted) == (["Solaris"], [1])


def test_a_class_that_does_not_say_what_opens_sessions_is_refused() -> None:
    with pytest.raises(TargetError, match=r"CRUD\(Movie, SessionLocal\), or `__sessions__ = SessionLocal`"):
        CRUD(Movie)
