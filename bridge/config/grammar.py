"""The routing file's grammar: every key with its shape, its meaning and its default.

A new key is one line here, and a field of the same name in `bridge.config.model`.
"""

from typing import Final

from bridge.config.conditions import MatchShape
from bridge.config.model import BrokerSettings, JournalSettings, ServiceSettings
from bridge.config.records import Key, Record, Tagged
from bridge.config.shapes import (
    Boolean,
    ByKind,
    Choice,
    Duration,
    FilePath,
    Integer,
    ListOf,
    MappingOf,
    Placed,
    SecretText,
    Size,
    String,
    UrlOf,
)
from bridge.config.templates import Anything, HeaderShape, OrderShape, PayloadShape, TemplateIn
from bridge.delivery.retry import Retry
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.routing.items import METHODS
from bridge.routing.template import Place

_BROKER: Final = BrokerSettings("")
_SERVICE: Final = ServiceSettings("", "")
_JOURNAL: Final = JournalSettings()
_RETRY: Final = Retry()

NAME: Final = String(r"[A-Za-z0-9_-]{1,64}", "a name of letters, digits, _ and - (at most 64)")
HEADER_NAME: Final = (
    r"(?!(?i:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)\Z)"
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
)
"""A token (RFC 9110, section 5.6.2) but those that frame the message or belong to one connection."""
QOS: Final = Integer(0, 2)
PATTERN: Final = String(r"[^\x00]{1,256}", "a pattern of at most 256 characters")
METHOD: Final = Choice(tuple(sorted(METHODS)))
EXPIRY: Final = Duration("1s", "8760h")
FORMAT: Final = Choice(("raw", "envelope", "webhookrelay"))

RELAY: Final = Record(
    "relay",
    (
        Key(
            "url",
            UrlOf(("wss", "ws"), "write `key` and `secret`"),
            "The relay's WebSocket.",
            DEFAULT_RELAY_URL,
        ),
        Key("key", String(), "Key of the access token.", None),
        Key("secret", SecretText(), "Secret of the access token.", None),
        Key("api_key", SecretText(), "One API key instead of key and secret.", None),
        Key(
            "buckets",
            ByKind(scalar=Choice(("all",)), sequence=ListOf(String(), least=1)),
            "Buckets to subscribe to, by name or ID, or `all`; left out: those that routes name.",
            None,
        ),
    ),
)

BROKER: Final = Record(
    "broker",
    (
        Key(
            "url",
            UrlOf(("mqtt", "mqtts", "ws", "wss"), "write `username` and `password`"),
            "Where the broker listens.",
        ),
        Key("username", String(), "User name.", _BROKER.username),
        Key("password", SecretText(), "Password.", _BROKER.password),
        Key("ca", FilePath(), "Certificates to trust instead of the system's (PEM).", _BROKER.ca),
        Key("cert", FilePath(), "Certificate that the bridge shows (PEM).", _BROKER.cert),
        Key("key", FilePath(), "Private key of `cert` (PEM).", _BROKER.key),
        Key(
            "client_id",
            String(),
            "MQTT client ID; left out: made of node and broker name.",
            _BROKER.client_id,
        ),
        Key("protocol", Choice(("5", "3.1.1")), "MQTT version; 3.1.1 hides failures.", _BROKER.protocol),
        Key("keepalive", Integer(5, 65535), "Seconds between pings.", _BROKER.keepalive),
        Key("max_in_flight", Integer(1, 1000), "Unacknowledged messages at a time.", _BROKER.max_in_flight),
    ),
)

RETRY: Final = Record(
    "retry",
    (
        Key("attempts", Integer(1, 1000), "Attempts that the target answers.", _RETRY.attempts),
        Key("first", Duration("10ms", "1h"), "Wait before the second attempt.", _RETRY.first),
        Key("longest", Duration("10ms", "24h"), "Longest wait between attempts.", _RETRY.longest),
    ),
)

