"""What the interface says of itself: OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, NotRequired

from pydantic import TypeAdapter, WithJsonSchema
from typing_extensions import TypedDict

from hookline.http.filters import Filter
from hookline.http.problems import MEDIA_TYPE, SCHEMA
from hookline.http.reads import Reads
from hookline.http.resource import Resource
from hookline.http.selection import Selections
from hookline.http.writes import EVERYTHING

Described = dict[str, Any]

_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("The query, a header or the body cannot be understood.", "query"),
    404: ("There is no such row.", "not-found"),
    409: ("The same request is still at work.", "idempotency-busy"),
    412: ("Somebody else has changed the row meanwhile.", "conflict"),
    413: ("The body is too large, or there are too many rows.", "too-large"),
    414: ("The address is too long.", "too-long"),
    415: ("The body must be JSON.", "content-type"),
    422: ("What was sent breaks rules.", "validation"),
    428: ("If-Match is needed.", "if-match"),
    500: ("The server failed; the id is in its log.", "error"),
    503: ("The database is busy: try again.", "busy"),
}
_ALWAYS: Final = (414, 500, 503)
_TAG: Final = {"description": "What the row is now; for If-Match.", "schema": {"type": "string"}}


def problems(*statuses: int) -> dict[int | str, Described]:
    """What can go wrong."""
    return {status: _problem(status) for status in sorted((*statuses, *_ALWAYS))}


def _problem(status: int) -> Described:
    if status == 304:
        return {"description": "The client has it already."}
    about, code = _PROBLEMS[status]
    example: Described = {"type": f"urn:hookline:problem:{code}", "title": about.rstrip("."), "status": status}
    if status == 422:
        example["errors"] = [{"field": "name", "code": "string_type", "message": "Input should be a valid string"}]
    if status == 500:
        example["id"] = "3b241101e2bb4255"
    return {"description": about, "content": {MEDIA_TYPE: {"schema": dict(SCHEMA), "example": example}}}


def body(resource: Resource, reader: TypeAdapter[Any], *, most: int | None = None) -> Described:
    """A body that a request must have.

    Args:
        resource: What it is about.
        reader: What reads it.
        most: How many rows it may have, if it has several.
    """
    schema = inlined(reader.json_schema())
    if most is not None:
        schema["maxItems"] = most
    fields = (schema if most is None else schema["items"])["properties"]
    row = {one.name: one.kind.example for one in resource.fields.values() if one.name in fields}
    example: Any = {name: value for name, value in row.items() if value is not None}
    content = {"schema": schema, "example": example if most is None else [example]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def inlined(schema: Described) -> Described:
    """A schema that refers to nothing outside of itself."""
    named = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, dict):
            reference = part.get("$ref", "")
            if reference.startswith("#/$defs/"):
                return {
                    **resolved(named[reference.removeprefix("#/$defs/")]),
                    **{k: v for k, v in part.items() if k != "$ref"},
                }
            return {key: resolved(value) for key, value in part.items()}
        return [resolved(one) for one in part] if isinstance(part, list) else part

    done: Described = resolved(schema)
    return done


def row_of(resource: Resource, selections: Selections) -> Any:
    """A row, with what a client may ask for of related ones; what is further away is not told in detail."""
    if not selections.relations:
        return resource.row
    return resource.row_with({name: _related(resource, name, selections) for name in selections.relations})


def _related(resource: Resource, name: str, selections: Selections) -> Any:
    row = inlined(TypeAdapter(selections.reached((name,)).row).json_schema(mode="serialization"))
    if selections.depth > 1:
        row["additionalProperties"] = True
    if not resource.relations[name].uselist:
        return Annotated[Any, WithJsonSchema({"anyOf": [row, {"type": "null"}]})]
    rows = {"rows": {"type": "array", "items": row}, "more": {"type": "boolean"}}
    whole = {"type": "object", "properties": rows, "required": list(rows), "additionalProperties": False}
    return Annotated[Any, WithJsonSchema(whole)]


def page_of(resource: Resource, row: Any) -> Any:
    """A page of rows."""
    make: Any = TypedDict
    rows: Any = list
    return make(f"{resource.name}Page", {"rows": rows[row], "next": str | None})


class Count(TypedDict):
    """How many rows there are."""

    count: int


class Named(TypedDict):
    """A row by its key and its name."""

    id: str
    label: str


class NamedPage(TypedDict):
    """A page of rows by name."""

    rows: list[Named]
    next: str | None


class Choice(TypedDict):
    """What a foreign key may be, and its name."""

    value: Any
    label: str


class ChoicePage(TypedDict):
    """A page of choices."""

    rows: list[Choice]
    next: str | None


class Written(TypedDict):
    """Which rows were written."""

    count: int
    ids: list[str]


class Schemas(TypedDict):
    """What can be read, written and asked."""

    row: dict[str, Any]
    key: list[str]
    filters: dict[str, str]
    order: list[str]
    fields: list[str]
    references: list[str]
    new: NotRequired[dict[str, Any]]
    replacement: NotRequired[dict[str, Any]]
    patch: NotRequired[dict[str, Any]]


def parameter(name: str, about: str, schema: Described, *, place: str = "query", required: bool = False) -> Described:
    """One parameter."""
    return {"name": name, "in": place, "required": required, "description": about, "schema": schema}


def filters(chosen: Mapping[str, Filter]) -> list[Described]:
    """The parameters by which rows are chosen."""
    compared = {one.field.name: one.field.kind.value for one in chosen.values() if one.operator != "null"}
    schemas = {name: inlined(values.json_schema()) for name, values in compared.items()}
    return [_filter(name, one, schemas.get(one.field.name, {})) for name, one in chosen.items()]


def _filter(name: str, one: Filter, schema: Described) -> Described:
    if one.operator == "null":
        return parameter(name, one.about, {"type": "boolean"})
    if one.operator == "in":
        return {**parameter(name, one.about, {"type": "array", "items": schema}), "style": "form", "explode": True}
    return parameter(name, one.about, schema)


def paging(page_size: int, most: int) -> tuple[Described, Described, Described]:
    """The parameters by which a list is cut into pages: how long they are, where one begins, and its number."""
    size = {"type": "integer", "minimum": 1, "maximum": most, "default": page_size}
    number = {"type": "integer", "minimum": 1, "maximum": 1_000_000_000}
    return (
        parameter("__page_size", "How many rows are on a page.", size),
        parameter("__after", "Where the page begins: what `next` was on the page before.", {"type": "string"}),
        parameter("__page", "Which page, from 1; instead of __after.", number),
    )


def order(reads: Reads) -> Described:
    """The parameter by which rows are sorted."""
    names = "|".join(sorted(reads.sortable))
    schema = {"type": "string", "pattern": f"^-?({names})(,-?({names}))*$"}
    return parameter("__order", "What rows are sorted by: names with commas between, - for falling.", schema)


def selection(reads: Reads) -> Described:
    """The parameter by which fields are chosen."""
    offered = reads.selections
    words = [one.replace(".", r"\.") for one in sorted(offered.offered())]
    further = [rf"{one}(\.\w+){{2,{offered.depth}}}" for one in offered.relations] if offered.depth > 1 else []
    names = "|".join((*words, *further))
    schema = {"type": "string", "pattern": f"^({names})(,({names}))*$"}
    return parameter("__fields", "The fields to tell, with commas between; of related rows: relation.field.", schema)


def everything() -> Described:
    """The parameter that says that all rows are meant."""
    schema = {"type": "string", "enum": ["true"]}
    return parameter(EVERYTHING, "All rows are meant, and no filter is needed.", schema)


def header(name: str, about: str, *, required: bool = False, **bounds: Any) -> Described:
    """A header that a request may have, or must."""
    return parameter(name, about, {"type": "string", **bounds}, place="header", required=required)


def headers(*names: str) -> Described:
    """Headers that an answer has."""
    return {"headers": {name: _TAG if name == "ETag" else {"schema": {"type": "string"}} for name in names}}
