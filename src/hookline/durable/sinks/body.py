"""A delivery as others are told of it: without names of modules, and with everything at its place."""

from __future__ import annotations

import json
from typing import Any

from hookline.core.delivery import Delivery


def public_body(delivery: Delivery) -> bytes:
    """A delivery as JSON, for receivers that know nothing of Hookline.

    A row has ``id``, ``hook``, ``event``, ``model``, ``key``, ``old``, ``new`` and ``created_at``; an update ``fields``
    as well, the names that differ. ``old`` and ``new`` are whole rows, or null where there is none. A link has
    ``relation``, ``subject`` and ``object`` instead of key and rows. What JSON has no type for is an object with one
    name: ``{"$decimal": "9.90"}``, ``{"$datetime": "2025-01-31T12:00:00+00:00"}``.

    Args:
        delivery: Of one change, or of several, which are then in a list named ``changes``.

    Example:
        >>> import datetime as dt
        >>> body = b'{"event": "insert", "model": "shop:Order", "door": "raw", "key": 7, "new": {"id": 7}}'
        >>> delivery = Delivery("3f-1", "tell", 1, 10, dt.datetime(2025, 1, 31, tzinfo=dt.UTC), body)
        >>> json.loads(public_body(delivery))["model"]
        'Order'
    """
    change = json.loads(delivery.body)
    told: dict[str, Any] = {"id": delivery.id, "hook": delivery.hook, "created_at": delivery.created_at.isoformat()}
    told |= {"changes": [_told(one) for one in change]} if isinstance(change, list) else _told(change)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _told(change: dict[str, Any]) -> dict[str, Any]:
    told = {"event": change["event"], "model": _name(change["model"])}
    if "relation" in change:
        near, far = _end(change["near"]), _end(change["far"])
        subject, object_ = (near, far) if change["side"] == "near" else (far, near)
        return told | {"relation": change["relation"], "subject": subject, "object": object_}
    old: Any = change.get("old")
    new: Any = change.get("new")
    told |= {"key": change["key"]}
    if change["event"] == "update":  # the outbox keeps of the old row what differs
        told["fields"] = sorted(old)
        old = {**new, **old}
    return told | {"old": old, "new": new}


def _end(end: dict[str, Any]) -> dict[str, Any]:
    return {"model": _name(end["model"]), "key": dict(zip(end["names"], end["values"], strict=True))}


def _name(model: str) -> str:
    return model.rpartition(":")[2].rpartition(".")[2]
