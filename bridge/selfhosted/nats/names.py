"""What things are called in NATS. Pure."""

from hashlib import sha256
from typing import Final

WEBHOOKS: Final = "relay_webhooks"
"""The stream of every frame. Its sequence numbers are the frames' positions."""
OUTCOMES: Final = "relay_outcomes"
"""The stream of what became of frames, the last one by frame."""
RESOURCES: Final = "relay_resources"
"""The key-value bucket of what the interface made."""
PLACES: Final = "relay_places"
"""The key-value bucket of which consumers hold the positions of a token."""
CHANGES: Final = "relay_changes"
"""The stream of who changed which resource."""
REACHED: Final = "relay_reached"
"""The key-value bucket of the last position that somebody received, by bucket."""

ALL: Final = "relay.webhooks.*.*"
"""The subject of every frame."""

ID_HEADER: Final = "Nats-Msg-Id"
"""Holds a frame's ID, so that JetStream drops what is published twice."""
ORIGIN_HEADER: Final = "Relay-Origin"


def webhooks(bucket_id: str, *, internal: bool) -> str:
    """The subject of a bucket's frames; an ID of a bucket can stand in a subject."""
    return f"relay.webhooks.{'internal' if internal else 'public'}.{bucket_id}"


def all_of(bucket_id: str) -> str:
    """The subject of all of a bucket's frames."""
    return f"relay.webhooks.*.{bucket_id}"


def is_internal(subject: str) -> bool:
    """Whether this is the subject of frames for subscribers."""
    return subject.startswith("relay.webhooks.internal.")


def bucket_of(subject: str) -> str:
    """The ID of the bucket whose frames have this subject."""
    return subject.rpartition(".")[2]


def changes() -> str:
    """The subject of who changed which resource."""
    return "relay.changes"


def outcome(log_id: str) -> str:
    """The subject of what became of a frame."""
    return f"relay.outcomes.{log_id}"


def answers(log_id: str) -> str:
    """Where the process listens whose sender waits for an answer to a frame."""
    return f"relay.answers.{log_id}"


def presence(process: str) -> str:
    """Where a process says which of its connections are there."""
    return f"relay.presence.{process}"


def digest(*words: str) -> str:
    """Stands for words that may hold anything, in subjects, keys and names."""
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]
