"""What a client says of its connection."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayState:
    """What the connection is doing, for people and for status."""

    name: str
    """connecting, subscribed, unauthorized, down, held or closed."""
    reason: str
    """Why, where there is something to say. It holds no secret and no control character."""
    since: float
    """Unix time at which the name changed, in seconds."""
    connects: int
    """Connections opened so far."""
    last_message_age: float | None
    """Seconds since the relay's last message on this connection; None before the first."""
    alarm: bool
    """The relay keeps sending a message that can't be taken: not UTF-8, or over the limit."""


@dataclass(frozen=True, slots=True)
class RelayCounters:
    """What came from the relay since this client exists."""

    connects: int
    webhooks: int
    bytes: int
    """Of webhook bodies."""
    bad_frames: Mapping[str, int]
    """By the code of `FrameError`, and `ignored` for types and statuses that are not known."""
    cut: int
    """Disconnections at which more webhooks were on their way than could be taken in."""
