"""A mapped class over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import Receive, Scope, Send

from hookline.errors import TargetError
from hookline.http.hooks import Hook, RequestHooks
from hookline.http.idempotency import IdempotencyKeys
from hookline.http.options import Options
from hookline.http.reads import Reads
from hookline.http.resource import Resource
from hookline.http.routes import Routes, answering
from hookline.http.sessions import Sessions
from hookline.http.visits import Visits
from hookline.http.writes import Writes


class CRUD(APIRouter):
    """A mapped class over HTTP: a router for FastAPI, and an application that Starlette can mount.

    | path | methods | what |
    |---|---|---|
    | ``/`` | GET, POST | a page of rows; a new row |
    | ``/{row_id}/`` | GET, PUT, PATCH, DELETE | one row |
    | ``/count/`` ``/ids/`` ``/new/`` ``/schema/`` | GET | how many; keys and names; defaults; what can be asked |
    | ``/references/{field}/`` | GET | what a foreign key may refer to |
    | ``/`` and ``/bulk/`` | PATCH, DELETE; POST | many rows at once, if that is allowed |

    Each request is one transaction. What clients write goes through the hooks on requests given here, and through the
    rule books that are attached to the sessions, with ``request`` and ``user`` in their context. The idea, the paths
    and the hooks on requests come from Piccolo API's ``PiccoloCRUD``.

    Args:
        table: The mapped class.
        sessions: What opens a session for each request: a sessionmaker, async_sessionmaker or scoped_session. If left
            out, the class or one of its bases says it: ``__sessions__ = SessionLocal``.
        read_only: Whether clients can only read.
        hooks: Hooks on requests, in order.
        user: A dependency of FastAPI that tells who the client is; hooks ask for it as ``user``. If left out, it is
            what Starlette's AuthenticationMiddleware has found.
        only: Which rows there are for a request: a function that asks for ``request``, ``user`` or ``session``, sync or
            async, and returns a condition. Rows that do not meet it are neither told nor written, nor can a row be
            made or changed into one.
        page_size: How many rows are on a page if a client does not say.
        max_page_size: How many it may say, and how many related rows are told of each row.
        max_depth: How many relations a client may follow to be told of related rows. They are told whole, but for
            secrets, whatever ``only`` says of their own class.
        secret: Attributes, or names of them, that no client ever sees, nor filters, follows or writes, here or in
            related rows; so are those with ``mapped_column(info={"secret": True})``, and names that begin with an
            underscore.
        read_only_fields: Names of those that no client writes. Keys that are made, computed columns, versions and
            stamps (with ``onupdate``) are not written anyway.
        types: The types of fields for pydantic, by name, where the class does not say enough.
        label: The field that names a row; ``name`` or ``title`` if left out.
        references: The foreign keys for which clients may see the choices, each with the field that names a row there.
        allow_bulk_create: Whether ``POST /bulk/`` writes many rows.
        allow_bulk_patch: Whether ``PATCH /?filters`` changes many rows.
        allow_bulk_delete: Whether ``DELETE /?filters`` deletes many rows.
        max_bulk: How many rows these write at most.
        max_body: How many bytes a body may have.
        require_if_match: Whether PUT, PATCH and DELETE of one row need ``If-Match``.
        idempotency: Where answers to POST are kept by their ``Idempotency-Key``; None refuses that header.
        router: What FastAPI's APIRouter takes besides: ``prefix``, ``tags``, ``dependencies`` ...

    Raises:
        TargetError: The class is not mapped, or something that was named is not there.
        UnknownOptionError: Options that contradict each other.
        UnknownArgumentError: A hook asks for what it cannot be given.

    Example:
        >>> from sqlalchemy.orm import sessionmaker
        >>> people = CRUD(Person, sessionmaker(), read_only=False, prefix="/people")
        >>> sorted({method for route in people.routes for method in route.methods})
        ['DELETE', 'GET', 'PATCH', 'POST', 'PUT']
    """

    def __init__(
        self,
        table: type,
        sessions: Any = None,
        *,
        read_only: bool = True,
        hooks: Iterable[Hook] = (),
        user: Callable[..., Any] | None = None,
        only: Callable[..., Any] | None = None,
        page_size: int = 50,
        max_page_size: int = 1000,
        max_depth: int = 0,
        secret: Iterable[Any] = (),
        read_only_fields: Iterable[str] = (),
        types: Mapping[str, Any] | None = None,
        label: str | None = None,
        references: Mapping[str, str] | None = None,
        allow_bulk_create: bool = False,
        allow_bulk_patch: bool = False,
        allow_bulk_delete: bool = False,
        max_bulk: int = 1000,
        max_body: int = 1_048_576,
        require_if_match: bool = False,
        idempotency: IdempotencyKeys | None = None,
        **router: Any,
    ) -> None:
        options = Options(
            read_only=read_only, user=user, page_size=page_size, max_page_size=max_page_size, max_depth=max_depth,
            label=label, references=dict(references or {}), allow_bulk_create=allow_bulk_create,
            allow_bulk_patch=allow_bulk_patch, allow_bulk_delete=allow_bulk_delete, max_bulk=max_bulk,
            max_body=max_body, require_if_match=require_if_match, idempotency=idempotency,
        )  # fmt: skip
        hidden = tuple(secret)
        opened = Sessions(_factory_of(table) if sessions is None else sessions)
        self.resource = Resource(table, secret=hidden, read_only=read_only_fields, types=types, dialect=opened.dialect)
        self.resource.must_have(one for one in hidden if isinstance(one, str))
        router.setdefault("tags", [self.resource.name])
        super().__init__(route_class=answering(self.resource), **router)
        visits = Visits(opened, only)
        reads = Reads(self.resource, visits, options)
        given = RequestHooks(hooks, asynchronous=opened.asynchronous)
        writes = None if read_only else Writes(self.resource, visits, options, given, reads.filters)
        Routes(self, self.resource, options, reads, writes).add()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve alone, as where Starlette mounts it: described at ``/docs``."""
        await self._alone(scope, receive, send)

    @cached_property
    def _alone(self) -> FastAPI:
        application = FastAPI(title=self.resource.name)
        application.include_router(self)
        return application


def _factory_of(table: type) -> Any:
    factory = getattr(table, "__sessions__", None)
    if factory is None:
        raise TargetError(
            f"CRUD({table.__name__}) needs to know what opens sessions: CRUD({table.__name__}, SessionLocal), or "
            f"`__sessions__ = SessionLocal` in {table.__name__} or its base."
        )
    return factory
