"""Capture: triggers write old and new rows to a log, in the transaction that writes, whoever writes."""

from hookline.sqlalchemy.capturing.capture import Capture, capture
from hookline.sqlalchemy.capturing.captured import Captured
from hookline.sqlalchemy.capturing.untold import Told, untold

__all__ = ["Capture", "Captured", "Told", "capture", "untold"]
