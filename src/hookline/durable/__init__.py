"""Durable hooks at work: workers, where deliveries can go instead of to a function, and looking after them."""

from hookline.core.status import Attempt, Count, Status
from hookline.durable.deliveries import Deliveries
from hookline.durable.nats.consumer import NatsConsumer
from hookline.durable.sinks.nats import NatsStream
from hookline.durable.sinks.webhook import Webhook
from hookline.durable.worker import Worker

__all__ = ["Attempt", "Count", "Deliveries", "NatsConsumer", "NatsStream", "Status", "Webhook", "Worker"]
