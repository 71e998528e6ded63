"""What a client is told when something is wrong: problem details, as of RFC 9457, by field."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import uuid4

from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from sqlalchemy.exc import CircularDependencyError, DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hookline.errors import ValidationError
from hookline.http.resource import Resource
from hookline.sqlalchemy.constraints import violation_of

log = logging.getLogger("hookline.http")

MEDIA_TYPE: Final = "application/problem+json"

_TRANSIENT: Final = frozenset({"40001", "40P01", "55P03", "57014", "53300"})
"""States of SQL in which the same request may succeed a moment later."""

_UNSEEN: Final = {"check": "does not meet a constraint"}
"""What is said instead of a message that names the constraint of a secret."""

SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "What is wrong, as of RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "What kind of problem it is: it never changes."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "id": {"type": "string", "description": "Of an error of the server: where its log tells more."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "Empty if it is about the row as a whole."},
                    "code": {"type": "string", "description": "For programs: it never changes."},
                    "message": {"type": "string"},
                    "parameters": {"type": "object", "description": "What a translation of the message needs."},
                    "index": {"type": "integer", "description": "Which of several rows, from 0."},
                },
            },
        },
    },
}


MOST_TOLD: Final = 50
"""How many of the things that are wrong one answer lists: it must not be much larger than what was sent."""


class Wrong(NamedTuple):
    """One thing that is wrong with what a client has sent.

    Attributes:
        field: The field or parameter; empty for the whole.
        code: A short name for programs.
        message: For people.
        parameters: What a translation needs.
        place: Which of several rows.
    """

    field: str
    code: str
    message: str
    parameters: Mapping[str, Any] = {}
    place: int | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        told: dict[str, Any] = {"field": self.field, "code": self.code, "message": self.message}
        if self.parameters:
            told["parameters"] = dict(self.parameters)
        if self.place is not None:
            told["index"] = self.place
        return told


class Refused(HTTPException):
    """A request that is answered with a problem.

    Args:
        status: The status code.
        code: The kind of problem.
        title: The kind, for people.
        detail: What is wrong this time.
        errors: The same, by field.
        headers: What the answer has besides.
    """

    def __init__(
        self, status: int, code: str, title: str, detail: str = "", errors: Iterable[Wrong] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(status, detail or title, headers)
        self.code, self.title, self.errors = code, title, tuple(errors)

    def response(self) -> Response:
        """The answer."""
        return _problem(self.status_code, self.code, self.title, self.detail, self.errors, self.headers)


def invalid(errors: Iterable[Wrong]) -> Refused:
    """What was sent breaks rules."""
    listed = tuple(errors)
    more = f"{MOST_TOLD} of {len(listed)} errors are listed." if len(listed) > MOST_TOLD else ""
    return Refused(422, "validation", "What was sent breaks rules", more, listed[:MOST_TOLD])


def bad_query(errors: Iterable[Wrong]) -> Refused:
    """The query cannot be understood."""
    listed = tuple(islice(errors, MOST_TOLD))
    detail = "; ".join(f"{one.field}: {one.message}" for one in listed)
    return Refused(400, "query", "The query cannot be understood", detail, listed)


def not_found() -> Refused:
    """There is no such row, or not for this client."""
    return Refused(404, "not-found", "There is no such row")


def too_many(limit: int) -> Refused:
    """More rows than one request may write."""
    return Refused(413, "too-many-rows", "Too many rows", f"One request writes {limit} rows at most.")


def refusal_of(error: ValidationError, resource: Resource, index_of: Mapping[int, int] | None = None) -> Refused:
    """What a client is told of broken rules.

    Args:
        error: What the hooks say, or the database's constraints.
        resource: What the request was about.
        index_of: Which of several rows an entity is, by its `id()`.
    """
    places = index_of or {}
    told = (Wrong(one.field, one.code, one.text, one.parameters, places.get(id(one.entity))) for one in error.problems)
    return _seen(told, resource)


def _seen(errors: Iterable[Wrong], resource: Resource) -> Refused:
    """The same, without the names of what the client does not see."""
    hidden = resource.hidden
    return invalid(
        one._replace(field="", message=_UNSEEN.get(one.code, one.message), parameters={})
        if one.field in hidden
        else one
        for one in errors
    )


def answer_to(error: Exception, request: Request, resource: Resource) -> Response | None:
    """The answer to a request that failed; None if the application has a handler of its own for such an error.

    Args:
        error: Why it failed.
        request: The request.
        resource: What it was about.
    """
    if isinstance(error, Refused):
        return error.response()
    if isinstance(error, HTTPException) and not _has_own(request, error):
        code = f"http-{error.status_code}"
        return _problem(error.status_code, code, str(error.detail), None, (), error.headers)
    if isinstance(error, RequestValidationError) and _handler(request, error) is request_validation_exception_handler:
        return invalid(Wrong(str(one["loc"][-1]), one["type"], one["msg"]) for one in error.errors()).response()
    if _handler(request, error) is not None:
        return None
    known = _known(error, resource)
    if known is not None:
        return known.response()
    if {500, Exception} & getattr(request.app, "exception_handlers", {}).keys():
        return None
    number = uuid4().hex
    log.error("%s %s failed [%s]", request.method, request.url.path, number, exc_info=error)
    body = {"type": _type("error"), "title": "The server failed", "status": 500, "id": number}
    return Response(to_json(body), 500, media_type=MEDIA_TYPE)


def _known(error: Exception, resource: Resource) -> Refused | None:
    """What a client is told of an error of data or of the database; None if it is the program's."""
    if isinstance(error, ValidationError):
        return refusal_of(error, resource)
    if isinstance(error, StaleDataError):
        return Refused(412, "conflict", "Somebody else has changed the row meanwhile")
    if isinstance(error, IntegrityError):  # of a table that no rule book is about, or it would be a ValidationError
        violation = violation_of(error.orig or error, resource.table)
        if violation is not None:
            parameters = {"constraint": violation.constraint or "", "table": resource.table.name}
            message = violation.message.format(**parameters)
            fields = [resource.named(column) for column in violation.columns] or [""]
            return _seen((Wrong(field, violation.kind, message, parameters) for field in fields), resource)
    if isinstance(error, PoolTimeoutError) or (isinstance(error, DBAPIError) and _transient(error)):
        return Refused(503, "busy", "The database is busy: try again", headers={"Retry-After": "1"})
    if isinstance(error, DataError) or _overflows(error):
        return invalid([Wrong("", "out_of_range", "a value does not fit into its column")])
    if isinstance(error, CircularDependencyError):
        return invalid([Wrong("", "circle", "rows refer to each other in a circle: none can be written first")])
    return None


