"""What a routing file says, validated: plain frozen values, no I/O.

Durations are seconds, sizes are bytes. Reading a file into these is `bridge.config.loader`'s work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.config.problems import Position
from bridge.delivery.retry import Retry
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.routing.table import RouteTable
from bridge.secret import Secret
from bridge.verify.schemes import Scheme
from bridge.verify.verifier import Verifier
from bridge.webhook import Webhook

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Where webhooks come from. A change of any of these means a new connection."""

    url: str = DEFAULT_RELAY_URL
    key: str = ""
    secret: Secret = field(default_factory=lambda: Secret(""))
    buckets: tuple[str, ...] | None = None
    """Names or IDs; None: every bucket of the account."""
    ack: bool = False
    """Whether to ask for explicit acknowledgements."""
    group: str = ""
    """Bridges of one group share the webhooks; "": this one gets all of them."""
    max_frame: int = 16 * MIB


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """One MQTT broker."""

    name: str
    scheme: str = "mqtt"
    """mqtt, mqtts, ws or wss."""
    host: str = "127.0.0.1"
    port: int = 1883
    path: str = "/mqtt"
    """For ws and wss."""
    username: str | None = None
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    client_id: str | None = None
    """None: made of the node and broker names, stable per installation."""
    protocol: str = "5"
    """"5" or "3.1.1"."""
    keepalive: int = 30
    max_in_flight: int = 100
    """Publications not yet acknowledged; never more than the broker's Receive Maximum."""

    @property
    def target(self) -> str:
        """The name that deliveries carry."""
        return f"mqtt:{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One HTTP target: a named service, or the origin of a literal URL."""

    name: str
    """The service's name; for a literal URL its origin, `http://127.0.0.1:1880`."""
    url: str
    """Base URL without a trailing slash; requests carry whole URLs, this names the origin."""
    headers: tuple[tuple[str, Secret], ...] = ()
    """Added to each request when it is sent, so they are never in the journal."""
    timeout: float = 15.0
    max_in_flight: int = 10
    retry: Retry = field(default_factory=Retry)
    ca: Path | None = None

    @property
    def target(self) -> str:
        """The name that deliveries carry."""
        return f"http:{self.name}"


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """The store of what is not delivered yet."""

    path: Path | None = None
    """None: `journal.db` in the state folder."""
    max_bytes: int = 256 * MIB
    linger: float = 0.020
    when_full: str = "disconnect"
    """disconnect, drop_oldest or drop_newest."""


@dataclass(frozen=True, slots=True)
class GapSettings:
    """Whether the relay's log is asked for what came while nobody listened."""

    fill: bool = True
    horizon: float = 24 * 3600.0
    """How far back at most."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Where the status page, health and metrics are served."""

    listen: tuple[str, int] | Path
    """Host and port, or the path of a Unix socket."""
    token: Secret | None = None
    """Never None where other machines can connect."""
    bodies: bool = False
    """Whether webhooks are shown with their bodies."""


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """One check of signatures."""

    name: str
    scheme: Scheme
    secrets: tuple[Secret, ...]
    """Any of them may have signed."""
    window: float | None
    """Seconds between sending and receiving; None: any age will do."""
    refuse_replays: bool

    def verifier(self) -> Verifier:
        """What judges by them."""
        return Verifier(
            self.name,
            self.scheme,
            self.secrets,
            window=self.window,
            refuse_replays=self.refuse_replays,
        )


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Status by MQTT."""

    broker: str
    """Target name of a broker (`mqtt:home`)."""
    topic: str
    """Below which all is published."""
    discovery: str = "none"
    """homeassistant or none."""
    discovery_topic: str = "homeassistant"
    """Where Home Assistant looks for devices."""
    commands: bool = False
    """Whether commands by MQTT are obeyed."""


@dataclass(frozen=True, slots=True)
class Silence:
    """When it is too long ago that a route took a webhook."""

    every: float
    """Seconds; the longest time between two webhooks."""
    grace: float = 0.0
    """Seconds that one may be late."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One message, or the answer to the sender, that a test of the file expects."""

    route: str
    """"": any route."""
    facts: Mapping[str, Any]
    """`mqtt` (a topic) or `http` (a whole URL), and what else has to be so; the rest may be anything. Of an
    answer: `reply`, again a mapping of what has to be so."""


@dataclass(frozen=True, slots=True)
class Case:
    """One of the file's own tests."""

    name: str
    webhook: Webhook
    expect: tuple[Expectation, ...]
    """Everything that is sent."""
    place: Position
    verified: bool = True
    """Verifiers take it for genuine, as a test can't be signed; else they judge it as it is."""
    secret: bool = False
    """It holds what a reference stands for, so that nothing of it is shown."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole routing file, ready to be applied."""

    node: str
    relay: RelaySettings
    brokers: Mapping[str, BrokerSettings]
    """By target name (`mqtt:home`)."""
    services: Mapping[str, ServiceSettings]
    """By target name: the named ones, and one for each origin of a literal URL."""
    table: RouteTable
    journal: JournalSettings
    verifiers: Mapping[str, VerifierSettings] = field(default_factory=dict)
    gaps: GapSettings = field(default_factory=GapSettings)
    console: ConsoleSettings | None = None
    """None: there is none."""
    status: StatusSettings | None = None
    silences: Mapping[str, Silence] = field(default_factory=dict)
    """By route, for those that expect webhooks regularly; disabled ones expect none."""
    cases: tuple[Case, ...] = ()
    """The file's own tests."""
    require_tests: bool = False
    """Whether a reload is refused where one of them fails."""
    texts: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    """What was read, references unresolved: the routing file first, then what it includes."""
    fingerprint: str = ""
    """SHA-256 over the files' bytes, as hexadecimal digits."""

    def retry_of(self, target: str) -> Retry:
        """A target's patience; brokers have the default one."""
        service = self.services.get(target)
        return service.retry if service else Retry()

    @property
    def files(self) -> tuple[Path, ...]:
        """What the watcher looks at."""
        return tuple(self.texts)
