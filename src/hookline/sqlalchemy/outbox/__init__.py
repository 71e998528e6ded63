"""The outbox: deliveries of durable hooks, in the database of the data."""
