"""Durable hooks at work: workers, and where deliveries can go instead of to a function."""

from hookline.durable.worker import Worker

__all__ = ["Worker"]
