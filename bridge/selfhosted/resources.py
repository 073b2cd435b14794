"""What a self-hosted relay is made of: plain frozen values, no I/O.

Durations are seconds, sizes are bytes.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from bridge.secret import Secret

KIB: Final = 1024
MIB: Final = 1024 * KIB
DEFAULT_INPUT_NAME: Final = "Default public endpoint"

_NAMESPACE: Final = UUID("b0a3c1de-3f0f-5b7e-9f1d-6d1f3c0a7e52")


def derived_id(*names: str) -> str:
    """An ID that stays the same as long as the names do. Whoever knows the names can compute it."""
    return str(uuid5(_NAMESPACE, "\0".join(names)))


@dataclass(frozen=True, slots=True)
class Token:
    """Credentials that let a subscriber in. A single API key is the key `whr` with the API key as secret."""

    key: str
    secret: Secret

    def admits(self, key: str, secret: Secret) -> bool:
        """Whether these are its key and secret; takes the same time whatever differs."""
        same_key = hmac.compare_digest(_digest(self.key), _digest(key))
        same_secret = hmac.compare_digest(_digest(self.secret.reveal()), _digest(secret.reveal()))
        return same_key and same_secret


@dataclass(frozen=True, slots=True)
class Input:
    """A public endpoint, and what it answers to everybody."""

    name: str
    id: str
    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """Where a bucket's webhooks shall go."""

    name: str
    destination: str
    internal: bool = True
    """Delivered by a subscriber. The socket carries nothing for an output that is not internal."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Inputs and outputs that belong together; what a subscriber subscribes to."""

    name: str
    id: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...] = ()

    @classmethod
    def named(cls, name: str, *, outputs: Iterable[Output] = ()) -> "Bucket":
        """A bucket with one input and derived IDs."""
        only = Input(DEFAULT_INPUT_NAME, derived_id(name, DEFAULT_INPUT_NAME))
        return cls(name, derived_id(name), (only,), tuple(outputs))


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps the relay's memory and patience bounded."""

    # A public request
    body: int = 3 * MIB
    """The service itself takes 3 MB."""
    body_json: int = 12 * MIB
    """A body as JSON text. Escapes can multiply a body by six, and readers stop at frames of 16 MiB."""
    requests: int = 64
    """Public requests whose bodies are read at the same time."""
    request_time: float = 30.0

    # A subscriber
    connections: int = 1000
    strangers: int = 100
    """Connections that have not subscribed yet."""
    handshake: float = 10.0
    """Time to authenticate and subscribe."""
    client_frame: int = 64 * KIB
    queue_bytes: int = 16 * MIB
    queue_frames: int = 50_000
    json_ping: float = 30.0
    confirm: float = 1.0
    """How soon a subscriber is asked whether it received what it was sent."""
    heartbeat: float = 20.0
    """How soon one is asked that was sent nothing."""
    pong: float = 30.0
    """Without an answer for so long it is dead."""
    close: float = 2.0

    # The history
    history_age: float = 600.0
    """As the service, which resends what was missed in the last 10 minutes."""
    history_bytes: int = 64 * MIB
    history_frames: int = 50_000

    stop: float = 5.0
    """Public requests that run when the relay stops may take so long to finish."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole self-hosted relay."""

    tokens: tuple[Token, ...]
    buckets: tuple[Bucket, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    limits: Limits = field(default_factory=Limits)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
