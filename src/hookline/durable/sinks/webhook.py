"""Deliveries to an address of the web, signed per Standard Webhooks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from hookline.core.delivery import Delivery
from hookline.durable.extras import needed
from hookline.durable.sinks.addresses import Resolver, literal, refusal, resolve
from hookline.durable.sinks.body import public_body
from hookline.errors import AddressRefusedError, RegistrationError, SinkError, UndeliverableError

if TYPE_CHECKING:
    import ssl

    import httpx

_OWN_HEADERS: Final = frozenset(["host", "connection", "content-length", "content-type", "transfer-encoding"]) | {
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
}
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_SECRET_BYTES: Final = range(24, 65)
"""What Standard Webhooks asks for."""


class Webhook:
    """A sink: each delivery is a POST, signed per `Standard Webhooks <https://www.standardwebhooks.com>`_.

    The header ``webhook-id`` is the delivery's id, the same at each attempt, so that receivers can tell repeats. Any
    answer of 2xx is success. After 410 Gone the delivery is dead: the receiver wants no more. Everything else is tried
    again on the hook's terms, redirects included: they are not followed. Answers are not read beyond their headers.

    Nothing is sent to private, loopback, link-local and other addresses that are not public. The name is resolved once
    for each attempt, every address that it has must be public, and the connection is made to one of these very
    addresses. Proxies that the environment names are not used.

    Args:
        url: Where to, ``https://`` or ``http://``. No part of it after the host is shown in errors, logs or names.
        secret: ``whsec_`` and 24 to 64 bytes in base64, which the receiver knows as well. Several while one is being
            replaced: each request is signed with all of them.
        timeout: Seconds for one attempt, from resolving the name to the headers of the answer.
        allow_private: Send to addresses that are not public, too: for services of one's own.
        headers: More headers, such as ``Authorization``.
        name: For the names of hooks: ``insert Order to <name>``. The URL's scheme and host if left out.
        ssl_context: Whom to trust, for certificates of one's own.
        resolver: What knows the addresses of names, if not the system does: an async function of a host and a port.

    Raises:
        RegistrationError: One of these cannot be.
        UsageError: The extra ``webhooks`` is not installed.

    Example:
        >>> orders = Webhook("https://example.com/hooks?key=1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        >>> orders
        <Webhook https://example.com>
        >>> from hookline import Hooks
        >>> Hooks().durable("insert", Order, to=orders).name
        'insert Order to https://example.com'
    """

    def __init__(
        self, url: str, secret: str | Sequence[str], *, timeout: float = 10.0, allow_private: bool = False,
        headers: Mapping[str, str] | None = None, name: str | None = None, ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver = resolve,
    ) -> None:  # fmt: skip
        self._httpx = needed("httpx", "webhooks", "Webhook")
        if timeout <= 0:
            raise RegistrationError(f"timeout is a number of seconds, more than 0, not {timeout!r}.")
        self._url, self._host = self._read(url)
        self.origin = f"{self._url.scheme}://{self._url.netloc.decode()}"
        self.name = name or self.origin
        self._signers = _signers([secret] if isinstance(secret, str) else secret)
        self._headers = _checked(headers or {})
        self._timeout, self._allow_private = timeout, allow_private
        self._resolver, self._given_context = resolver, ssl_context
        address = literal(self._host)
        if address is not None and (why := self._refusal(address)):
            raise RegistrationError(f"{self.origin} is {self._refused(address, why)}")

    def __repr__(self) -> str:
        return f"<Webhook {self.origin}>" if self.name == self.origin else f"<Webhook {self.name}: {self.origin}>"

    async def deliver(self, delivery: Delivery) -> None:
        """Send it.

        Raises:
            SinkError: It was not taken.
            UndeliverableError: The receiver wants no more.
        """
        try:
            async with asyncio.timeout(self._timeout):
                status = await self._send(public_body(delivery), delivery.id)
        except TimeoutError:
            raise SinkError(f"{self.origin} did not answer within {self._timeout} s.") from None
        if 200 <= status < 300:
            return
        told = f"{self.origin} answered {_phrase(status)}"
        if status == HTTPStatus.GONE:
            raise UndeliverableError(
                f"{told}: the receiver wants no more deliveries of {delivery.hook!r}. Remove the hook, or retry its "
                f"deliveries by hand once the receiver is there again."
            )
        if 300 <= status < 400:
            raise SinkError(f"{told}, and redirects are not followed. Give Webhook the URL that it leads to.")
        raise SinkError(f"{told}.")

    # -- one attempt

    async def _send(self, body: bytes, id: str) -> int:  # noqa: A002 - what everybody calls it
        """The status of the answer."""
        addresses = await self._addresses()
        extensions = {
            "sni_hostname": self._host,  # certificates are for names, whichever address is connected to
            "timeout": {"connect": self._timeout / len(addresses)},
        }
        request = self._httpx.Request(
            "POST", self._url, headers=self._signed(body, id), content=body, extensions=extensions
        )
        transport = self._httpx.AsyncHTTPTransport(verify=self._context, trust_env=False)
        async with transport:
            for address in addresses[:-1]:
                try:
                    return await self._answer(transport, request, address)
                except (self._httpx.ConnectError, self._httpx.ConnectTimeout):
                    continue  # the next one may be reached
            try:
                return await self._answer(transport, request, addresses[-1])
            except self._httpx.ConnectError as error:
                raise SinkError(f"{self.origin} cannot be connected to: {error}.") from None
            except self._httpx.TransportError as error:  # its text may hold what was sent, or got
                raise SinkError(f"{self.origin} did not answer properly: {type(error).__name__}.") from None

    async def _answer(self, transport: httpx.AsyncHTTPTransport, request: httpx.Request, address: str) -> int:
        request.url = self._url.copy_with(host=address)  # the header Host was made of the name before
        response = await transport.handle_async_request(request)
        await response.aclose()
        return response.status_code

    async def _addresses(self) -> Sequence[str]:
        """Those that may be connected to.

        Raises:
            SinkError: There are none, or one of them is not public.
        """
        try:
            port = self._url.port or {"http": 80, "https": 443}[self._url.scheme]
            addresses = await self._resolver(self._host, port)
        except (OSError, UnicodeError) as error:
            raise SinkError(f"{self.origin} cannot be resolved: {error}.") from None
        if not addresses:
            raise SinkError(f"{self.origin} cannot be resolved: it has no address.")
        for address in addresses:
            if why := self._refusal(address):
                raise AddressRefusedError(f"{self.origin} leads to {address}, which is {self._refused(address, why)}")
        return addresses

    def _refusal(self, address: str) -> str | None:
        return None if self._allow_private else refusal(address)

    def _refused(self, address: str, why: str) -> str:
        return (
            f"{why}: webhooks go to public addresses only, or others could use them to reach what only this "
            f"machine can. If {address} is meant, write Webhook(..., allow_private=True)."
        )

    def _signed(self, body: bytes, id: str) -> dict[str, str]:  # noqa: A002 - as above
        now, text = dt.datetime.now(dt.UTC), body.decode()
        return {
            "user-agent": "hookline",
            **self._headers,
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(id, now, text) for signer in self._signers),
        }

    @cached_property
    def _context(self) -> Any:
        return self._given_context or self._httpx.create_ssl_context(trust_env=False)

    # -- what was given

    def _read(self, given: str) -> tuple[httpx.URL, str]:
        """The URL, and its host as resolvers are asked for it. No error shows the URL: it may hold a secret."""
        try:
            url = self._httpx.URL(given)
        except (self._httpx.InvalidURL, TypeError):
            raise RegistrationError(
                "Webhook needs a URL, such as 'https://example.com/orders', and got something else."
            ) from None
        host = url.raw_host.decode()
        if url.scheme not in ("http", "https") or not host:
            raise RegistrationError(
                f"Webhook needs a URL that begins with https:// or http:// and a host, not with {url.scheme!r}."
            )
        if url.userinfo:
            raise RegistrationError(
                f"The URL of a webhook to {host} holds a user and a password, which would be sent nowhere. "
                f"Write headers={{'Authorization': ...}} instead."
            )
        return url, host


def _signers(secrets: Sequence[str]) -> list[Any]:
    """What signs, for each secret. No error shows a secret."""
    webhooks = needed("standardwebhooks", "webhooks", "Webhook")
    signers: list[Any] = []
    for secret in secrets:
        try:
            key = base64.b64decode(_padded(secret.removeprefix("whsec_")), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in _SECRET_BYTES:
            raise RegistrationError(
                f"The secret of a webhook is 'whsec_' and {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes in base64. "
                f"Make one: 'whsec_' + base64.b64encode(secrets.token_bytes(32)).decode()"
            )
        signers.append(webhooks.Webhook(key))
    if not signers:
        raise RegistrationError("A webhook needs at least one secret.")
    return signers


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they are sent. No error shows a value: it may be a secret."""
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            raise RegistrationError(f"The header {name!r} of a webhook is made by Hookline; leave it out of headers=.")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise RegistrationError(f"The header {name!r} of a webhook has a name or a value that HTTP does not allow.")
    return {name.lower(): value for name, value in headers.items()}


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:  # a status that nobody has named
        return str(status)
