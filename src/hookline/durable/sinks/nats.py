"""Deliveries to a stream of NATS JetStream, for consumers past one database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookline.core.delivery import Delivery
from hookline.durable.extras import needed
from hookline.durable.nats.connection import Server
from hookline.durable.nats.message import headers_of
from hookline.errors import RegistrationError, SinkError


class NatsStream:
    """A sink: each delivery is published to a stream of NATS JetStream, which has to acknowledge it.

    The message's id (``Nats-Msg-Id``) is the delivery's, so that the stream drops repeats as long as its duplicate
    window lasts; `NatsConsumer` knows them for longer. The header ``Hookline-Hook`` names the hook, and consumers run
    their hook of that name. The body is the delivery's own.

    A connection is made when it is first needed, and closed when it was idle for ten seconds, or when the worker ends.

    Args:
        url: ``nats://host:4222``; several with commas between them.
        subject: Where to publish; a stream must take it.
        stream: The stream that must take it: if another one does, that is an error.
        timeout: Seconds to connect, and to wait for the acknowledgement.
        options: More arguments of ``nats.connect``, such as ``user_credentials`` and ``tls``.
        name: For the names of hooks: ``insert Order to <name>``. The subject if left out.

    Raises:
        RegistrationError: One of these cannot be.
        UsageError: The extra ``nats`` is not installed.

    Example:
        >>> stream = NatsStream("nats://localhost:4222", "shop.orders")
        >>> from hookline import Hooks
        >>> Hooks().durable("insert", Order, to=stream, name="send_receipt").name
        'send_receipt'
    """

    def __init__(
        self, url: str, subject: str, *, stream: str | None = None, timeout: float = 5.0,
        options: Mapping[str, Any] | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        if not all(token and not set(token) & set("*> \t\r\n") for token in subject.split(".")):
            raise RegistrationError(
                f"NatsStream publishes to one subject, such as 'shop.orders', without wildcards or spaces, "
                f"not to {subject!r}."
            )
        if timeout <= 0:
            raise RegistrationError(f"timeout is a number of seconds, more than 0, not {timeout!r}.")
        self._server = Server(url, options, "NatsStream")
        self._errors = needed("nats.js.errors", "nats", "NatsStream")
        self._subject, self._stream, self._timeout = subject, stream, timeout
        self.name = name or subject

    def __repr__(self) -> str:
        return f"<NatsStream {self._subject} at {self._server.origin}>"

    async def deliver(self, delivery: Delivery) -> None:
        """Publish it, and wait until the stream has it.

        Raises:
            SinkError: The stream did not say that it has it.
        """
        errors = needed("nats.errors", "nats", "NatsStream")
        async with self._server.connection(self._timeout) as client:
            stream = client.jetstream(timeout=self._timeout)
            try:
                await stream.publish(self._subject, delivery.body, stream=self._stream, headers=headers_of(delivery))
            except self._errors.NoStreamResponseError:
                raise SinkError(
                    f"No stream at {self._server.origin} takes {self._subject!r}. Make one that does: "
                    f"nats stream add {self._stream or 'NAME'} --subjects {self._subject}"
                ) from None
            except (OSError, errors.Error) as error:
                why = str(error) or type(error).__name__
                raise SinkError(f"{self._subject!r} at {self._server.origin} was not acknowledged: {why}.") from error
