"""What hostile clients send: each is refused clearly, writes nothing, and learns nothing."""

from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser

from hookline import Hooks, ValidationError
from hookline.errors import TargetError
from hookline.http import CRUD, Hook, HookType, IdempotencyKeys
from tests.http.bank import Account, Base, Branch
from tests.http.conftest import Client, served

JSON = {"content-type": "application/json"}
ROWS = "/movies/"
ROW = "/movies/1/"
EVERY_WRITE = (("POST", ROWS), ("PUT", ROW), ("PATCH", ROW), ("POST", ROWS + "bulk/"), ("PATCH", ROWS + "?__all=true"))
BULK: Any = {"allow_bulk_create": True, "allow_bulk_patch": True, "allow_bulk_delete": True}
SECRETS = ("pin", "1234", "alarm", "4711", "rumour", "neighbours")


@pytest.fixture
def bank(tables: Engine) -> Iterator[Session]:
    """A branch with an account, and a session of nobody's."""
    Base.metadata.create_all(tables)
    with Session(tables) as session:
        session.add(Branch(town="Rome", alarm_code="4711"))
        session.flush()
        session.add(Account(owner="Ann", number="7", balance=5, branch_id=1, pin="1234", _rumour="broke"))
        session.commit()
        before = contents(session)
        session.rollback()
        session.info["before"] = before
        yield session


def contents(session: Session) -> list[Any]:
    """Every row of the bank."""
    session.rollback()
    return [
        list(session.execute(select(*model.__table__.columns).order_by(model.id))) for model in (Branch, Account)
    ]  # fmt: skip


def untouched(session: Session) -> bool:
    """Whether nothing was written since the bank opened."""
    now = contents(session)
    session.rollback()
    return bool(now == session.info["before"])


def problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """What a refusal says; it has one of these statuses, and nothing that is nobody's business."""
    sent = f"{answer.request.method} {str(answer.request.url)[:200]}"
    assert answer.status_code in statuses, f"{sent}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json", sent
    told: dict[str, Any] = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"].startswith("urn:hookline:problem:")
    assert told["title"]
    assert len(answer.content) < 100_000
    return told


def wrong_fields(answer: httpx.Response) -> dict[str, str]:
    """By field, what is wrong with it."""
    return {one["field"]: one["code"] for one in problem(answer, 422)["errors"]}


async def sent(http: httpx.AsyncClient, method: str, path: str, values: Any) -> httpx.Response:
    """Values, wherever they can be written; a list of them where many rows are made."""
    whole = {"owner": "Eve", "number": "13"} if method in ("POST", "PUT") else {}
    body = values if not isinstance(values, dict) else {**whole, **values}
    return await http.request(method, path, json=[body] if path.endswith("bulk/") else body)


# -- SQL

INJECTED = (
    "1 OR 1=1",
    "1; DROP TABLE account",
    "1'; DROP TABLE account; --",
    "' OR ''='",
    '" OR ""="',
    "1) OR (1=1",
    "%",
    "\\",
    "x' UNION SELECT pin FROM account --",
)


