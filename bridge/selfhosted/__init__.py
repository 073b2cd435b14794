"""The self-hosted relay: the same protocol from the other side."""
