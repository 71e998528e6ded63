"""A webhook, against a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

import pytest
import trustme
from standardwebhooks import WebhookVerificationError

from hookline import AddressRefusedError, RegistrationError, Retry, SinkError, UndeliverableError
from hookline.durable import Webhook
from hookline.durable.sinks.addresses import Resolver

from .receiver import receiving
from .shop import OTHER_SECRET, SECRET, delivery


def answers(*each: list[str] | OSError) -> tuple[Resolver, list[str]]:
    """A resolver that answers so, one time after the other, and the names that it was asked for."""
    left, asked = list(each), []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    return resolver, asked


async def test_delivery_is_posted_as_json_and_signed() -> None:
    with receiving() as receiver:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
        request = receiver.next()
    assert request.path == "/hooks?key=from-the-url"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "3f-1"
    assert request.headers["user-agent"] == "hookline"
    assert request.verified() == {
        "id": "3f-1",
        "hook": "tell",
        "created_at": "2025-01-31T00:00:00+00:00",
        "event": "insert",
        "model": "Order",
        "key": 7,
        "old": None,
        "new": {"id": 7, "status": "new", "price": {"$decimal": "9.90"}, "customer_id": None},
    }


async def test_while_a_secret_is_replaced_requests_are_signed_with_both() -> None:
    with receiving() as receiver:
        await Webhook(receiver.url, [SECRET, OTHER_SECRET], allow_private=True).deliver(delivery())
        request = receiver.next()
    assert request.verified(SECRET) == request.verified(OTHER_SECRET)
    with pytest.raises(WebhookVerificationError):
        request.verified("whsec_" + "A" * 32)


async def test_text_of_any_language_is_signed_as_it_is_sent() -> None:
    body = json.dumps({"event": "delete", "model": "m:Order", "key": "Ä", "old": {"id": "Ä", "name": "日本"}})
    with receiving() as receiver:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery(body=body.encode()))
        assert receiver.next().verified()["old"] == {"id": "Ä", "name": "日本"}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 599])
async def test_answer_that_is_no_success_is_tried_again(status: int) -> None:
    with receiving(status) as receiver, pytest.raises(SinkError, match=f"answered {status}") as raised:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
    assert Retry().tries_again(raised.value, failures=1)


async def test_after_410_gone_nothing_is_tried_again() -> None:
    with receiving(410) as receiver, pytest.raises(UndeliverableError, match="410 Gone") as raised:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
    assert not Retry().tries_again(raised.value, failures=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_wherever_it_leads(status: int) -> None:
    with receiving() as private:

        def redirect(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("location", private.url)
            handler.send_header("content-length", "0")
            handler.end_headers()

        with receiving(redirect) as receiver, pytest.raises(SinkError, match="redirects are not followed"):
            await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
        assert len(receiver.got()) == 1
        assert private.got() == []


async def test_receiver_that_does_not_answer_in_time_is_left() -> None:
    over = Event()
    with receiving(lambda _: over.wait(20)) as receiver:
        with pytest.raises(SinkError, match=r"did not answer within 0\.2 s"):
            await Webhook(receiver.url, SECRET, allow_private=True, timeout=0.2).deliver(delivery())
        over.set()


async def test_receiver_that_sends_its_headers_byte_by_byte_is_left() -> None:
    over = Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not over.wait(0.01):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    with receiving(trickle) as receiver:
        with pytest.raises(SinkError, match="did not answer within"):
            await Webhook(receiver.url, SECRET, allow_private=True, timeout=0.2).deliver(delivery())
        over.set()


async def test_body_of_an_answer_is_not_waited_for_however_long_it_is() -> None:
    over = Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(1 << 40))
        handler.end_headers()
        handler.wfile.write(b"x")
        over.wait(20)

    with receiving(endless) as receiver:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
        over.set()


async def test_headers_without_end_are_an_error() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1 << 20):
            handler.wfile.write(b"x-%d: %s\r\n" % (number, b"x" * 1000))

    with receiving(endless) as receiver, pytest.raises(SinkError, match="did not answer properly"):
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())


async def test_answer_that_is_no_http_is_an_error() -> None:
    with (
        receiving(lambda handler: handler.wfile.write(b"hello\r\n\r\n")) as receiver,
        pytest.raises(SinkError, match="did not answer properly: RemoteProtocolError"),
    ):
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving() as receiver:
        await Webhook(receiver.url, SECRET, allow_private=True).deliver(delivery())
        assert receiver.next().verified()


# -- addresses


async def test_name_is_resolved_once_and_the_connection_goes_to_that_very_address() -> None:
    resolver, asked = answers(["127.0.0.1"])  # a second question would fail
    with receiving() as receiver:
        url = f"http://receiver.test:{receiver.port}/"  # a name that nobody else knows
        await Webhook(url, SECRET, allow_private=True, resolver=resolver).deliver(delivery())
        assert receiver.next().headers["host"] == f"receiver.test:{receiver.port}"
    assert asked == ["receiver.test"]


async def test_each_attempt_asks_anew_and_checks_anew() -> None:
    resolver, asked = answers(OSError("the server is busy"), ["10.0.0.1"], [])
    webhook = Webhook("https://receiver.test/", SECRET, resolver=resolver)
    with pytest.raises(SinkError, match="cannot be resolved: the server is busy"):
        await webhook.deliver(delivery())
    with pytest.raises(AddressRefusedError, match=r"leads to 10\.0\.0\.1, which is private"):
        await webhook.deliver(delivery())
    with pytest.raises(SinkError, match="has no address"):
        await webhook.deliver(delivery())
    assert len(asked) == 3


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_private_address_among_public_ones_is_enough_to_send_nothing(place: int) -> None:
    found = ["9.9.9.9", "2606:4700:4700::1111"]
    found.insert(place, "127.0.0.1")
    with receiving() as receiver:
        webhook = Webhook(f"http://receiver.test:{receiver.port}/", SECRET, resolver=answers(found)[0])
        with pytest.raises(AddressRefusedError, match="loopback"):
            await webhook.deliver(delivery())
        assert receiver.got() == []


async def test_name_that_the_system_knows_as_this_machine_is_refused() -> None:
    with receiving() as receiver:
        with pytest.raises(AddressRefusedError, match="loopback"):
            await Webhook(f"http://localhost:{receiver.port}/", SECRET).deliver(delivery())
        assert receiver.got() == []


async def test_address_that_cannot_be_reached_is_followed_by_the_next() -> None:
    with receiving() as receiver:
        resolver, _ = answers(["127.0.0.2", "::1", "127.0.0.1"])
        url = f"http://receiver.test:{receiver.port}/"
        await Webhook(url, SECRET, allow_private=True, resolver=resolver).deliver(delivery())
        assert receiver.next().verified()
    with pytest.raises(SinkError, match="cannot be connected to"):
        resolver, _ = answers(["127.0.0.2", "127.0.0.1"])
        await Webhook(url, SECRET, allow_private=True, resolver=resolver).deliver(delivery())


# -- certificates


def certified(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of this name shows, and who trusts it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_certificate_is_for_the_name_although_an_address_is_connected_to() -> None:
    server, client = certified("receiver.test")
    asked_for: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked_for.append(name)
    with receiving(context=server) as receiver:
        url = f"https://receiver.test:{receiver.port}/"
        resolver, _ = answers(["127.0.0.1"])
        await Webhook(url, SECRET, allow_private=True, ssl_context=client, resolver=resolver).deliver(delivery())
        assert receiver.next().verified()
    assert asked_for == ["receiver.test"]


async def test_certificate_for_another_name_or_of_a_stranger_is_refused() -> None:
    server, client = certified("other.test")
    with receiving(context=server) as receiver:
        url = f"https://receiver.test:{receiver.port}/"
        for trusted in (client, None):
            resolver, _ = answers(["127.0.0.1"])
            with pytest.raises(SinkError, match=r"(?i)certificate"):
                webhook = Webhook(url, SECRET, allow_private=True, ssl_context=trusted, resolver=resolver)
                await webhook.deliver(delivery())
        assert receiver.got() == []


# -- secrets


SECRETS = (SECRET, SECRET.removeprefix("whsec_"), "from-the-url", "/hooks", "from-a-header")


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def echo(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 " + handler.headers["authorization"].encode() + b"\r\n\r\n")


@pytest.mark.parametrize("answer", [204, 302, 410, 500, hang_up, echo])
async def test_secrets_are_in_no_error_log_or_name(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    if answer is echo:  # the HTTP library's own log of what comes over the wire has what comes over the wire
        caplog.set_level(logging.INFO, "httpcore")
    told = ""
    with receiving(answer) as receiver:
        webhook = Webhook(receiver.url, SECRET, allow_private=True, headers={"Authorization": "from-a-header"})
        try:
            await webhook.deliver(delivery())
        except (SinkError, UndeliverableError) as error:
            told = "".join(traceback.format_exception(error))
        assert receiver.next().headers["authorization"] == "from-a-header"
    told += repr(webhook) + webhook.name + caplog.text
    assert [secret for secret in SECRETS if secret in told.replace(__file__, "")] == []
    assert answer == 204 or "127.0.0.1" in told


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: Webhook("ftp://example.com/from-the-url", SECRET), "begins with https://"),
    (lambda: Webhook("example.com/from-the-url", SECRET), "begins with https://"),
    (lambda: Webhook("https:///from-the-url", SECRET), "and a host"),
    (lambda: Webhook("https://example.com:port/from-the-url", SECRET), "needs a URL"),
    (lambda: Webhook("https://user:from-the-url@example.com/", SECRET), "headers="),
    (lambda: Webhook("https://example.com/", SECRET[:-5]), "24 to 64 bytes"),
    (lambda: Webhook("https://example.com/", SECRET + "!"), "24 to 64 bytes"),
    (lambda: Webhook("https://example.com/", ""), "token_bytes"),
    (lambda: Webhook("https://example.com/", []), "at least one secret"),
    (lambda: Webhook("https://example.com/", SECRET, timeout=0), "timeout"),
    (lambda: Webhook("https://example.com/", SECRET, headers={"Host": "from-a-header"}), "made by Hookline"),
    (lambda: Webhook("https://example.com/", SECRET, headers={"Webhook-Id": "from-a-header"}), "made by Hookline"),
    (lambda: Webhook("https://example.com/", SECRET, headers={"X": "a\r\nfrom-a-header: 1"}), "does not allow"),
    (lambda: Webhook("https://example.com/", SECRET, headers={"X Y": "from-a-header"}), "does not allow"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_cannot_be_is_refused_at_once_and_not_shown(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RegistrationError, match=message) as raised:
        make()
    assert [secret for secret in (*SECRETS, SECRET[:-5]) if secret in str(raised.value)] == []


async def test_several_deliveries_go_side_by_side() -> None:
    with receiving() as receiver:
        webhook = Webhook(receiver.url, SECRET, allow_private=True)
        await asyncio.gather(*(webhook.deliver(delivery(number)) for number in range(20)))
        ids = {request.headers["webhook-id"] for request in receiver.got()}
    assert ids == {f"3f-{number}" for number in range(20)}
