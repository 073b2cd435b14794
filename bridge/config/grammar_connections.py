"""The grammar of what the bridge connects to, and of whom it believes."""

from typing import Final

from bridge.config.containers import ByKind, ListOf, MappingOf
from bridge.config.grammar_values import HEADER_NAME, NAME
from bridge.config.model import BrokerSettings, ServiceSettings
from bridge.config.records import Key, Record
from bridge.config.shapes import (
    Choice,
    Duration,
    FilePath,
    Integer,
    SecretText,
    String,
    UrlOf,
)
from bridge.delivery.retry import Retry
from bridge.relay.protocol import DEFAULT_RELAY_URL
from bridge.verify.keys import ALGORITHMS, ENCODINGS
from bridge.verify.schemes import SCHEMES

_BROKER: Final = BrokerSettings("")

_SERVICE: Final = ServiceSettings("", "")

_RETRY: Final = Retry()

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
        Key(
            "ack",
            Choice(("auto", "explicit", "off")),
            "Whether webhooks are acknowledged, as a self-hosted relay offers; `auto`: not to the service.",
            "auto",
        ),
        Key(
            "group",
            NAME,
            "Bridges of one group share the webhooks, as a self-hosted relay offers; no gaps are filled.",
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

SIGNATURE_HEADER: Final = String(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "the name of a header")

VERIFIER: Final = Record(
    "verifier",
    (
        Key("scheme", Choice((*SCHEMES, "hmac", "bearer")), "How the sender signs."),
        Key(
            "secrets",
            ByKind(scalar=SecretText(), sequence=ListOf(SecretText(), least=1)),
            "The secret, or several, any of which may have signed.",
        ),
        Key("window", Duration("1s", "720h"), "Greatest age; left out: the scheme's usual one.", None),
        Key("replay", Choice(("reject", "accept")), "What becomes of a copy; left out: as usual.", None),
        Key("header", SIGNATURE_HEADER, "hmac and bearer: the header with the signature or token.", None),
        Key("algorithm", Choice(ALGORITHMS), "hmac: the hash function.", "sha256"),
        Key("encoding", Choice(tuple(ENCODINGS)), "hmac: how the digest is written.", "hex"),
        Key("prefix", String(), "hmac and bearer: what stands before the digest or token.", None),
        Key("signed", String(), "hmac: what is signed, with {body}, {timestamp} and {id}.", "{body}"),
        Key("timestamp_header", SIGNATURE_HEADER, "hmac: the header with the Unix time.", None),
        Key("id_header", SIGNATURE_HEADER, "hmac and bearer: the header with the delivery's ID.", None),
    ),
)
