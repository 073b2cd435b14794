"""The grammar of the file's own tests."""

from typing import Final

from bridge.config.containers import ByKind, ListOf, MappingOf
from bridge.config.grammar_values import HEADER_NAME, METHOD, QOS, TEXT
from bridge.config.records import Key, Record, Tagged
from bridge.config.shapes import Boolean, Choice, Integer, String
from bridge.config.templates import Anything

TEXTS: Final = ByKind(scalar=TEXT, sequence=ListOf(TEXT, least=1))

ANY_NAME: Final = r"[^\x00]{1,200}"

GIVEN: Final = Record(
    "given",
    (
        Key("bucket", String(), "Name or ID of the bucket.", ""),
        Key("input", String(), "Name of the input.", ""),
        Key("output", String(), "Name of the output.", ""),
        Key("method", String(), "Method of the request.", "POST"),
        Key("path", String(r"/[^?\x00]*", "a path that starts with /"), "Path of the request.", "/"),
        Key("query", MappingOf(TEXTS, ANY_NAME), "The query's parameters.", {}),
        Key("headers", MappingOf(TEXTS, ANY_NAME), "The headers.", {}),
        Key("body", Anything(), "A text, or anything else that is sent as JSON.", ""),
        Key("form", MappingOf(TEXTS, ANY_NAME), "Fields of an urlencoded form, instead of `body`.", {}),
        Key("id", String(), "The relay's ID of this delivery.", "test"),
        Key("verified", Boolean(), "Whether it counts as signed; false: it is checked.", default=True),
    ),
)

_EXPECTED_ROUTE: Final = Key("route", String(), "The route's name.")

_EXPECTED_PAYLOAD: Final = Key("payload", Anything(), "What it carries: a text, or JSON.", None)

MQTT_EXPECTED: Final = Record(
    "expectation",
    (
        _EXPECTED_ROUTE,
        Key("mqtt", String(), "The topic."),
        _EXPECTED_PAYLOAD,
        Key("qos", QOS, "The quality of service.", None),
        Key("retain", Boolean(), "Whether the broker keeps it.", None),
    ),
)

HTTP_EXPECTED: Final = Record(
    "expectation",
    (
        _EXPECTED_ROUTE,
        Key("http", String(), "The whole URL."),
        _EXPECTED_PAYLOAD,
        Key("method", METHOD, "The method.", None),
        Key("headers", MappingOf(TEXT, HEADER_NAME), "Some of the headers.", None),
    ),
)

REPLY_EXPECTED: Final = Record(
    "expected reply",
    (
        Key(
            "from",
            Choice(("http", "mqtt")),
            "Whose answer is waited for; the rest is for when none comes.",
            None,
        ),
        Key("status", Integer(200, 599), "The status.", None),
        Key("body", Anything(), "What it carries: a text, or JSON.", None),
        Key("headers", MappingOf(TEXT, HEADER_NAME), "Some of the headers.", None),
    ),
)

ANSWER_EXPECTED: Final = Record(
    "expectation",
    (
        Key("route", String(), "The route that answers; left out: any.", ""),
        Key("reply", REPLY_EXPECTED, "What the sender is answered; where no test says so, anything."),
    ),
)

EXPECT: Final = ListOf(
    Tagged("an expectation", (("mqtt", MQTT_EXPECTED), ("http", HTTP_EXPECTED), ("reply", ANSWER_EXPECTED)))
)

TEST: Final = Record(
    "test",
    (
        Key("name", String(), "What is tested."),
        Key("given", GIVEN, "The webhook."),
        Key("expect", EXPECT, "Everything that is sent for it; an empty list: nothing."),
    ),
)
