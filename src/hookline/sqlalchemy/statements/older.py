"""The older bulk methods of a session, which tell no event that they write: they are told here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from hookline.sqlalchemy.attachment import Attachment

_METHOD: Final = "_bulk_save_mappings"
"""What bulk_save_objects, bulk_insert_mappings and bulk_update_mappings all call."""


def listen(owner: Any, attachments_of: Callable[[Session], list[Attachment]]) -> None:
    """Let a session class, or one session, run hooks around its older bulk methods.

    It is done once for any number of rule books, and stays when they are detached: without any, the
    method does what it did.
    """
    if getattr(vars(owner).get(_METHOD), "__hookline__", False):
        return
    inherited: Callable[..., None] = getattr(owner, _METHOD)

    def save(session: Session, mapper: Any, mappings: Any, /, **options: Any) -> None:
        bound = inherited if isinstance(owner, Session) else inherited.__get__(session)
        for attachment in attachments_of(session):
            bound = attachment.around_bulk(session, bound)
        bound(mapper, mappings, **options)

    method: Any = save.__get__(owner) if isinstance(owner, Session) else save
    save.__hookline__ = True  # type: ignore[attr-defined]
    setattr(owner, _METHOD, method)
