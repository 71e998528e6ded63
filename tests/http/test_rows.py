"""Rows over HTTP: what is served, and how."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from hookline.http import CRUD, IdempotencyKeys
from tests.http.cinema import Base, Director, Movie, Screening
from tests.http.conftest import Client, served


async def test_a_row_is_created_read_changed_replaced_and_deleted(client: Client, look: Session) -> None:
    async with client() as http:
        created = await http.post("/movies/", json={"name": "Сталкер", "year": 1979})
        assert created.status_code == 201, created.text
        place = created.headers["location"]
        assert (await http.get(place)).json() == created.json()
        assert (await http.get(place)).headers["etag"] == created.headers["etag"]
        patched = await http.patch(place, json={"rating": 8.1})
        assert (patched.json()["name"], patched.json()["rating"]) == ("Сталкер", 8.1)
        replaced = await http.put(place, json={"name": "Stalker"})
        assert (replaced.json()["year"], replaced.json()["rating"]) == (2000, None)
        assert look.query(Movie.name).all() == [("Stalker",)]
        assert (await http.delete(place)).status_code == 204
        assert (await http.get(place)).status_code == 404
        assert (await http.delete(place)).status_code == 404


async def test_a_key_of_several_columns_is_one_part_of_the_address(client: Client, look: Session) -> None:
    async with client(Screening) as http:
        created = await http.post("/movies/", json={"hall": "a/b, ~c", "number": 3})
        assert created.status_code == 201, created.text
        assert created.headers["location"] == "/movies/a~1b~2%20~0c,3/"
        assert (await http.get(created.headers["location"])).json()["number"] == 3
        word = await http.post("/movies/", json={"hall": "", "number": 3})
        assert (await http.get(word.headers["location"])).json()["hall"] == ""


async def test_related_rows_are_told_as_far_as_it_is_allowed(client: Client, look: Session) -> None:
    director = Director(name="Varda", movies=[Movie(name="Cléo"), Movie(name="Vagabond")])
    look.add(director)
    look.commit()
    async with client(max_depth=2, max_page_size=1, page_size=1) as http:
        told = await http.get("/movies/?__fields=name,director.name,director.movies.name&__order=name")
        assert told.json()["rows"] == [
            {"name": "Cléo", "director": {"name": "Varda", "movies": {"rows": [{"name": "Cléo"}], "more": True}}}
        ]
        too_far = await http.get("/movies/?__fields=director.movies.director.name")
        assert too_far.status_code == 400
    async with client() as http:
        assert (await http.get("/movies/?__fields=director.name")).status_code == 400


async def test_answers_are_kept_where_the_rows_are(tables: Engine) -> None:
    sessions = sessionmaker(binds={Base: tables})
    async with served(CRUD(Movie, sessions, read_only=False, idempotency=IdempotencyKeys())) as http:
        for again in (None, "true"):
            answer = await http.post("/", json={"name": "a"}, headers={"Idempotency-Key": "one"})
            assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (201, again), answer.text
    assert IdempotencyKeys().prune(tables, timedelta()) == 1
    with tables.begin() as connection:
        assert IdempotencyKeys().prune(connection) == 0
