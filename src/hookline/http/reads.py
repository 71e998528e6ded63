"""What is done for requests that read."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import Response

from hookline.http import keys, tags
from hookline.http.choices import Choices, labelled, references_of
from hookline.http.filters import conditions, filters_of
from hookline.http.options import Options
from hookline.http.order import Order
from hookline.http.problems import Wrong, bad_query, not_found
from hookline.http.query import Query
from hookline.http.reading import page, row_at, told
from hookline.http.resource import Resource
from hookline.http.selection import Selections
from hookline.http.visits import Visit, Visits

PAGING = ("__page", "__page_size", "__after")


class Reads:
    """The requests that read a resource.

    Args:
        resource: The resource.
        visits: What lets them work.
        options: What clients may do.
    """

    def __init__(self, resource: Resource, visits: Visits, options: Options) -> None:
        self._resource, self._visits, self._options = resource, visits, options
        self.filters = filters_of(resource.fields.values())
        self.sortable = {name: one for name, one in resource.fields.items() if "lt" in one.kind.operators or one.key}
        self.selections = Selections(resource, options.max_depth)
        self.references = references_of(resource, options.references)
        self._ids = Choices(resource, labelled(resource, options.label))
        self._listed = frozenset((*self.filters, *PAGING, "__order", "__fields"))
        self._schema = to_json(self._told_schema())

    async def list(self, request: Request, user: Any) -> Response:
        """A page of rows."""
        query = Query(request, self._listed)
        if "__page" in query and "__after" in query:
            raise bad_query([Wrong("__after", "both", "goes without __page: it is a place, not a number")])
        number = query.number("__page", 1, 1, 1_000_000_000)
        size = self._size(query)
        order = Order.read(query.one("__order"), self.sortable, self._resource.keys)
        where = conditions(query, self.filters)
        after = query.one("__after")
        if after is not None:
            where.append(order.after(after))
        selection = self.selections.read(query.one("__fields"))

        def work(visit: Visit) -> bytes:
            found = page(
                visit.session, selection, (*visit.where, *where), order, size, number=number,
                most=self._options.max_page_size,
            )  # fmt: skip
            return json(found._asdict())

        return answer(await self._visits.run(request, user, work))

    async def count(self, request: Request, user: Any) -> Response:
        """How many rows there are."""
        where = conditions(Query(request, self.filters), self.filters)

        def work(visit: Visit) -> bytes:
            query = select(func.count()).select_from(self._resource.model).where(*visit.where, *where)
            return json({"count": visit.session.scalar(query)})

        return answer(await self._visits.run(request, user, work))

    async def ids(self, request: Request, user: Any) -> Response:
        """Keys and names of rows."""
        query = Query(request, (*self.filters, "__page_size", "__after", "__search"))
        size, after, search = self._size(query), query.one("__after"), query.one("__search")
        where = conditions(query, self.filters)

        def work(visit: Visit) -> bytes:
            found, place = self._ids.page(visit.session, (*visit.where, *where), size, after, search)
            rows = [{"id": keys.written(key), "label": label} for key, label in found]
            return json({"rows": rows, "next": place})

        return answer(await self._visits.run(request, user, work))

    async def choices(self, request: Request, user: Any, field: str) -> Response:
        """What a foreign key may refer to."""
        reference = self.references.get(field)
        if reference is None:
            raise not_found()
        query = Query(request, ("__page_size", "__after", "__search"))
        size, after, search = self._size(query), query.one("__after"), query.one("__search")

        def work(visit: Visit) -> bytes:
            found, place = reference.choices.page(visit.session, (), size, after, search)
            rows = [{"value": value, "label": label} for (value,), label in found]
            return json({"rows": rows, "next": place})

        return answer(await self._visits.run(request, user, work))

    async def get(self, request: Request, user: Any, row_id: str) -> Response:
        """One row."""
        query = Query(request, ("__fields",))
        selection = self.selections.read(query.one("__fields"))
        key = self._resource.key_from(row_id)
        if key is None:
            raise not_found()

        def work(visit: Visit) -> tuple[bytes, str]:
            found = row_at(visit.session, self._resource, key, visit.where)
            if found is None:
                raise not_found()
            tag = "" if selection.related else tags.tag_of(self._resource.plain(found))
            (chosen,) = told(visit.session, selection, [found], self._options.max_page_size)
            return json(chosen), tag

        body, tag = await self._visits.run(request, user, work)
        headers = {"ETag": tag} if tag else {}
        if tag and tags.unchanged(request, tag):
            return Response(status_code=304, headers=headers)
        return answer(body, headers=headers)

    async def new(self, request: Request, user: Any) -> Response:
        """What a new row is if nobody says otherwise."""
        Query(request, ())
        fields = (one for one in self._resource.fields.values() if one.given)
        return answer(json({one.name: one.default for one in fields}))

    async def schema(self, request: Request, user: Any) -> Response:
        """What can be read, written and asked."""
        Query(request, ())
        return answer(self._schema)

    def _size(self, query: Query) -> int:
        return query.number("__page_size", self._options.page_size, 1, self._options.max_page_size)

    def _told_schema(self) -> dict[str, Any]:
        resource = self._resource
        told: dict[str, Any] = {
            "row": TypeAdapter(resource.row).json_schema(mode="serialization"),
            "key": [one.name for one in resource.keys],
            "filters": {name: one.about for name, one in self.filters.items()},
            "order": list(self.sortable),
            "fields": self.selections.offered(),
            "references": list(self.references),
        }
        if not self._options.read_only:
            told |= {"new": resource.new.json_schema(), "replacement": resource.replacement.json_schema(),
                     "patch": resource.patch.json_schema()}  # fmt: skip
        return told


def json(told: Any) -> bytes:
    """What is told, as JSON."""
    return to_json(told, bytes_mode="base64", inf_nan_mode="null")


def answer(body: bytes, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(body, headers=headers, media_type="application/json")
