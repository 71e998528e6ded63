"""Durable hooks at work: workers, and looking after deliveries."""

from hookline.core.status import Attempt, Count, Status
from hookline.durable.deliveries import Deliveries
from hookline.durable.worker import Worker

__all__ = ["Attempt", "Count", "Deliveries", "Status", "Worker"]
