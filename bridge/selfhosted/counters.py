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
    answered: int = 0
    """Senders that had the answer of a subscriber."""
    unanswered: int = 0
    """Senders that had the static answer instead, since there was none in time."""
    denied: int = 0
    """Public requests without the credentials that their bucket asks for."""
    limited: int = 0
    """Public requests over their input's rate."""
    called: int = 0
    """Calls of public outputs that worked."""
    calls_failed: int = 0
    idle: int = 0
    """Connections that were closed because nothing came."""
    unkept: int = 0
    """Frames that could not be written to the log."""
    malformed: int = 0
    """Messages of clients that are not of the protocol."""