SERVICE: Final = Record(
    "service",
    (
        Key("url", UrlOf(("http", "https"), "send a header `Authorization`"), "Base URL; items add a path."),
        Key(
            "headers",
            MappingOf(SecretText(header=True), HEADER_NAME),
            "Headers sent with each request.",
            {},
        ),
        Key("timeout", Duration("10ms", "10m"), "Time for one request.", _SERVICE.timeout),
        Key("max_in_flight", Integer(1, 1000), "Requests at a time.", _SERVICE.max_in_flight),
        Key("retry", RETRY, "When to try again.", None),
        Key("ca", FilePath(), "Certificates to trust instead of the system's (PEM).", _SERVICE.ca),
    ),
)

VERIFIER: Final = Record(
    "verifier",
    (
        Key("scheme", String(), "How the provider signs."),
        Key("secrets", ListOf(SecretText(), least=1), "Secrets, any of which may have signed."),
    ),
)

DEFAULTS: Final = Record(
    "defaults",
    (
        Key("qos", QOS, "MQTT quality of service.", 1),
        Key("retain", Boolean(), "Whether brokers keep the message for later subscribers.", default=False),
        Key("expire_after", EXPIRY, "How long delivery is tried.", 72 * 3600.0),
    ),
)

MQTT_ITEM: Final = Record(
    "mqtt item",
    (
        Key("mqtt", TemplateIn(Place.TOPIC), "The topic."),
        Key("broker", String(), "A name of `brokers`; left out: the only one.", None),
        Key("payload", PayloadShape(), "What is published; left out: the body, byte for byte.", None),
        Key("format", FORMAT, "What is published, instead of `payload`.", None),
        Key("qos", QOS, "Quality of service; left out: `defaults`.", None),
        Key("retain", Boolean(), "Whether the broker keeps it; left out: `defaults`.", None),
        Key("expire_after", EXPIRY, "How long delivery is tried; also the message's expiry.", None),
    ),
)

HTTP_ITEM: Final = Record(
    "http item",
    (
        Key("http", String(expects="a URL, or a path with `service:`"), "The URL, or a path of the service."),
        Key("service", String(), "A name of `services`.", None),
        Key("method", METHOD, "Left out: the webhook's.", None),
        Key("headers", MappingOf(HeaderShape(), HEADER_NAME), "Headers to add, with {{ … }} or ${…}.", {}),
        Key("payload", PayloadShape(), "The body; left out: the webhook's, byte for byte.", None),
        Key("format", FORMAT, "What is sent, instead of `payload`.", None),
        Key("expire_after", EXPIRY, "How long delivery is tried; left out: `defaults`.", None),
        Key("timeout", Duration("10ms", "10m"), "Time for one request; left out: the service's.", None),
        Key("max_in_flight", Integer(1, 1000), "Requests at a time; left out: the service's.", None),
        Key("retry", RETRY, "When to try again; left out: the service's.", None),
        Key("ca", FilePath(), "Certificates to trust; left out: the service's.", None),
    ),
)

SEND: Final = ListOf(Tagged("a send item", (("mqtt", MQTT_ITEM), ("http", HTTP_ITEM))), least=1)

REPLY: Final = Record(
    "reply",
    (
        Key("status", Integer(100, 599), "Status of the answer to the sender.", None),
        Key("body", PayloadShape(), "Body of the answer.", None),
        Key("headers", MappingOf(String(), HEADER_NAME), "Headers of the answer.", {}),
        Key("from", Choice(("http", "mqtt")), "The item whose answer is passed on.", None),
        Key("timeout", Duration("10ms", "10m"), "How long the sender waits.", None),
    ),
)

ROUTE: Final = Record(
    "route",
    (
        Key("name", NAME, "Unique name, seen in logs, status and messages."),
        Key("enabled", Boolean(), "Whether the route is used.", default=True),
        Key("match", MatchShape(), "Which webhooks; left out: every one.", None),
        Key("when", TemplateIn(Place.VALUE), "A condition that `match` can't say.", None),
        Key("verify", String(), "A name of `verifiers`.", None, supported=False),
        Key("dedupe", TemplateIn(Place.TEXT), "What makes two webhooks the same.", None, supported=False),
        Key("order", OrderShape(), "What keeps its order; left out: the route; `none`: no order.", None),
        Key("send", SEND, "Where a webhook goes."),
        Key("expire_after", EXPIRY, "How long delivery is tried; left out: `defaults`.", None),
        Key("reply", REPLY, "The answer to the sender.", None, supported=False),
        Key("final", Boolean(), "Whether the routes below are skipped after a match.", default=False),
    ),
)

