"""Rows on their way over HTTP: each request with a key of its own, so that it may be sent twice and happens once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
from models import Base
from sqlalchemy import inspect

TRIES = 20
"""How often a request is sent whose answer is to come later."""


class Refusal(NamedTuple):
    """A row that the store does not take, and why."""

    path: str
    key: int
    field: str
    message: str


class Batch(NamedTuple):
    """Rows for one request.

    Attributes:
        path: Where they go.
        name: What makes the request itself, and no other: a part of its Idempotency-Key.
        keys: Their keys in the data.
        rows: What is sent of them.
    """

    path: str
    name: str
    keys: list[int]
    rows: list[dict[str, Any]]

    def without(self, refused: set[int]) -> Batch:
        """The rest, which is another request."""
        kept = [(key, row) for key, row in zip(self.keys, self.rows, strict=True) if key not in refused]
        return Batch(
            self.path, f"{self.name} without {len(refused)}", [key for key, _ in kept], [row for _, row in kept]
        )


class Answered(NamedTuple):
    """What became of a batch.

    Attributes:
        keys: By key in the data, the key in the store.
        refused: What it did not take.
        again: Whether it was taken earlier, and only told again.
    """

    keys: dict[int, int]
    refused: list[Refusal]
    again: bool


class Sender:
    """A store, at the other end of HTTP.

    Args:
        address: Where it is.
        name: Of the import: a part of each Idempotency-Key.
        at_once: How many requests are under way at a time.
    """

    def __init__(self, address: str, name: str, at_once: int) -> None:
        self._http = httpx.Client(base_url=address, headers={"X-User": name}, timeout=60, trust_env=False)
        self._name, self._threads = name, ThreadPoolExecutor(at_once)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._http.close()

    def send(self, batches: Iterable[Batch]) -> Iterator[Answered]:
        """Send batches, several at a time. Rows that are refused are left out, and the rest is sent again."""
        yield from self._threads.map(self._sent, batches)

    def link(self, path: str, keys: list[int]) -> None:
        """Link rows to one."""
        self._answer("POST", path, json=keys).raise_for_status()

    def count(self, path: str) -> int:
        """How many rows there are."""
        return int(self._answer("GET", f"{path}/count/").raise_for_status().json()["count"])

    def rows(self, path: str) -> list[dict[str, Any]]:
        """The first rows."""
        found: list[dict[str, Any]] = self._answer("GET", f"{path}/").raise_for_status().json()["rows"]
        return found

    def _sent(self, batch: Batch) -> Answered:
        refused: list[Refusal] = []
        while batch.keys:
            headers = {"Idempotency-Key": f"{self._name}: {batch.name}"}
            answer = self._answer("POST", batch.path, json=batch.rows, headers=headers)
            if answer.status_code == 422 and (found := list(_refusals(batch, answer.json()))):
                refused += found
                batch = batch.without({one.key for one in found})
                continue
            ids = map(int, answer.raise_for_status().json()["ids"])
            again = "idempotency-replayed" in answer.headers
            return Answered(dict(zip(batch.keys, ids, strict=True)), refused, again)
        return Answered({}, refused, False)

    def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, in the end: a busy store says when to try again, and so may a network that fails."""
        failure = ""
        for _ in range(TRIES):
            try:
                answer = self._http.request(method, f"/{path}", **request)
            except httpx.TransportError as error:
                failure, pause = str(error), 1.0
            else:
                if answer.status_code != 503 and not _is_at_work(answer):
                    return answer
                failure, pause = answer.text, float(answer.headers.get("Retry-After", 1))
            time.sleep(pause)
        raise SystemExit(f"{method} {path}, {TRIES} times: {failure}")


def path_of(model: type[Base]) -> str:
    """Where the rows of a class are served."""
    return model.__tablename__


def prepared(model: type[Base], row: Mapping[str, Any], known: Mapping[str, Mapping[int, int]]) -> tuple[dict, str]:
    """A row as it is sent, with the store's keys in it; and a reference that is not known yet, if there is one."""
    mapper = inspect(model)
    sent: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("id", "total"):
            continue  # the store makes the one, and a rule works out the other
        column = mapper.columns.get(name)
        if column is not None:
            sent[name] = _plain(name, value)
            continue
        field = f"{name}_id"
        (reference,) = mapper.columns[field].foreign_keys
        there = known.get(reference.column.table.name, {})
        if value is not None and value not in there:
            return {}, field
        sent[field] = None if value is None else there[value]
    return sent, ""


def _plain(name: str, value: Any) -> Any:
    """As JSON has it: dates are written as midnights in the data, and prices go as strings."""
    if name.endswith("date") and value:
        return value.partition("T")[0]
    return value if value is None or isinstance(value, (int, str)) else str(value)


def _is_at_work(answer: httpx.Response) -> bool:
    """Whether the same request is still at work, as one of an import that was killed may be."""
    return answer.status_code == 409 and answer.json()["type"].endswith(":idempotency-busy")


def _refusals(batch: Batch, problem: Mapping[str, Any]) -> Iterator[Refusal]:
    """What is wrong, row by row; with the first, if the store does not say with which."""
    for one in problem.get("errors", ()):
        for key in [batch.keys[one["index"]]] if "index" in one else batch.keys:
            yield Refusal(batch.path.partition("/")[0], key, one["field"], one["message"])
