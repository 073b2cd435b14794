"""What a self-hosted relay counts."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the relay was made."""

    received: int = 0
    """Public requests for an input that exists."""
    unknown_input: int = 0
    too_large: int = 0
    delivered: int = 0
    """Frames handed to the sockets of subscribers."""
    cut_subscribers: int = 0
    """Closed because they took webhooks too slowly."""
    refused: int = 0
    """Attempts with wrong credentials."""
    malformed: int = 0
    """Messages of clients that are not of the protocol."""
