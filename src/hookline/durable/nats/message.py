"""A delivery as a message of a stream, and a delivery again."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from hookline.core.delivery import Delivery

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ID: Final = "Nats-Msg-Id"
"""The delivery's id; streams drop what comes again with the same one while they remember it."""

HOOK: Final = "Hookline-Hook"
CREATED: Final = "Hookline-Created-At"


def headers_of(delivery: Delivery) -> dict[str, str]:
    """What goes with a delivery's body."""
    return {ID: delivery.id, HOOK: delivery.hook, CREATED: delivery.created_at.isoformat()}


def hook_of(message: Msg) -> str | None:
    """The name of the hook that a message is for; None if it is no delivery."""
    headers = message.headers or {}
    return headers[HOOK] if ID in headers and HOOK in headers else None


def delivery_of(message: Msg, max_attempts: int) -> Delivery:
    """What a message was made of; which attempt it is, the stream has counted.

    Args:
        message: One that `hook_of` knows.
        max_attempts: How many there are at most.
    """
    headers, known = message.headers or {}, message.metadata
    created = headers.get(CREATED)
    return Delivery(
        id=headers[ID],
        hook=headers[HOOK],
        attempt=known.num_delivered,
        max_attempts=max_attempts,
        created_at=known.timestamp if created is None else dt.datetime.fromisoformat(created),
        body=message.data,
    )
