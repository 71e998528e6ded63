"""Hookline on SQLAlchemy: the session's writes become changes, its commit becomes phases."""

from hookline.sqlalchemy.attachment import Attachment, attach, transaction
from hookline.sqlalchemy.capturing import Capture, Captured, capture

__all__ = ["Attachment", "Capture", "Captured", "attach", "capture", "transaction"]