def _transient(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state in _TRANSIENT or re.search(r"database (table )?is locked", str(error.orig)) is not None


def _overflows(error: Exception) -> bool:
    """Whether a number is too large for the driver, which does not always say so as drivers should."""
    if isinstance(error, StatementError):
        return isinstance(error.orig, OverflowError)
    return isinstance(error, OverflowError) and "SQLite" in str(error)


def _has_own(request: Request, error: HTTPException) -> bool:
    """Whether the application answers such errors in its own way, and not in that of its framework."""
    _, by_status = request.scope.get("starlette.exception_handlers", ({}, {}))
    found = by_status.get(error.status_code) or _handler(request, error)
    return found is not None and getattr(found, "__module__", "").partition(".")[0] not in ("fastapi", "starlette")


def _handler(request: Request, error: Exception) -> object:
    """What the application has to answer to errors of such a class; None if it has nothing."""
    by_class, _ = request.scope.get("starlette.exception_handlers", ({}, {}))
    found = (by_class.get(kind) for kind in type(error).__mro__ if kind is not Exception)
    return next((one for one in found if one is not None), None)


def _problem(
    status: int, code: str, title: str, detail: str | None, errors: Iterable[Wrong], headers: Mapping[str, str] | None
) -> Response:
    body: dict[str, Any] = {"type": _type(code), "title": title, "status": status}
    if detail and detail != title:
        body["detail"] = detail
    if errors:
        body["errors"] = [one.plain() for one in errors]
    content = to_json(body, fallback=str, inf_nan_mode="null")
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _type(code: str) -> str:
    return f"urn:hookline:problem:{code}"
