"""What is done for requests that write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from hookline.http import bodies, keys, tags
from hookline.http.filters import Filter, conditions
from hookline.http.hooks import RequestHooks
from hookline.http.idempotency import Kept, fingerprint_of, key_of
from hookline.http.options import Options
from hookline.http.problems import Refused, Wrong, bad_query, invalid, not_found, too_many
from hookline.http.query import Query
from hookline.http.reading import all_meet, row_at
from hookline.http.reads import answer, json
from hookline.http.resource import Resource
from hookline.http.sessions import commit
from hookline.http.visits import Visit, Visits
from hookline.http.writing import Writer

JSON = "application/json"
_PATH = "/~!$&'()*+,;=:@"
EVERYTHING = "__all"
"""The parameter by which a client says that it means all rows."""


class Writes:
    """The requests that write to a resource.

    Args:
        resource: The resource.
        visits: What lets them work.
        options: What clients may do.
        hooks: The hooks on requests.
        filters: By what rows are chosen.
    """

    def __init__(
        self, resource: Resource, visits: Visits, options: Options, hooks: RequestHooks, filters: dict[str, Filter]
    ) -> None:
        self._resource, self._visits, self._options, self._hooks = resource, visits, options, hooks
        self._filters = filters
        self._many = frozenset((*filters, EVERYTHING))
        self.new, self.replacement, self.changes = resource.new, resource.replacement, resource.patch
        self.several = resource.several(options.max_bulk)

    async def create(self, request: Request, user: Any) -> Response:
        """A new row."""
        Query(request, ())
        body = await bodies.body_of(request, self._options.max_body)
        values = bodies.read(self._resource, self.new, body)

        def work(visit: Visit, writer: Writer) -> Callable[[], Kept]:
            (entity,) = writer.create([values])

            def last() -> Kept:
                key = self._resource.key_of(entity)
                row = self._row(visit, key)
                place = f"{quote(request.url.path.rstrip('/'), safe=_PATH)}/{quote(keys.written(key), safe='~,')}/"
                return Kept(201, {"Location": place, "ETag": tags.tag_of(row)}, json(row))

            return last

        return await self._once(request, user, body, work)

    async def create_many(self, request: Request, user: Any) -> Response:
        """New rows, all or none."""
        Query(request, ())
        body = await bodies.body_of(request, self._options.max_body)
        rows = bodies.read(self._resource, self.several, body, several=self._options.max_bulk)

        def work(visit: Visit, writer: Writer) -> Callable[[], Kept]:
            entities = writer.create(rows)

            def last() -> Kept:
                self._must_be_seen(visit, [self._resource.key_of(entity) for entity in entities])
                return Kept(201, {}, self._ids(entities))

            return last

        return await self._once(request, user, body, work)

    async def replace(self, request: Request, user: Any, row_id: str) -> Response:
        """All of a row."""
        Query(request, ())
        values = bodies.read(self._resource, self.replacement, await bodies.body_of(request, self._options.max_body))
        return await self._change(request, user, row_id, lambda writer, entity: writer.replace(entity, values))

    async def patch(self, request: Request, user: Any, row_id: str) -> Response:
        """Some fields of a row."""
        Query(request, ())
        values = bodies.read(self._resource, self.changes, await bodies.body_of(request, self._options.max_body))
        return await self._change(request, user, row_id, lambda writer, entity: writer.patch([entity], values))

    async def delete(self, request: Request, user: Any, row_id: str) -> Response:
        """No row any more."""
        Query(request, ())

        def work(visit: Visit) -> Response:
            writer, entity = self._found(visit, request, row_id)
            writer.delete([entity])
            commit(visit.session, lambda: None)
            return Response(status_code=204)

        return await self._visits.run(request, user, work)

    async def patch_many(self, request: Request, user: Any) -> Response:
        """Some fields of many rows."""
        where = self._chosen(request)
        values = bodies.read(self._resource, self.changes, await bodies.body_of(request, self._options.max_body))

        def write(visit: Visit, writer: Writer, entities: list[Any]) -> Callable[[], None]:
            found = [self._resource.key_of(entity) for entity in entities]
            writer.patch(entities, values)
            return lambda: self._must_be_seen(visit, found)

        return await self._each(request, user, where, write)

    async def delete_many(self, request: Request, user: Any) -> Response:
        """No such rows any more."""
        where = self._chosen(request)

        def write(_: Visit, writer: Writer, entities: list[Any]) -> Callable[[], None]:
            writer.delete(entities)
            return lambda: None

        return await self._each(request, user, where, write)

    # -- what they have in common

    async def _once(
        self, request: Request, user: Any, body: bytes, work: Callable[[Visit, Writer], Callable[[], Kept]]
    ) -> Response:
        """Do what may be sent twice and happens once, if the client says so."""
        key, kept_in = key_of(request, user), self._options.idempotency
        if key is not None and kept_in is None:
            raise Refused(
                400, "idempotency-off", "Idempotency-Key is not understood here",
                "Nothing here remembers requests: leave the header out, and look for the row before trying again.",
            )  # fmt: skip

        def inside(visit: Visit) -> Response:
            session = visit.session
            writer = Writer(self._resource, self._hooks, session, visit.held)
            if key is not None and kept_in is not None:
                before = kept_in.claim(writer.connection, key, fingerprint_of(body))
                if before is not None:
                    return before.response(JSON, again=True)
            last = work(visit, writer)

            def keep() -> Kept:
                made = last()
                if key is not None and kept_in is not None:
                    kept_in.keep(writer.connection, key, made)
                return made

            with writer.told_by_place():
                return commit(session, keep).response(JSON)

        return await self._visits.run(request, user, inside)

    async def _change(self, request: Request, user: Any, row_id: str, write: Callable[[Writer, Any], None]) -> Response:
        def work(visit: Visit) -> Response:
            writer, entity = self._found(visit, request, row_id)
            write(writer, entity)
            row = commit(visit.session, lambda: self._row(visit, self._resource.key_of(entity)))
            return answer(json(row), headers={"ETag": tags.tag_of(row)})

        return await self._visits.run(request, user, work)

    def _found(self, visit: Visit, request: Request, row_id: str) -> tuple[Writer, Any]:
        """The row that is to be changed, if the client has seen it as it is."""
        if self._options.require_if_match:
            tags.needed(request)
        key = self._resource.key_from(row_id)
        if key is None:
            raise not_found()
        writer = Writer(self._resource, self._hooks, visit.session, visit.held)
        found = writer.find_one(key, visit.where)
        if found is None:
            raise not_found()
        if "if-match" in request.headers:
            tags.hold(request, tags.tag_of(self._resource.seen(found)))
        return writer, found

    async def _each(
        self,
        request: Request,
        user: Any,
        where: Sequence[Any],
        write: Callable[[Visit, Writer, list[Any]], Callable[[], None]],
    ) -> Response:
        most = self._options.max_bulk

        def work(visit: Visit) -> Response:
            writer = Writer(self._resource, self._hooks, visit.session, visit.held)
            entities = writer.find_many([*visit.where, *where], most + 1)
            if len(entities) > most:
                raise too_many(most)
            told = self._ids(entities)
            last = write(visit, writer, entities)
            with writer.told_by_place():
                commit(visit.session, last)
            return answer(told)

        return await self._visits.run(request, user, work)

    def _chosen(self, request: Request) -> list[Any]:
        """The rows that a request is about; all of them only if it says so."""
        query = Query(request, self._many)
        where = conditions(query, self._filters)
        everything = query.one(EVERYTHING)
        if everything not in (None, "true"):
            raise bad_query([Wrong(EVERYTHING, "true", "is true, or left out")])
        if not where and everything is None:
            raise bad_query([Wrong("", "everything", f"choose rows by a filter, or say {EVERYTHING}=true for all")])
        return where

    def _row(self, visit: Visit, key: Sequence[Any]) -> dict[str, Any]:
        found = row_at(visit.session, self._resource, key)
        if found is None:
            raise not_found()
        self._must_be_seen(visit, [tuple(key)])
        return self._resource.plain(found)

    def _must_be_seen(self, visit: Visit, found: Sequence[tuple[Any, ...]]) -> None:
        """Refuse rows that there would not be for who has written them."""
        if not all_meet(visit.session, self._resource, found, visit.where):
            raise invalid([Wrong("", "out_of_reach", "would be a row that you may not see")])

    def _ids(self, entities: Sequence[Any]) -> bytes:
        ids = [keys.written(self._resource.key_of(entity)) for entity in entities]
        return json({"count": len(ids), "ids": ids})
