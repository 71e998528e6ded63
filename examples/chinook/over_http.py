"""The same store over HTTP: the same rules, and what only a network needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from threading import Thread
from typing import Any

import httpx
import uvicorn
from api import answers, application
from rich.table import Table
from sqlalchemy import URL
from store import Store

TRACKS, ENTRIES = "select count(*) from track", "select count(*) from audit_entry"
NEW = {"name": "Aria", "milliseconds": 1, "unit_price": "0.99", "album_id": 1, "genre_id": 1, "mediatype_id": 1}


def over_http(store: Store) -> None:
    """Clients write: one is refused, two meet at the same row, and one sends everything twice."""
    answers.create_tables(store.engine)
    with served(store.engine.url) as address, httpx.Client(base_url=address, trust_env=False) as client:
        client.headers["X-User"] = "a client"
        _refused(store, client)
        _two_at_one_row(store, client)
        _sent_twice(store, client)


def _refused(store: Store, client: httpx.Client) -> None:
    tracks = store.ask(TRACKS)
    answer = client.post("/track/", json=NEW | {"unit_price": "-0.99"})
    store.console.print(_shown("POST /track/", answer))
    problem = answer.headers["content-type"] == "application/problem+json" and answer.json()
    fields = [error["field"] for error in problem["errors"]] if problem else []
    store.check(answer.status_code == 422 and fields == ["unit_price"], "a negative price is refused by the same rule")
    store.check(store.ask(TRACKS) == tracks, "the database is as it was")


def _two_at_one_row(store: Store, client: httpx.Client) -> None:
    seen = client.get("/track/2/").headers["etag"]
    first = client.patch("/track/2/", json={"unit_price": "1.29"}, headers={"If-Match": seen})
    store.check(first.status_code == 200 and _price(store) == 129, "PATCH with If-Match: the track is 1.29")
    who = store.ask("select who from audit_entry order by id desc limit 1")
    store.check(who == "a client", "the audit trail says that a client did it")
    second = client.patch("/track/2/", json={"unit_price": "0.49"}, headers={"If-Match": seen})
    store.console.print(_shown("PATCH /track/2/", second))
    store.check(second.status_code == 412 and _price(store) == 129, "who had not seen that is told so: 412, still 1.29")


def _sent_twice(store: Store, client: httpx.Client) -> None:
    tracks, entries = store.ask(TRACKS), store.ask(ENTRIES)
    twice = [client.post("/track/", json=NEW, headers={"Idempotency-Key": "one aria"}) for _ in range(2)]
    same = twice[0].content == twice[1].content and "idempotency-replayed" in twice[1].headers
    store.check([one.status_code for one in twice] == [201, 201] and same, "sent twice: the same answer, 201")
    store.check(store.ask(TRACKS) == tracks + 1, "it happened once: one track more")
    store.check(store.ask(ENTRIES) == entries + 1, "one entry in the audit trail")


def _price(store: Store) -> int:
    return int(store.ask("select unit_price from track where id = 2"))


def _shown(request: str, answer: httpx.Response) -> Table:
    table = Table(request, f"{answer.status_code} {answer.reason_phrase}")
    told: dict[str, Any] = answer.json()
    for name, value in told.items():
        lines = [f"{one['field']}: {one['message']}" for one in value] if name == "errors" else [str(value)]
        table.add_row(name, "\n".join(lines))
    return table


@contextmanager
def served(url: URL) -> Iterator[str]:
    """Serve a database in a thread, at any free port; yield the address."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application(url), log_level="warning"))
        thread = Thread(target=server.run, args=([free],))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{free.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
