"""What a self-hosted relay is made of: plain frozen values, no I/O.

Durations are seconds, sizes are bytes.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from bridge.secret import Secret
from bridge.selfhosted.rules import Rule

KIB: Final = 1024
MIB: Final = 1024 * KIB
Network = IPv4Network | IPv6Network
DEFAULT_INPUT_NAME: Final = "Default public endpoint"

_NAMESPACE: Final = UUID("b0a3c1de-3f0f-5b7e-9f1d-6d1f3c0a7e52")


def derived_id(*names: str) -> str:
    """An ID that stays the same as long as the names do. Whoever knows the names can compute it."""
    return str(uuid5(_NAMESPACE, "\0".join(names)))


@dataclass(frozen=True, slots=True)
class Token:
    """Credentials that let a subscriber in, told apart by their key.

    A single API key is the key `whr` with the API key as secret.
    """

    key: str
    secret: Secret = field(default=Secret(""), compare=False)
    """Of a declared token; "" where there is a hash."""
    hash: str = field(default="", compare=False, repr=False)
    """bcrypt, of a token that the interface made."""
    description: str = field(default="", compare=False)
    buckets: frozenset[str] | None = field(default=None, compare=False)
    """Names or IDs of those that it may subscribe to and read; None: all, and to change them."""
    api: bool = field(default=True, compare=False)
    """Whether it is good for the HTTP interface too."""
    active: bool = field(default=True, compare=False)
    created: int = field(default=0, compare=False)
    """Unix time in seconds."""

    def admits(self, key: str, secret: Secret) -> bool:
        """Whether these are a declared token's key and secret; takes the same time whatever differs."""
        same_key = hmac.compare_digest(_digest(self.key), _digest(key))
        same_secret = hmac.compare_digest(_digest(self.secret.reveal()), _digest(secret.reveal()))
        return same_key and same_secret and not self.hash

    def may_see(self, bucket: "Bucket") -> bool:
        """Whether it may subscribe to a bucket and read its log."""
        return self.buckets is None or bucket.id in self.buckets or bucket.name in self.buckets


ANY_OUTPUT: Final = "any"
"""As an input's `response_from_output`: whichever answers first."""
LONGEST_TIMEOUT: Final = 10.0
"""Seconds for which a sender waits, as at the service."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds, evenly or at once."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Auth:
    """What the sender of a webhook has to show: a user and password, or a bearer token."""

    username: str | None
    """None: a token."""
    secret: Secret


@dataclass(frozen=True, slots=True)
class Input:
    """A public endpoint, and what it answers: a subscriber's answer, or the same to everybody."""

    name: str
    id: str
    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    response_from_output: str | None = None
    """Name of the output whose subscriber answers, or ANY_OUTPUT; None: nobody is waited for."""
    timeout: float = LONGEST_TIMEOUT
    """For a subscriber's answer; then the static one is given."""
    template: bool = False
    """Whether `body` holds `{{ … }}` to be filled in."""
    host: str = ""
    """A host name of its own, lower case; "" for any."""
    path: str = ""
    """A path of its own, beside its ID: `/github`."""
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where a bucket's webhooks shall go."""

    name: str
    destination: str
    internal: bool = True
    """Delivered by a subscriber; else the relay itself calls the destination."""
    id: str = ""
    """ "": follows from the names."""
    lock_path: bool = False
    """Whether the request's own path is left out of the destination."""
    headers: tuple[tuple[str, str], ...] = ()
    """Set in what is delivered, over the request's own."""
    rules: Rule | None = None
    """Which requests are delivered; None: all."""
    disabled: bool = False
    timeout: float = 10.0
    """Of one call, seconds; public outputs only."""
    retries: int = 3
    """After the first call; public outputs only."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Inputs and outputs that belong together; what a subscriber subscribes to."""

    name: str
    id: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...] = ()
    auth: Auth | None = None
    """For all of its inputs; None: everybody may send."""
    ephemeral: bool = False
    """Whether its webhooks are kept in memory only."""
    description: str = ""
    created: int = 0
    """Unix time in seconds."""
    updated: int = 0

    @classmethod
    def named(cls, name: str, *, outputs: Iterable[Output] = ()) -> "Bucket":
        """A bucket with one input and derived IDs."""
        only = Input(DEFAULT_INPUT_NAME, derived_id(name, DEFAULT_INPUT_NAME))
        return cls(name, derived_id(name), (only,), tuple(outputs))

    def output_id(self, name: str) -> str:
        """The ID of an output; "" where there is no name. Also of one that is gone meanwhile."""
        found = next((one.id for one in self.outputs if one.name == name), "")
        return found or output_id(self.id, name)

    def words(self) -> frozenset[str]:
        """What it can be called by: subscribers ask by name or by ID, so they share one space."""
        return frozenset((self.name, self.id))


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
    waiting: int = 1000
    """Public requests that wait for a subscriber's answer; further ones have the static answer at once."""

    # A connection
    idle: float = 20.0
    """One that has not sent a whole request head by then is closed."""

    # A subscriber
    connections: int = 1000
    strangers: int = 100
    """Connections that have not subscribed yet."""
    strangers_of_one: int = 50
    """Such from one address."""
    handshake: float = 10.0
    """Time to authenticate and subscribe."""
    client_frame: int = 64 * KIB
    queue_bytes: int = 16 * MIB
    queue_frames: int = 50_000
    unacknowledged: int = 10_000
    """Frames that a subscriber which acknowledges may owe before it gets more."""
    group_window: int = 1000
    """Frames that a member of a group may owe before others get the next ones."""
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

    # Calls to public outputs
    calls: int = 32
    """At the same time."""
    calls_frames: int = 10_000
    """That wait, the ones between two attempts too."""
    calls_bytes: int = 64 * MIB

    # The log on disk
    log_age: float = 24 * 3600.0
    log_bytes: int = 256 * MIB

    stop: float = 5.0
    """Public requests that run when the relay stops may take so long to finish."""


def output_id(bucket_id: str, name: str) -> str:
    """The ID of a bucket's output; "" where there is no output."""
    return derived_id(bucket_id, "output", name) if name else ""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate is that the relay shows to its clients."""

    certificate: Path
    """PEM, with the whole chain."""
    key: Path
    """PEM, without a password."""


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where NATS is, and how to get in."""

    servers: tuple[str, ...]
    """URLs, without credentials."""
    user: str = ""
    password: Secret = field(default=Secret(""), compare=False)
    ca: Path | None = None
    """Certificates that the servers' ones are checked against; None: no TLS, unless a URL says `tls`."""
    certificate: Path | None = None
    """The relay's own, where the servers ask for one."""
    key: Path | None = None
    replicas: int = 1
    """Servers that hold each stream: 1, 3 or 5."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole self-hosted relay."""

    tokens: tuple[Token, ...]
    buckets: tuple[Bucket, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    limits: Limits = field(default_factory=Limits)
    tls: TlsFiles | None = None
    """None: plain HTTP."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    state: Path | None = None
    """Folder of the log and of what the interface made; None: all that is kept in memory only, or in NATS."""
    state_key: Secret | None = None
    """What that is encrypted with, 32 bytes in base64; None: it isn't."""
    engine: NatsSettings | None = None
    """What holds all that instead, for any number of processes; None: this process does."""
    manage: tuple[str, int] | None = None
    """Host and port of the management page; None: there is none."""
    public_url: str = ""
    """Where senders reach the relay, without a trailing slash; "": where it listens."""

    def declared(self) -> tuple[object, ...]:
        """All that it says, to compare: two tokens with one key are equal whatever their secrets."""
        return self, *(one.secret for one in self.tokens)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
