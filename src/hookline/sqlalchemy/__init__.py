"""Hookline on SQLAlchemy: the session's writes become changes, its commit becomes phases."""

from hookline.sqlalchemy.attachment import Attachment, attach, transaction
from hookline.sqlalchemy.capturing import Capture, Captured, capture
from hookline.sqlalchemy.outbox.tables import Outbox

__all__ = ["Attachment", "Capture", "Captured", "Outbox", "attach", "capture", "transaction"]
