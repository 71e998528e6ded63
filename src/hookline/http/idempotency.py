"""Requests that are sent twice and happen once: the ``Idempotency-Key`` header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from pydantic_core import from_json, to_json
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    delete,
    select,
    update,
)
from starlette.requests import Request
from starlette.responses import Response

from hookline.errors import UsageError
from hookline.http.problems import Refused
from hookline.sqlalchemy.once import insert_once
from hookline.sqlalchemy.outbox.clock import Moment, now

LONGEST: Final = 255
"""How many characters a key may have."""

KEY: Final = r"^[!-~]([ -~]*[!-~])?$"
"""Which ones they are."""


class Kept(NamedTuple):
    """An answer that is kept.

    Attributes:
        status: The status code.
        headers: What it has besides.
        body: As bytes.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self, media_type: str, *, again: bool = False) -> Response:
        """The answer; `again` says that it was given before."""
        headers = {**self.headers, "Idempotency-Replayed": "true"} if again else self.headers
        return Response(self.body, self.status, headers=headers, media_type=media_type)


class IdempotencyKeys:
    """The table in which answers to POST requests are kept by the ``Idempotency-Key`` that came with them.

    The answer is written in the transaction of the request itself: what was committed has an answer, and what was not
    has none, so that it can be tried again. Keys of several users never meet.

    Args:
        name: The table's name.
        schema: Where it is; None for where names without a schema go.
        metadata: Where to add it, such as an application's own, so that its migrations know it.

    Example:
        >>> keys = IdempotencyKeys()
        >>> list(keys.metadata.tables)
        ['hookline_idempotency']
    """

    def __init__(
        self, name: str = "hookline_idempotency", *, schema: str | None = None, metadata: MetaData | None = None
    ) -> None:
        self.metadata = MetaData() if metadata is None else metadata
        self.table = Table(
            name,
            self.metadata,
            Column("key", String(64), primary_key=True),
            Column("fingerprint", String(64), nullable=False),
            Column("status", SmallInteger),
            Column("headers", Text),
            Column("body", Text),
            Column("created_at", Moment, nullable=False, server_default=now(), index=True),
            schema=schema,
        )

    def create_tables(self, bind: Engine | Connection) -> None:
        """Make the table if it is not there yet; for those that use no migrations."""
        self.metadata.create_all(bind, tables=[self.table])

    def prune(self, bind: Engine | Connection, older_than: timedelta = timedelta(days=1)) -> int:
        """Forget old answers; a request that is sent again after that happens again.

        Args:
            bind: The database.
            older_than: How long answers are kept.

        Returns:
            How many were forgotten.
        """
        if isinstance(bind, Engine):
            with bind.begin() as connection:
                return self.prune(connection, older_than)
        moment = bind.scalars(select(now())).one()
        return bind.execute(delete(self.table).where(self.table.c.created_at < moment - older_than)).rowcount

    def claim(self, connection: Connection, key: str, fingerprint: str) -> Kept | None:
        """Take a key for this transaction; if it was taken before, give what was answered then.

        Whoever comes second while the first is at work waits for the end of that, where the database can wait.

        Raises:
            Refused: It came with another request, or its first request is still at work.
        """
        if insert_once(connection, self.table, {"key": key, "fingerprint": fingerprint}):
            return None
        row = self.table.c
        kept = connection.execute(
            select(row.fingerprint, row.status, row.headers, row.body).where(row.key == key)
        ).first()  # fmt: skip
        if kept is None or kept.status is None:
            raise Refused(409, "idempotency-busy", "A request with this Idempotency-Key is still at work")
        if kept.fingerprint != fingerprint:
            raise Refused(
                422, "idempotency-reused", "This Idempotency-Key came with another request",
                "Give each request a key of its own, and the same key only to the very same request.",
            )  # fmt: skip
        return Kept(kept.status, from_json(kept.headers), kept.body.encode())

    def keep(self, connection: Connection, key: str, answer: Kept) -> None:
        """Keep the answer, in the same transaction."""
        connection.execute(
            update(self.table).where(self.table.c.key == key)
            .values(status=answer.status, headers=to_json(answer.headers).decode(), body=answer.body.decode())
        )  # fmt: skip


def key_of(request: Request, user: Any) -> str | None:
    """What a request's key is kept by: nobody can guess another user's answers by it.

    Raises:
        Refused: It is no key.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if len(given) > LONGEST or re.fullmatch(KEY, given) is None:
        raise Refused(
            400, "idempotency-key", f"An Idempotency-Key has 1 to {LONGEST} characters of ASCII, no blank first or last"
        )
    return _digest(to_json([request.method, request.url.path, _identity_of(user), given]))


def _identity_of(user: Any) -> str | None:
    """What a user is known by, in every request; None for nobody.

    Raises:
        UsageError: Nobody can tell two of them apart.
    """
    if user is None or getattr(user, "is_authenticated", True) is False:
        return None
    for name in ("id", "identity", "username", "display_name"):
        with suppress(NotImplementedError):  # as Starlette's BaseUser has it
            known = user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
            if known is not None:
                return str(known)
    kind: Any = type(user)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise UsageError(
            f"An Idempotency-Key belongs to a user, and nothing tells one {type(user).__name__} from another. Give it "
            f"an attribute `id`, or a __str__."
        )
    return str(user)


def fingerprint_of(body: bytes) -> str:
    """What tells one body from another."""
    return _digest(body)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=24).hexdigest()
