"""What a resource offers to clients, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hookline.errors import UnknownOptionError
from hookline.http.idempotency import IdempotencyKeys


@dataclass(frozen=True)
class Options:
    """What was given to `CRUD`, which documents each."""

    read_only: bool = True
    user: Callable[..., Any] | None = None
    page_size: int = 50
    max_page_size: int = 1000
    max_depth: int = 0
    label: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    allow_bulk_create: bool = False
    allow_bulk_patch: bool = False
    allow_bulk_delete: bool = False
    max_bulk: int = 1000
    max_body: int = 1_048_576
    require_if_match: bool = False
    idempotency: IdempotencyKeys | None = None

    def __post_init__(self) -> None:
        for name in ("page_size", "max_page_size", "max_bulk", "max_body"):
            if getattr(self, name) < 1:
                raise UnknownOptionError(f"CRUD({name}=...) must be at least 1, not {getattr(self, name)!r}.")
        if self.page_size > self.max_page_size:
            raise UnknownOptionError(
                f"CRUD(page_size={self.page_size}) is more than max_page_size={self.max_page_size}."
            )
        if self.max_depth < 0:
            raise UnknownOptionError(f"CRUD(max_depth=...) must be 0 or more, not {self.max_depth!r}.")
        if self.read_only:
            allowed = [name for name in ("create", "patch", "delete") if getattr(self, f"allow_bulk_{name}")]
            if allowed:
                raise UnknownOptionError(
                    f"CRUD(allow_bulk_{allowed[0]}=True) lets clients write, and without read_only=False they cannot."
                )
