"""What passes through a stream of NATS JetStream, and what runs hooks for it."""
