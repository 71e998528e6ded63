"""The body of a request: of the right type, not too large, JSON, and what the interface says."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request

from hookline.http.problems import Refused, Wrong, invalid, too_many
from hookline.http.resource import Resource

_LINGERING: Final = 1_000_000
"""Bytes beyond the limit that are read and thrown away: who still sends when the connection is closed may never read
the answer that says why (RFC 9112, section 9.6)."""


async def body_of(request: Request, limit: int) -> bytes:
    """The body.

    Args:
        request: The request.
        limit: How many bytes it may have.

    Raises:
        Refused: It is too large, or says that it is not JSON.
    """
    _must_be_json(request)
    length = request.headers.get("content-length", "")
    too_large = length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit)
    if too_large and "expect" in request.headers:  # its body is not sent unless it is asked for
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            too_large = too_large or size > limit
            if size > limit + _LINGERING:
                break
            if not too_large:
                parts.append(part)
    except ClientDisconnect:  # nobody will read this, and nothing failed here that the log should tell
        raise Refused(400, "disconnected", "The body ended too early") from None
    if too_large:
        raise _too_large(limit)
    return b"".join(parts)


def read(resource: Resource, reader: TypeAdapter[Any], body: bytes, *, several: int | None = None) -> Any:
    """What a body says.

    Args:
        resource: What it is about, for messages.
        reader: What it must be.
        body: The body.
        several: How many rows it may have, if it is a list of them.

    Raises:
        Refused: It is something else.
    """
    try:
        value = reader.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    else:
        _must_be_unambiguous(body)
        return value
    if any(one["type"] == "json_invalid" for one in found):
        raise Refused(400, "json", "The body is not JSON", found[0]["msg"])
    if several is not None and any(one["type"] == "too_long" and not one["loc"] for one in found):
        raise too_many(several)
    raise invalid(_wrong(resource, one, several=several is not None) for one in found)


def _must_be_unambiguous(body: bytes) -> None:
    """Refuse an object that has a name twice: who looks at the first, and who at the last, see different rows."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise Refused(400, "json", "The body is not JSON", f"An object has the name {name!r} twice.")
            names.add(name)

    json.loads(body.decode(), object_pairs_hook=once, parse_int=str, parse_float=str)


def _wrong(resource: Resource, error: Any, *, several: bool) -> Wrong:
    place: tuple[Any, ...] = error["loc"]
    index = None
    if several and place and isinstance(place[0], int):
        index, place = place[0], place[1:]
    field = str(place[0]) if place else ""
    if error["type"] == "extra_forbidden":
        return Wrong(field, *_not_taken(resource, field), place=index)
    return Wrong(field, error["type"], error["msg"], place=index)


def _not_taken(resource: Resource, name: str) -> tuple[str, str]:
    """Why a field is not taken."""
    known = resource.fields.get(name)
    if known is not None and known.key:
        return "key", "is the key of the row, which is not assigned"
    if known is not None:
        return "read_only", "cannot be written"
    relation = resource.relations.get(name)
    if relation is not None:
        columns = [resource.named(column.name) for column in relation.local_columns]
        written = [one for one in columns if one in resource.fields and resource.fields[one].writable]
        return "relation", f"is a relation{': write ' + ', '.join(written) if written else ''}"
    return "unknown", f"there is no such field; there are {', '.join(resource.fields)}"


def _must_be_json(request: Request) -> None:
    message = Message()
    message["content-type"] = given = request.headers.get("content-type", "")
    kind, charset = message.get_content_type(), message.get_content_charset("utf-8")
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not given or not is_json or charset not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(
            415, "content-type", "The body must be JSON", f"Send Content-Type: application/json, not {given!r}.",
            headers={"Accept": "application/json", "Accept-Patch": "application/json, application/merge-patch+json"},
        )  # fmt: skip


def _too_large(limit: int) -> Refused:
    return Refused(
        413,
        "too-large",
        "The body is too large",
        f"It may have {limit:,} bytes at most.",
        headers={"Connection": "close"},
    )
