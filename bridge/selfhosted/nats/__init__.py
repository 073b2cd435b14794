"""The engine of any number of relay processes: NATS JetStream holds webhooks, positions and resources."""