GIVEN: Final = Record(
    "given",
    tuple(
        Key(name, Anything(), f"The webhook's {name}.", None)
        for name in ("bucket", "input", "output", "method", "path", "query", "headers", "body", "form", "raw")
    ),
)

EXPECTED: Final = Record(
    "expect",
    (
        Key("route", String(), "The route's name."),
        Key("mqtt", String(), "The topic.", None),
        Key("http", String(), "The URL.", None),
        Key("payload", Anything(), "What is sent.", None),
    ),
)

TEST: Final = Record(
    "test",
    (
        Key("name", String(), "What is tested."),
        Key("given", GIVEN, "The webhook."),
        Key("expect", ListOf(EXPECTED), "Everything it becomes."),
    ),
)

JOURNAL: Final = Record(
    "journal",
    (
        Key("path", FilePath(exists=False), "The database; left out: in the state folder.", _JOURNAL.path),
        Key("max_bytes", Size("1MiB", "1024GiB"), "What it may hold.", _JOURNAL.max_bytes),
        Key("linger", Duration("0ms", "10s"), "Time to be delivered without a write.", _JOURNAL.linger),
        Key(
            "when_full",
            Choice(("disconnect", "drop_oldest", "drop_newest")),
            "What gives way at `max_bytes`.",
            _JOURNAL.when_full,
        ),
    ),
)

CONSOLE: Final = Record(
    "console",
    (
        Key("listen", String(), "Address and port, or the path of a Unix socket."),
        Key("token", SecretText(header=True), "Needed beyond this machine.", None),
    ),
)

STATUS: Final = Record(
    "status",
    (
        Key("broker", String(), "A name of `brokers`; left out: the only one.", None),
        Key("topic", String(), "Topic below which status is published.", None),
        Key("discovery", Choice(("homeassistant", "none")), "Who finds the bridge by itself.", "none"),
    ),
)

GAPS: Final = Record(
    "gaps",
    (
        Key("fill", Boolean(), "Whether missed webhooks are asked for.", default=True),
        Key("horizon", Duration("1m", "720h"), "How far back.", 24 * 3600.0),
    ),
)

_ROUTES: Final = Key(
    "routes", ListOf(ROUTE), "What becomes of webhooks; every route that matches delivers.", []
)
_TESTS: Final = Key("tests", ListOf(TEST), "Webhooks, and what must become of them.", [], supported=False)

INCLUDED: Final = Record("included file", (_ROUTES, _TESTS))

FILE: Final = Record(
    "routing file",
    (
        Key("node", NAME, "Name of this bridge in topics and client IDs; left out: the host's.", None),
        Key("relay", RELAY, "Where webhooks come from.", None),
        Key("brokers", MappingOf(BROKER), "MQTT brokers by name.", {}),
        Key("services", MappingOf(SERVICE), "HTTP services by name.", {}),
        Key("verifiers", MappingOf(VERIFIER), "Signature checks by name.", {}, supported=False),
        Key("defaults", DEFAULTS, "For all items that don't say otherwise.", None),
        _ROUTES,
        Key(
            "unmatched",
            ByKind(scalar=Choice(("count", "dead")), sequence=SEND),
            "What becomes of a webhook that no route matches.",
            "count",
        ),
        Key("include", ListOf(Placed(PATTERN)), "Patterns of files with more routes.", []),
        _TESTS,
        Key("journal", JOURNAL, "What is kept until it is delivered.", None),
        Key("console", CONSOLE, "Status page, health and metrics.", None, supported=False),
        Key("status", STATUS, "Status by MQTT.", None, supported=False),
        Key("gaps", GAPS, "What is asked for after a lost connection.", None, supported=False),
    ),
)