async def test_sql_in_the_path_is_the_key_of_no_row(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for text_ in INJECTED:
            place = httpx.URL("http://cinema/movies/x/").copy_with(path=f"/movies/{text_}/")
            for method in ("GET", "DELETE"):
                problem(await http.request(method, place), 404)
            problem(await http.patch(place, json={"owner": "Eve"}), 404)
    assert untouched(bank)


async def test_sql_in_a_filter_is_a_value_like_any_other(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for text_ in INJECTED:
            for name in ("owner", "owner__ne", "owner__contains", "owner__icontains", "owner__starts", "owner__in"):
                found = await http.get(ROWS, params={name: text_})
                assert [row["id"] for row in found.json()["rows"]] == ([1] if name == "owner__ne" else []), text_
            for name in ("balance", "balance__gt", "rate__null", "opened_at", "credit"):
                problem(await http.get(ROWS, params={name: text_}), 400)
                problem(await http.delete(ROWS, params={name: text_}), 400)
            searched = await http.get(ROWS + "ids/", params={"__search": text_})
            assert searched.json()["rows"] == []
    assert untouched(bank)


async def test_sql_in_names_of_parameters_fields_orders_and_cursors_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK, max_depth=1) as http:
        for text_ in INJECTED:
            for params in ({text_: "1"}, {"__order": text_}, {"__fields": text_}, {"__after": text_}):
                problem(await http.get(ROWS, params=params), 400)
            place = urlsafe_b64encode(json.dumps([["id"], [text_]]).encode()).decode()
            problem(await http.get(ROWS, params={"__after": place}), 400)
            problem(await http.delete(ROWS, params={text_: "1"}), 400)
    assert untouched(bank)


async def test_sql_in_a_body_is_written_as_it_is(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for number, text_ in enumerate(INJECTED):
            made = await http.post(ROWS, json={"owner": text_, "number": f"n{number}", "settings": {text_: text_}})
            assert (made.json()["owner"], made.json()["settings"]) == (text_, {text_: text_})
            wrong = await http.post(ROWS, json={"owner": "Eve", "number": "99", text_: 1})
            assert wrong_fields(wrong) == {text_: "unknown"}
    assert bank.scalar(text("SELECT count(*) FROM account")) == 1 + len(INJECTED)


async def test_a_cursor_that_was_tampered_with_is_refused(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        tampered: list[Any] = [None, 1, "x", [], {}, [[], []], [["id"], []], [["id"], [None]], [["id"], [{}]],
                               ["id", 1],
                               [["id"], ["1"]], [["pin"], ["1"]], [["id"], [1, 2]], [["id"], [10**30]], [["-id"], [1]],
                               [["id"], [[[]]]], [["id"], [True]], [["owner", "id"], ["a\0", 1]]]  # fmt: skip
        for place in tampered:
            text_ = urlsafe_b64encode(json.dumps(place).encode()).decode()
            for order in ("id", "owner"):
                problem(await http.get(ROWS, params={"__after": text_, "__order": order}), 400)
        deep = urlsafe_b64encode(b"[" * 5000).decode()
        for text_ in ("", "=", "é", "....", "W10", deep, urlsafe_b64encode(b"\xff\xfe").decode(), "[[1"):
            problem(await http.get(ROWS, params={"__after": text_}), 400)


# -- fields that are not the client's


NOT_THEIRS: tuple[tuple[str, Any, str], ...] = (
    ("id", 99, "key"),
    ("version", 99, "read_only"),
    ("changed_at", "2020-01-01T00:00:00", "read_only"),
    ("doubled", 99, "read_only"),
    ("checked_by", "Eve", "read_only"),
    ("pin", "0001", "unknown"),
    ("_rumour", "rich", "unknown"),
    ("branch", {"id": 1}, "relation"),
    ("_neighbours", [], "unknown"),
    ("metadata", {}, "unknown"),
    ("__class__", "x", "unknown"),
    ("_sa_instance_state", {}, "unknown"),
    ("", 1, "unknown"),
)


async def test_what_is_not_the_clients_to_write_is_refused_everywhere(client: Client, bank: Session) -> None:
    async with client(Account, **BULK, read_only_fields=["checked_by"]) as http:
        for field, value, code in NOT_THEIRS:
            for method, path in EVERY_WRITE:
                assert wrong_fields(await sent(http, method, path, {field: value})) == {field: code}
    assert untouched(bank)


async def test_a_secret_is_never_told_filtered_sorted_by_searched_or_selected(client: Client, bank: Session) -> None:
    async with client(Account, **BULK, max_depth=3, references={"branch_id": "town"}) as http:
        for name in ("pin", "pin__null", "pin__in", "pin__contains", "_rumour", "branch.alarm_code", "alarm_code"):
            for path in (ROWS, ROWS + "count/", ROWS + "ids/"):
                problem(await http.get(path, params={name: "1"}), 400)
            problem(await http.patch(ROWS, params={name: "1"}, json={"owner": "Eve"}), 400)
            problem(await http.delete(ROWS, params={name: "1"}), 400)
        for name in ("pin", "-pin", "_rumour", "owner,pin", "branch.alarm_code"):
            problem(await http.get(ROWS, params={"__order": name}), 400)
        for name in ("pin", "_rumour", "branch.alarm_code", "branch.accounts.pin", "_neighbours", "_neighbours.id"):
            problem(await http.get(ROWS, params={"__fields": name}), 400)
            problem(await http.get(ROW, params={"__fields": name}), 400)
        for path in (ROWS + "ids/", ROWS + "references/branch_id/"):
            for value in ("1234", "4711", "broke"):
                assert (await http.get(path, params={"__search": value})).json()["rows"] == []
        for path in (ROWS + "references/pin/", ROWS + "references/alarm_code/"):
            problem(await http.get(path), 404)
        for path in (ROWS, ROW, ROWS + "ids/", ROWS + "new/", ROWS + "schema/", ROWS + "?__fields=branch.accounts",
                     "/openapi.json"):  # fmt: skip
            told = (await http.get(path)).text
            assert [one for one in SECRETS if one in told] == [], path
    assert untouched(bank)


async def test_no_error_helps_to_guess_the_name_of_a_secret(client: Client, bank: Session) -> None:
    async with client(Account, **BULK, max_depth=2) as http:
        answers = [
            await http.get(ROWS, params={"pni": "1"}),
            await http.get(ROWS, params={"__order": "pn"}),
            await http.get(ROWS, params={"__fields": "pn"}),
            await http.get(ROWS, params={"__fields": "branch.alarm_cod"}),
            await http.get(ROWS, params={"__fields": "branch.accounts.pn"}),
            await http.patch(ROW, json={"pn": "1"}),
            await http.post(ROWS, json={"pn": "1"}),
        ]
        for answer in answers:
            problem(answer, 400, 422)
            assert [one for one in ("pin", "1234", "alarm_code", "4711", "rumour") if one in answer.text] == []


# -- bodies


async def test_bodies_that_are_too_large_are_refused_whether_they_say_so_or_not(client: Client, bank: Session) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    async with client(Account, **BULK, max_body=1000) as http:
        for method, path in EVERY_WRITE:
            problem(await http.request(method, path, content=b" " * 1001, headers=JSON), 413)
            problem(await http.request(method, path, content=pieces(), headers=JSON), 413)
            lying = {**JSON, "content-length": "2"}
            problem(await http.request(method, path, content=pieces(), headers=lying), 413)
    assert untouched(bank)


async def test_a_body_without_end_is_refused_and_a_large_one_read_first(client: Client, bank: Session) -> None:
    sent: list[int] = []

    async def pieces(number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            sent.append(10_000)
            yield b" " * 10_000

    async with client(Account, **BULK, max_body=1000) as http:
        problem(await http.post(ROWS, content=pieces(50), headers={**JSON, "content-length": "500000"}), 413)
        assert len(sent) == 50  # or its sender might not read the answer
        problem(await http.post(ROWS, content=pieces(10_000), headers=JSON), 413)
        assert len(sent) < 200
        waiting = {**JSON, "content-length": "500000", "expect": "100-continue"}
        sent.clear()
        problem(await http.post(ROWS, content=pieces(50), headers=waiting), 413)
        assert sent == []
    assert untouched(bank)


async def test_more_rows_than_one_request_may_write_are_refused(client: Client, bank: Session) -> None:
    rows = [{"owner": "Eve", "number": str(number)} for number in range(100, 104)]
    async with client(Account, **BULK, max_bulk=3) as http:
        assert problem(await http.post(ROWS + "bulk/", json=rows), 413)["type"].endswith("too-many-rows")
        assert untouched(bank)
        for row in rows:
            await http.post(ROWS, json=row)
        problem(await http.patch(ROWS + "?__all=true", json={"owner": "Bob"}), 413)
        problem(await http.delete(ROWS + "?__all=true"), 413)
        assert (await http.get(ROWS + "count/?owner=Eve")).json() == {"count": 4}


NOT_JSON = (
    b"",
    b" ",
    b"\xff",
    b"\xef\xbb\xbf{}",
    '{"owner": "é"}'.encode("latin-1"),
    '{"owner": "x"}'.encode("utf-16"),
    b'{"owner": "\xed\xa0\x80"}',
    rb'{"owner": "\ud800"}',
    rb'{"settings": {"\udfff": 1}}',
    b'{"owner": "a',
    b"{'owner': 'a'}",
    b'{"owner": "a"} x',
    b'{"owner": "a",}',
    b"{owner: 1}",
    b"[" * 100_000,
    b'{"owner":' * 100_000,
    b'{"settings": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"settings": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    b'{"balance": ' + b"9" * 100_000 + b"}",
    b'{"settings": ' + b"9" * 100_000 + b"}",
    b"\x00",
    b'{"owner": "a\x00"}',
)


async def test_what_is_not_json_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for body in NOT_JSON:
            for method, path in EVERY_WRITE:
                told = problem(await http.request(method, path, content=body, headers=JSON), 400)
                assert told["type"].endswith(":json")
    assert untouched(bank)


async def test_json_that_is_no_object_or_no_list_where_one_is_needed_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for value in (None, 1, "x", True, [], [[]], [{"owner": "Eve"}]):
            for method, path in EVERY_WRITE:
                if not path.endswith("bulk/"):
                    assert wrong_fields(await http.request(method, path, content=json.dumps(value), headers=JSON)) == {
                        "": "dict_type"
                    }
        for value in (None, 1, "x", {}, {"owner": "Eve", "number": "13"}):
            assert wrong_fields(await http.post(ROWS + "bulk/", content=json.dumps(value), headers=JSON)) == {
                "": "list_type"
            }
        for value in ([1], [None], [[]]):
            answer = problem(await http.post(ROWS + "bulk/", json=value), 422)
            assert [(one["field"], one["index"]) for one in answer["errors"]] == [("", 0)]
    assert untouched(bank)


NO_VALUES = (
    ("owner", "null"),
    ("owner", "1"),
    ("owner", "[]"),
    ("owner", '{"$ne": ""}'),
    ("owner", f'"{"x" * 41}"'),
    ("owner", r'"a\u0000b"'),
    ("balance", "null"),
    ("balance", "NaN"),
    ("balance", "Infinity"),
    ("balance", "1e999"),
    ("balance", "1.5"),
    ("balance", "true"),
    ("balance", '"1"'),
    ("balance", str(2**63)),
    ("balance", str(-(2**63) - 1)),
    ("balance", "9" * 4000),
    ("rate", "NaN"),
    ("rate", "-Infinity"),
    ("rate", "1e999"),
    ("rate", '"1.5"'),
    ("rate", "9" * 400),
    ("credit", "NaN"),
    ("credit", '"sNaN"'),
    ("credit", '"Infinity"'),
    ("credit", "1e999"),
    ("credit", '"1e999"'),
    ("credit", '"1e-999"'),
    ("credit", '"1e9999999"'),
    ("credit", "123456789.01"),
    ("weight", '"1e400"'),
    ("weight", '"-1e9999999"'),
    ("weight", '"1e-9999999"'),
    ("weight", "1" * 400),
    ("credit", "0.001"),
    ("opened_at", "0"),
    ("opened_at", '"0"'),
    ("opened_at", '"1e10"'),
    ("opened_at", '"2026-13-01T00:00:00Z"'),
    ("opened_at", '"99999-01-01T00:00:00Z"'),
    ("settings", '{"a": NaN}'),
    ("settings", '{"a": [1e999]}'),
    ("settings", '{"a": "\\u0000"}'),
    ("settings", '{"\\u0000": 1}'),
    ("settings", "[" * 70 + "]" * 70),
    ("branch_id", str(2**63)),
)


async def test_a_value_that_its_column_cannot_hold_is_told_by_field(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for field, value in NO_VALUES:
            whole = {"owner": '"Eve"', "number": '"13"', field: value}
            row = "{" + ",".join(f'"{name}": {one}' for name, one in whole.items()) + "}"
            part = f'{{"{field}": {value}}}'
            for method, path in EVERY_WRITE:
                body = f"[{row}]" if path.endswith("bulk/") else part if method == "PATCH" else row
                answer = await http.request(method, path, content=body, headers=JSON)
                assert set(wrong_fields(answer)) == {field}, answer.text
    assert untouched(bank)


async def test_bodies_of_other_types_are_refused(client: Client, bank: Session) -> None:
    kinds: list[Any] = [
        None, "", "json", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/xml", b"\xff",
        "multipart/form-data; boundary=x", "application/json; charset=latin-1", "application/json; charset=utf-16",
        "application/json, text/plain", "application/json; charset=nonsense", "application/", "*/*", "a" * 10_000,
    ]  # fmt: skip
    async with client(Account, **BULK) as http:
        for method, path in EVERY_WRITE:
            for kind in kinds:
                headers = {} if kind is None else {"content-type": kind}
                answer = await http.request(method, path, content=b'{"owner": "Eve"}', headers=headers)
                problem(answer, 415)
                assert answer.headers["accept"] == "application/json"
    assert untouched(bank)


# -- addresses and headers


async def test_queries_that_cannot_be_understood_are_refused(client: Client, bank: Session) -> None:
    queries = [
        "owner=%ff", "owner=%ed%a0%80", "%ff=1", "owner=%00", "owner__icontains=%00", "owner__in=a&owner__in=%00",
        "__page=1&__page=2", "__order=owner&__order=id", "__fields=id&__fields=owner", "__after=a&__after=b",
        "__page_size=1&__page_size=1", "__page=0", "__page=-1", "__page=1.5", "__page=%D9%A1", "__page_size=1001",
        "__page=" + "9" * 5000, "__page=1&__after=x", "balance=", "balance=NaN", "balance=1e999", "rate=Infinity",
        "balance=" + "9" * 5000, "balance__in=1&balance__in=x", "credit=NaN", "weight=1e400", "weight__gt=-1e9999999",
        "rate__null=maybe", "settings=1",
        "opened_at=1", "__fields=", "__fields=.", "__fields=id,,owner", "__order=,", "__order=--id", "=", "a=b",
        "&".join(["owner=a"] * 201),
        "&".join(f"x{number}=1" for number in range(200)),
        "__fields=" + "." * 5000, "__fields=" + ",".join(["x"] * 2000),
    ]  # fmt: skip
    async with client(Account, **BULK) as http:
        for query in queries:
            problem(await http.get(f"{ROWS}?{query}"), 400)
            problem(await http.delete(f"{ROWS}?{query}"), 400)
        for query in ("owner=a", "__page=1", "x=1", "%ff"):
            problem(await http.post(f"{ROWS}?{query}", json={"owner": "Eve", "number": "13"}), 400)
            problem(await http.patch(f"{ROW}?{query}", json={"owner": "Eve"}), 400)
            problem(await http.delete(f"{ROW}?{query}"), 400)
            problem(await http.get(f"{ROWS}schema/?{query}"), 400)
    assert untouched(bank)


async def test_bytes_that_no_query_can_have_are_refused(sessions: Any, bank: Session) -> None:
    application = FastAPI()
    application.include_router(CRUD(Account, sessions), prefix="/movies")

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await application({**scope, "query_string": b"owner=\xff\xfe"}, receive, send)

    async with served(raw) as http:
        problem(await http.get(ROWS), 400)


async def test_keys_that_no_row_can_have_are_not_found(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for key in ("0", "-1", "%00", "%ff", "1,1", ",", "1.5", "true", "null", "NaN", "9" * 30, "9" * 9000, "~",
                    "~ids", "[1]", "%EF%BF%BD", "+1", "0x1", "%D9%A1"):  # fmt: skip
            for method in ("GET", "DELETE", "PATCH", "PUT"):
                body = {"owner": "Eve", "number": "13"} if method in ("PATCH", "PUT") else None
                problem(await http.request(method, f"{ROWS}{key}/", json=body), 404)
    assert untouched(bank)


async def test_tags_that_are_none_never_let_a_write_through(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        tag = (await http.get(ROW)).headers["etag"]
        tags = ["", "garbage", '"', '"a', tag.strip('"'), f"W/{tag}", f"w/{tag}", f"x{tag}", f"{tag}x", ",,,",
                "*,*", "**", b"\xff", '"a" "b"',
                '"' + "x" * 10_000 + '"', '"a' * 5_000, tag.upper() if tag != tag.upper() else tag.lower()]  # fmt: skip
        for one in tags:
            headers: Any = {"if-match": one}
            problem(await http.patch(ROW, json={"owner": "Eve"}, headers=headers), 412)
            problem(await http.put(ROW, json={"owner": "Eve", "number": "13"}, headers=headers), 412)
            problem(await http.delete(ROW, headers=headers), 412)
            weak = isinstance(one, str) and one.startswith("W/")
            assert (await http.get(ROW, headers={"if-none-match": one})).status_code == (304 if weak else 200)
        assert untouched(bank)
        listed = await http.patch(ROW, json={"owner": "Bob"}, headers={"if-match": f'"a", W/"b" ,{tag}'})
        assert listed.status_code == 200


# -- hooks that fail


class Leak(Exception):
    """The password is swordfish."""


def raising(error: BaseException) -> Any:
    def hook(**_: Any) -> None:
        raise error

    return lambda: hook()


@pytest.mark.parametrize("when", list(HookType), ids=lambda when: when.value)
async def test_a_hook_that_fails_is_an_error_of_the_server_that_only_its_log_explains(
    client: Client, bank: Session, when: HookType, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(Account, hooks=[Hook(when, raising(Leak("swordfish")))]) as http:
        kind = when.value.partition("_")[2]
        if kind == "save":
            answer = await http.post(ROWS, json={"owner": "Eve", "number": "13"})
        elif kind == "patch":
            answer = await http.patch(ROW, json={"owner": "Eve"})
        else:
            answer = await http.delete(ROW)
    told = problem(answer, 500)
    assert set(told) == {"type", "title", "status", "id"}
    assert [one for one in ("swordfish", "Leak", "Traceback", "hook") if one in json.dumps(told).replace(
        "urn:hookline", "")] == []  # fmt: skip
    (record,) = [one for one in caplog.records if one.name == "hookline.http"]
    assert record.levelno == logging.ERROR
    assert told["id"] in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Leak)
    assert untouched(bank)


@pytest.mark.parametrize("phase", ["before", "after", "before_commit"])
async def test_a_hook_on_data_that_fails_is_one_too(
    client: Client, hooks: Hooks, bank: Session, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    @getattr(hooks, phase)("update", Account)
    def fail(change: Any) -> None:
        raise Leak("swordfish")

    async with client(Account) as http:
        told = problem(await http.patch(ROW, json={"owner": "Eve"}), 500)
    assert told["id"] in caplog.text
    assert "swordfish" not in json.dumps(told)
    assert untouched(bank)


async def test_an_http_exception_of_a_hook_has_its_own_status_and_headers(client: Client, bank: Session) -> None:
    refused = HTTPException(402, "Pay first.", headers={"Retry-After": "60"})
    async with client(Account, hooks=[Hook(HookType.post_patch, raising(refused))]) as http:
        answer = await http.patch(ROW, json={"owner": "Eve"})
    assert problem(answer, 402)["title"] == "Pay first."
    assert answer.headers["retry-after"] == "60"
    assert untouched(bank)


async def test_an_applications_own_handler_of_an_error_is_obeyed(sessions: Any, bank: Session) -> None:
    application = FastAPI()
    hooks = [
        Hook(HookType.pre_patch, raising(Leak())),
        Hook(HookType.pre_delete, raising(ValidationError(Account, {"owner": "no"}))),
    ]
    application.include_router(CRUD(Account, sessions, read_only=False, hooks=hooks), prefix="/movies")

    @application.exception_handler(Leak)
    async def leaked(request: Request, error: Leak) -> Response:
        return Response("leaked", 418)

    @application.exception_handler(ValidationError)
    async def invalid(request: Request, error: ValidationError) -> Response:
        return Response("invalid", 419)

    async with served(application) as http:
        patched = await http.patch(ROW, json={"owner": "Eve"})
        assert (patched.status_code, patched.text) == (418, "leaked")
        deleted = await http.delete(ROW)
        assert (deleted.status_code, deleted.text) == (419, "invalid")
    assert untouched(bank)


# -- errors of the database


@pytest.fixture(params=["with a rule book", "without"])
def either(request: pytest.FixtureRequest, sessions: Any, hooks: Hooks, bank: Session) -> Any:
    """What opens sessions, governed by a rule book that is about accounts, or by none."""
    if request.param == "with a rule book":

        @hooks.before("write", Account)
        def look_on(change: Any) -> None: ...

        return sessions
    return type(sessions)(sessions.kw["bind"])


def serving(sessions: Any, model: type = Account, **options: Any) -> Any:
    application = FastAPI()
    application.include_router(CRUD(model, sessions, read_only=False, **options), prefix="/movies")
    return served(application)


async def test_what_the_database_refuses_is_told_by_field(either: Any, bank: Session) -> None:
    async with serving(either, **BULK) as http:
        for values, told in (
            ({"number": "7"}, {"number": "unique"}),
            ({"balance": -1}, {"balance": "check"}),
            ({"branch_id": 99}, {"branch_id": "foreign_key"}),
        ):
            for method, path in EVERY_WRITE:
                if values == {"number": "7"} and method in ("PUT", "PATCH"):
                    continue  # it is its own
                answer = await sent(http, method, path, values)
                assert wrong_fields(answer) == told, answer.text
    assert untouched(bank)


async def test_a_row_that_others_refer_to_is_not_deleted(either: Any, bank: Session) -> None:
    async with serving(either, Branch) as http:
        assert set(wrong_fields(await http.delete(ROW)).values()) == {"foreign_key"}
    assert untouched(bank)


async def test_what_a_hook_leaves_out_is_told_too(either: Any, bank: Session) -> None:
    def forget(row: Account) -> None:
        row.number = None  # type: ignore[assignment]

    async with serving(either, hooks=[Hook(HookType.pre_save, forget)]) as http:
        assert wrong_fields(await http.post(ROWS, json={"owner": "Eve", "number": "13"})) == {"number": "not_null"}
    assert untouched(bank)


async def test_tags_in_several_lines_are_one_list(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        tag = (await http.get(ROW)).headers["etag"]
        lines = [("if-match", '"a"'), ("if-match", tag)]
        assert (await http.patch(ROW, json={"owner": "Bob"}, headers=lines)).status_code == 200
        problem(await http.patch(ROW, json={"owner": "Eve"}, headers=lines), 412)


async def test_what_a_hook_makes_too_large_for_its_column_is_told_too(either: Any, bank: Session) -> None:
    def grow(row: Account) -> None:
        row.balance = 10**30

    async with serving(either, hooks=[Hook(HookType.pre_save, grow)]) as http:
        assert wrong_fields(await http.post(ROWS, json={"owner": "Eve", "number": "13"})) == {"": "out_of_range"}
    assert untouched(bank)


async def test_a_refusal_is_not_much_larger_than_what_was_sent(client: Client, bank: Session) -> None:
    many = b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}"
    async with client(Account, **BULK) as http:
        for method, path in EVERY_WRITE[:3]:
            told = problem(await http.request(method, path, content=many, headers=JSON), 422)
            assert (len(told["errors"]), told["detail"][:9]) == (50, "50 of 200")
        for rows in (b"[" + b"1," * 50_000 + b"1]", b"[" + b"{}," * 50_000 + b"{}]"):
            problem(await http.post(ROWS + "bulk/", content=rows, headers=JSON), 413)
        assert len(problem(await http.post(ROWS + "bulk/", json=[{}] * 1000), 422)["errors"]) == 50
    assert untouched(bank)


async def test_a_length_that_is_no_number_is_not_believed(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for length, status in ((b"\xb2", 201), (b"-1", 422), (b"1e3", 422), (b"9" * 5000, 413)):
            headers = [(b"content-type", b"application/json"), (b"content-length", length)]
            answer = await http.post(ROWS, content=b'{"owner": "Ann", "number": "9"}', headers=headers)
            assert answer.status_code == status, answer.text


async def test_a_query_that_is_too_long_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK, references={"branch_id": "town"}) as http:
        for query in ("owner__icontains=" + "_" * 40_000, "owner=" + "%61" * 6_000, "x" * 40_000):
            for path in (ROWS, ROWS + "ids/", ROWS + "count/", ROWS + "references/branch_id/"):
                assert problem(await http.get(f"{path}?{query}"), 414)["type"].endswith("too-long")
            problem(await http.delete(f"{ROWS}?{query}"), 414)
        longest = "owner__icontains=" + "_" * 16_000
        assert (await http.get(f"{ROWS}?{longest}")).json()["rows"] == []
    assert untouched(bank)


async def test_a_search_for_what_no_text_has_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, references={"branch_id": "town"}) as http:
        for path in (ROWS + "ids/", ROWS + "references/branch_id/"):
            problem(await http.get(path + "?__search=%00"), 400)
            problem(await http.get(path + "?__search=a%00b"), 400)


async def test_an_order_that_names_a_field_twice_is_refused(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for order in ("owner,owner", "-owner,id,owner", ",".join(["id"] * 2_500)):
            problem(await http.get(ROWS, params={"__order": order}), 400)


async def test_a_moment_that_is_out_of_the_calendar_in_utc_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for moment in ("0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"):
            for field in ("opened_at", "closed_at"):
                for method, path in EVERY_WRITE:
                    assert wrong_fields(await sent(http, method, path, {field: moment})) == {field: "value_error"}
                problem(await http.get(ROWS, params={field: moment}), 400)
                problem(await http.delete(ROWS, params={f"{field}__gt": moment}), 400)
    assert untouched(bank)


async def test_a_moment_of_another_zone_is_the_same_moment(client: Client, bank: Session) -> None:
    async with client(Account) as http:
        for field in ("opened_at", "closed_at"):
            await http.patch(ROW, json={field: "2026-01-31T12:00:00+05:00"})
            for moment in ("2026-01-31T07:00:00Z", "2026-01-31T02:00:00-05:00"):
                assert (await http.get(ROWS, params={field: moment})).json()["rows"][0]["id"] == 1
                assert (await http.get(ROWS, params={f"{field}__gt": moment})).json()["rows"] == []


async def test_a_secret_is_one_in_related_rows_too(client: Client, bank: Session) -> None:
    for secret in ([Account.owner], ["owner"], [Account.branch, Branch.town], ["branch", "credit"]):
        async with client(Account, max_depth=3, secret=secret) as http:
            told = (await http.get("/openapi.json")).text + (await http.get(ROWS + "schema/")).text
            for one in secret:
                name = one if isinstance(one, str) else one.key
                assert [one for one in (f'"{name}"', f'"{name}.', f'.{name}"') if one in told] == []
                for path in (name, f"{name}.id", f"branch.{name}", f"branch.accounts.{name}"):
                    problem(await http.get(ROWS, params={"__fields": path}), 400)
            if isinstance(secret[0], str) and secret[0] == "branch":
                wrong = await http.patch(ROW, json={"branch": {"id": 1}})
                assert wrong_fields(wrong) == {"branch": "unknown"}


def test_a_secret_that_is_not_there_is_a_mistake(sessions: Any) -> None:
    with pytest.raises(TargetError, match="'ownr'"):
        CRUD(Account, sessions, secret=["ownr"])


async def test_what_is_wrong_with_a_secret_is_told_without_its_name(either: Any, bank: Session) -> None:
    bank.add(Account(owner="Bob", number="8", pin="8888"))
    bank.commit()
    for pin, code in (("1234", "unique"), ("0000", "check")):

        def guess(row: Any, pin: str = pin) -> None:
            row.pin = pin

        def choose(entity: Any, values: Any, pin: str = pin) -> None:
            entity.pin = pin

        async with serving(either, hooks=[Hook(HookType.pre_save, guess), Hook(HookType.pre_patch, choose)]) as http:
            for answer in (
                await http.post(ROWS, json={"owner": "Eve", "number": "13"}),
                await http.patch(ROWS + "2/", json={"owner": "Eve"}),
            ):
                assert wrong_fields(answer) == {"": code}
                assert "pin" not in answer.text, answer.text


async def test_what_a_rule_says_of_a_secret_is_told_without_its_name(
    client: Client, hooks: Hooks, bank: Session
) -> None:
    @hooks.before("update", Account)
    def doubt(change: Any) -> None:
        raise ValidationError(change.entity, {"_rumour": "is doubtful", "owner": "is doubtful"})

    async with client(Account) as http:
        told = wrong_fields(await http.patch(ROW, json={"owner": "Eve"}))
    assert told == {"": "invalid", "owner": "invalid"}
    assert untouched(bank)


async def test_an_object_that_has_a_name_twice_is_refused(client: Client, bank: Session) -> None:
    async with client(Account, **BULK) as http:
        for body in (
            '{"owner": "Eve", "number": "13", "owner": "Ann"}',
            '{"owner": "Eve", "number": "13", "settings": {"a": 1, "\\u0061": 2}}',
        ):
            for method, path in EVERY_WRITE:
                row = body.replace('"number": "13", ', "") if method == "PATCH" else body
                answer = await http.request(
                    method, path, content=f"[{row}]" if path.endswith("bulk/") else row, headers=JSON
                )
                assert "twice" in problem(answer, 400)["detail"]
    assert untouched(bank)


async def test_an_address_in_any_script_is_told_in_location(sessions: Any, bank: Session) -> None:
    application = FastAPI()
    application.include_router(CRUD(Account, sessions, read_only=False), prefix="/{town}/accounts")
    async with served(application) as http:
        for number, town in enumerate(("東京", "a b", "%25", "x%0d%0aSet-Cookie: y=1", "Zürich")):
            made = await http.post(f"/{town}/accounts/", json={"owner": "Ann", "number": f"n{number}"})
            assert made.status_code == 201, made.text
            assert "set-cookie" not in made.headers
            assert (await http.get(made.headers["location"])).json() == made.json()


async def test_idempotency_keys_that_are_none_are_refused(client: Client, bank: Session) -> None:
    async with client(Account, idempotency=IdempotencyKeys()) as http:
        for key in ("", " ", "x" * 256, b"\xff", "é".encode(), b"a\tb"):
            answer = await http.post(ROWS, json={"owner": "Eve", "number": "13"}, headers={"idempotency-key": key})
            assert problem(answer, 400)["type"].endswith("idempotency-key")
    async with client(Account) as http:
        answer = await http.post(ROWS, json={"owner": "Eve", "number": "13"}, headers={"idempotency-key": "a"})
        assert problem(answer, 400)["type"].endswith("idempotency-off")
    assert untouched(bank)


class Nameless:
    """A user whom nobody knows by anything."""


class Named(BaseUser):
    """One of Starlette's, who leaves out what may be left out."""

    is_authenticated = True
    display_name = "Ann"


async def test_a_key_belongs_to_its_user_whatever_users_are(client: Client, bank: Session) -> None:
    numbers = iter(range(100))
    for user in (UnauthenticatedUser, lambda: SimpleUser("Ann"), Named, lambda: {"id": 0}, lambda: 7):
        key = {"idempotency-key": f"key-{next(numbers)}"}
        body = {"owner": "Ann", "number": f"n{next(numbers)}"}
        async with client(Account, idempotency=IdempotencyKeys(), user=user) as http:
            first, second = [await http.post(ROWS, json=body, headers=key) for _ in range(2)]
            assert (first.status_code, second.json()) == (201, first.json()), second.text
            assert second.headers["idempotency-replayed"] == "true"
    async with client(Account, idempotency=IdempotencyKeys(), user=Nameless) as http:
        problem(await http.post(ROWS, json={"owner": "Eve", "number": "13"}, headers=key), 500)


async def test_handlers_of_http_exceptions_and_of_all_errors_are_obeyed_too(sessions: Any, bank: Session) -> None:
    application = FastAPI()
    hooks = [Hook(HookType.pre_patch, raising(HTTPException(402))), Hook(HookType.pre_delete, raising(Leak()))]
    application.include_router(CRUD(Account, sessions, read_only=False, hooks=hooks), prefix="/movies")
    async with served(application) as http:
        problem(await http.patch(ROW, json={"owner": "Eve"}), 402)

    @application.exception_handler(402)
    async def unpaid(request: Request, error: Exception) -> Response:
        return Response("unpaid", 402)

    @application.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return Response("failed", 500)

    application.middleware_stack = None
    async with served(application) as http:
        assert (await http.patch(ROW, json={"owner": "Eve"})).text == "unpaid"
        assert (await http.delete(ROW)).text == "failed"
        problem(await http.get(ROWS + "99/"), 404)
        assert wrong_fields(await http.put(ROW, json={"owner": "Eve", "number": "13", "balance": -1})) == {
            "balance": "check"
        }
    assert untouched(bank)


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error_of_the_server(
    sessions: Any, bank: Session, caplog: pytest.LogCaptureFixture
) -> None:
    messages = iter([{"type": "http.request", "body": b'{"owner"', "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "headers": [(b"content-type", b"application/json")],
        "server": ("cinema", 80), "client": ("somebody", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await CRUD(Account, sessions, read_only=False)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert caplog.text == ""
