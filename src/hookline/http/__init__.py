"""Mapped classes over HTTP: `CRUD` is a router for FastAPI, with hooks on requests and on data."""

from hookline.http.crud import CRUD
from hookline.http.hooks import Hook, HookType
from hookline.http.idempotency import IdempotencyKeys

__all__ = ["CRUD", "Hook", "HookType", "IdempotencyKeys"]
