"""The routes of a resource, and what each says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hookline.http import describing as described
from hookline.http.describing import Described
from hookline.http.idempotency import KEY, LONGEST
from hookline.http.options import Options
from hookline.http.problems import Refused, answer_to
from hookline.http.reads import Reads
from hookline.http.resource import Resource
from hookline.http.writes import Writes

Handler = Callable[..., Awaitable[Response]]

_REQUEST: Final = Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
_ROW_ID: Final = Parameter(
    "row_id", Parameter.KEYWORD_ONLY,
    annotation=Annotated[str, Path(description="The key; of several columns, with commas between.")],
)  # fmt: skip
_FIELD: Final = Parameter(
    "field", Parameter.KEYWORD_ONLY, annotation=Annotated[str, Path(description="The foreign key.")]
)


class Routes:
    """The routes of a resource.

    Args:
        router: Where they are added.
        resource: The resource.
        options: What clients may do.
        reads: What reads.
        writes: What writes; None if nothing does.
    """

    def __init__(
        self, router: APIRouter, resource: Resource, options: Options, reads: Reads, writes: Writes | None
    ) -> None:
        self._router, self._resource, self._options = router, resource, options
        self._reads, self._writes = reads, writes
        self._row = described.row_of(resource, reads.selections)
        self._filters = described.filters(reads.filters)

    def add(self) -> None:
        """Add them all; those that have words in the place of a key come first."""
        self._add_reads()
        if self._writes is not None:
            self._add_writes(self._writes)
        self._add_one(self._writes)

    def _add_reads(self) -> None:
        options, reads = self._options, self._reads
        chosen = self._filters
        asked = [*chosen, described.order(reads), described.selection(reads)]
        size, after, number = described.paging(options.page_size, options.max_page_size)
        named = [size, after, described.parameter("__search", "What is in the name.", {"type": "string"})]
        page = described.page_of(self._resource, self._row)
        self._add("GET", "/", reads.list, "A page of rows", page, (400,), [*asked, size, after, number])
        self._add("GET", "/count/", reads.count, "How many rows", described.Count, (400,), chosen)
        self._add("GET", "/ids/", reads.ids, "Keys and names", described.NamedPage, (400,), [*chosen, *named])
        self._add("GET", "/schema/", reads.schema, "What can be asked and written", described.Schemas, (400,))
        if reads.references:
            path, choices = "/references/{field}/", described.ChoicePage
            self._add("GET", path, reads.choices, "What a foreign key may be", choices, (400, 404, 422), named)

    def _add_writes(self, writes: Writes) -> None:
        options, resource = self._options, self._resource
        once = described.header(
            "Idempotency-Key", "The same key makes the same request happen once.", pattern=KEY, maxLength=LONGEST
        )
        kept, busy = ([], ()) if options.idempotency is None else ([once], (409,))
        wrong = (400, *busy, 413, 415, 422)
        written, chosen = described.Written, [*self._filters, described.everything()]
        new, changes = described.body(resource, writes.new), described.body(resource, writes.changes)
        told = described.headers("Location", "ETag")
        self._add("GET", "/new/", self._reads.new, "The defaults of a new row", dict[str, Any], (400,))
        self._add("POST", "/", writes.create, "A new row", resource.row, wrong, kept, body=new, told=told, status=201)
        if options.allow_bulk_create:
            several = described.body(resource, writes.several, most=options.max_bulk)
            self._add(
                "POST", "/bulk/", writes.create_many, "New rows, all or none", written, wrong, kept, body=several,
                status=201,
            )  # fmt: skip
        if options.allow_bulk_patch:
            wrong = (400, 412, 413, 415, 422)
            self._add("PATCH", "/", writes.patch_many, "Some fields of many rows", written, wrong, chosen, body=changes)
        if options.allow_bulk_delete:
            self._add("DELETE", "/", writes.delete_many, "Delete many rows", written, (400, 412, 413, 422), chosen)

    def _add_one(self, writes: Writes | None) -> None:
        resource, row = self._resource, self._resource.row
        path, tag = "/{row_id}/", described.headers("ETag")
        known = described.header("If-None-Match", "The ETag that the client has already.")
        fields = described.selection(self._reads)
        self._add("GET", path, self._reads.get, "One row", self._row, (304, 400, 404, 422), [fields, known], told=tag)
        if writes is None:
            return
        needed = self._options.require_if_match
        seen = [described.header("If-Match", "The ETag of the row that the client has seen.", required=needed)]
        strict = (428,) if needed else ()
        gone = (400, 404, 412, 422, *strict)
        wrong = (*gone, 413, 415)
        whole, changes = described.body(resource, writes.replacement), described.body(resource, writes.changes)
        self._add("PUT", path, writes.replace, "All of a row", row, wrong, seen, body=whole, told=tag)
        self._add("PATCH", path, writes.patch, "Some fields of a row", row, wrong, seen, body=changes, told=tag)
        self._add("DELETE", path, writes.delete, "Delete a row", None, gone, seen, status=204)

    def _add(
        self, method: str, path: str, handler: Handler, summary: str, model: Any, wrong: tuple[int, ...],
        parameters: Sequence[Described] = (), *, body: Described | None = None, told: Described | None = None,
        status: int = 200,
    ) -> None:  # fmt: skip
        """Add one route.

        Args:
            method: Its method.
            path: Its path.
            handler: What answers.
            summary: What it does, for people.
            model: What it answers.
            wrong: The statuses of what may go wrong.
            parameters: What it can be asked, besides what is in the path.
            body: What must be sent.
            told: The headers of the answer.
            status: The status of the answer.
        """
        what, name = self._resource.name, handler.__name__
        described_by = {**({"parameters": list(parameters)} if parameters else {}), **(body or {})}
        self._router.add_api_route(
            path,
            self._endpoint(path, handler),
            methods=[method],
            name=f"{what}:{name}",
            summary=f"{what}: {summary[0].lower()}{summary[1:]}",
            response_model=model,
            status_code=status,
            responses={status: told or {}, **described.problems(*wrong)},
            openapi_extra=described_by,
        )

    def _endpoint(self, path: str, handler: Handler) -> Handler:
        """A handler as FastAPI wants it: its signature says what it is given."""
        parameters = [_REQUEST, *([_ROW_ID] if "{row_id}" in path else []), *([_FIELD] if "{field}" in path else [])]
        if self._options.user is not None:
            user = Annotated[Any, Depends(self._options.user)]
            parameters.append(Parameter("user", Parameter.KEYWORD_ONLY, annotation=user))

        async def endpoint(request: Request, user: Any = None, **place: Any) -> Response:
            return await handler(request, request.scope.get("user") if user is None else user, **place)

        endpoint.__name__, endpoint.__doc__ = handler.__name__, handler.__doc__
        endpoint.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return endpoint


def answering(resource: Resource) -> type[APIRoute]:
    """Routes that answer with a problem when something goes wrong."""
    methods: dict[str, set[str]] = {}

    class Answering(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
            super().__init__(path, endpoint, **options)
            methods.setdefault(self.path, set()).update(self.methods or ())

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] in (self.methods or ()):
                await super().handle(scope, receive, send)
            else:  # each route knows its own method only, and a client is told those of the address
                await _no_method(methods[self.path]).response()(scope, receive, send)

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    return await handle(request)
                except Exception as error:  # whatever it is: it is answered and logged, or raised again
                    answer = answer_to(error, request, resource)
                    if answer is None:
                        raise
                    return answer

            return guarded

    return Answering


def _no_method(allowed: set[str]) -> Refused:
    headers = {"Allow": ", ".join(sorted(allowed))}
    return Refused(405, "method", "This address has no such method", f"It has {headers['Allow']}.", headers=headers)
