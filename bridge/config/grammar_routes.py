"""The grammar of routes: which webhooks they take, and what they send."""

from typing import Final

from bridge.config.conditions import MatchShape
from bridge.config.containers import ListOf, MappingOf
from bridge.config.grammar_connections import RETRY
from bridge.config.grammar_values import EXPIRY, HEADER_NAME, METHOD, NAME, QOS
from bridge.config.model import Silence
from bridge.config.records import Key, Record, Tagged
from bridge.config.shapes import (
    Boolean,
    Choice,
    Duration,
    FilePath,
    Integer,
    String,
)
from bridge.config.templates import HeaderShape, OrderShape, PayloadShape, TemplateIn
from bridge.routing.template import Place

_SILENCE: Final = Silence(0.0)

FORMAT: Final = Choice(("raw", "envelope", "webhookrelay"))

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
        Key(
            "kind",
            Choice(("event", "state")),
            "What it tells: a moment (never retained, expires), or what holds from now on (retained).",
            None,
        ),
        Key("qos", QOS, "Quality of service; left out: 1 with `kind`, else `defaults`.", None),
        Key("retain", Boolean(), "Whether the broker keeps it; left out: as `kind` or `defaults` say.", None),
        Key("expire_after", EXPIRY, "How long delivery is tried; also the message's expiry.", None),
    ),
)

HTTP: Final = String(
    expects="a URL, or a path with `service:`",
    examples=("http://127.0.0.1:1880/doors/{{ body.door }}", "/ci/push"),
)

HTTP_ITEM: Final = Record(
    "http item",
    (
        Key("http", HTTP, "The URL, or a path of the service; may hold {{ … }}."),
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
        Key("status", Integer(200, 599), "Status of the answer; left out: 200, with `from` 202.", None),
        Key("body", PayloadShape(), "Body of the answer.", None),
        Key(
            "headers",
            MappingOf(TemplateIn(Place.HEADER), HEADER_NAME),
            "Headers of the answer.",
            {},
        ),
        Key(
            "from",
            Choice(("http", "mqtt")),
            "Whose answer is passed on, of the first such item; the rest is for when none comes in time.",
            None,
        ),
        Key("timeout", Duration("10ms", "9s"), "How long it is waited for; left out: 8s.", None),
    ),
)

SILENCE: Final = Record(
    "expect",
    (
        Key("every", Duration("1m", "8760h"), "The longest time between two webhooks."),
        Key("grace", Duration("0s", "720h"), "How much later one may be.", _SILENCE.grace),
    ),
)

RATE: Final = Record(
    "rate",
    (
        Key("limit", Integer(1, 100_000), "Webhooks that are sent in the time `per`."),
        Key("per", Duration("1s", "24h"), "The time for `limit` webhooks.", 1.0),
        Key("burst", Integer(1, 100_000), "How many go at once after a pause; left out: `limit`.", None),
        Key("excess", Choice(("wait", "dead")), "What comes too soon waits, or is a dead letter.", "wait"),
    ),
)

ROUTE: Final = Record(
    "route",
    (
        Key("name", NAME, "Unique name, seen in logs, status and messages."),
        Key("enabled", Boolean(), "Whether the route is used.", default=True),
        Key("match", MatchShape(), "Which webhooks; left out: every one.", None),
        Key("when", TemplateIn(Place.VALUE), "A condition that `match` can't say.", None),
        Key("verify", String(), "A name of `verifiers`: what it refuses is not sent.", None),
        Key("dedupe", TemplateIn(Place.TEXT), "What makes two webhooks the same.", None),
        Key("order", OrderShape(), "What keeps its order; left out: the route; `none`: no order.", None),
        Key("send", SEND, "Where a webhook goes."),
        Key("expire_after", EXPIRY, "How long delivery is tried; left out: `defaults`.", None),
        Key(
            "reply",
            REPLY,
            "The answer to the sender, if the relay waits for one; of the routes that match, the first's.",
            None,
        ),
        Key("rate", RATE, "How often it sends at most.", None),
        Key("expect", SILENCE, "How often it takes a webhook; an alarm tells of silence.", None),
        Key("final", Boolean(), "Whether the routes below are skipped after a match.", default=False),
    ),
)
