"""Entity tags: what a row was when a client saw it, so that nobody overwrites what somebody else wrote meanwhile."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from pydantic_core import to_json
from starlette.requests import Request

from hookline.http.problems import Refused

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')
_LIST: Final = re.compile(r'(?:[ \t,]|(?:W/)?"[^"]*"(?=[ \t]*(?:,|$)))*')


def tag_of(row: Mapping[str, Any]) -> str:
    """The tag of a row, as of RFC 9110: it is another whenever the row is.

    It is made of all that clients may see, and so of the version or the stamp that a row has. A stamp alone would not
    do: two changes within one of its seconds would have the same tag.

    Args:
        row: All fields, as JSON has them.
    """
    content = to_json(row, bytes_mode="base64", inf_nan_mode="strings", fallback=str)
    return f'"{base64.urlsafe_b64encode(blake2b(content, digest_size=12).digest()).decode()}"'


def unchanged(request: Request, tag: str) -> bool:
    """Whether a client that reads has this already."""
    given = _given(request, "if-none-match")
    return given is not None and (given.strip() == "*" or tag in [one.removeprefix("W/") for one in _listed(given)])


def hold(request: Request, tag: str) -> None:
    """Refuse to change a row that a client has not seen as it is.

    Raises:
        Refused: It has seen another one.
    """
    given = _given(request, "if-match")
    if given is not None and given.strip() != "*" and tag not in _listed(given):
        raise Refused(
            412, "conflict", "Somebody else has changed the row meanwhile",
            "Read it again, and try again with its ETag.", headers={"ETag": tag},
        )  # fmt: skip


def needed(request: Request) -> None:
    """Refuse to change a row without a word on what the client has seen.

    Raises:
        Refused: It says nothing.
    """
    if "if-match" not in request.headers:
        raise Refused(
            428, "if-match", "If-Match is needed", "Send the ETag of the row that you have read, or * for any."
        )


def _given(request: Request, name: str) -> str | None:
    """A header that may come in several lines."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


def _listed(header: str) -> list[str]:
    """The tags in a header; none if it is no list of tags."""
    return _TAG.findall(header) if _LIST.fullmatch(header) else []
