"""Hookline on SQLAlchemy: the session's writes become changes, its commit becomes phases."""

from hookline.sqlalchemy.attachment import Attachment, attach, transaction

__all__ = ["Attachment", "attach", "transaction"]
