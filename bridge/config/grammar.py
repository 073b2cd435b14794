"""The routing file's grammar: every key with its shape, its meaning and its default.

A new key is one line here, and a field of the same name in `bridge.config.model`.
"""

from typing import Final

from bridge.config.containers import ByKind, ListOf, MappingOf, Placed
from bridge.config.grammar_connections import BROKER, RELAY, SERVICE, VERIFIER
from bridge.config.grammar_routes import DEFAULTS, ROUTE, SEND
from bridge.config.grammar_tests import TEST
from bridge.config.grammar_values import NAME, TOPIC
from bridge.config.model import GapSettings, JournalSettings, StatusSettings
from bridge.config.records import Key, Record
from bridge.config.shapes import (
    Boolean,
    Choice,
    Duration,
    FilePath,
    Off,
    SecretText,
    Size,
    String,
)

_JOURNAL: Final = JournalSettings()

_GAPS: Final = GapSettings()
_STATUS: Final = StatusSettings("", "")
LISTEN: Final = "127.0.0.1:8765"
"""Where the console is, unless the file says otherwise."""

PATTERN: Final = String(r"[^\x00]{1,256}", "a pattern of at most 256 characters")

RELOAD: Final = Record(
    "reload",
    (
        Key(
            "require_tests",
            Boolean(),
            "Whether a file whose own tests fail is refused.",
            default=False,
        ),
    ),
)

JOURNAL: Final = Record(
    "journal",
    (
        Key("path", FilePath(exists=False), "The database; left out: in the state folder.", _JOURNAL.path),
        Key("max_bytes", Size("1MiB", "1024GiB"), "What it may hold.", _JOURNAL.max_bytes),
        Key(
            "linger",
            Duration("0ms", "10s"),
            "Time to be delivered without a write; ten times that while the target keeps taking others.",
            _JOURNAL.linger,
        ),
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
        Key(
            "listen",
            String(expects="an address and a port, or the path of a socket", examples=(LISTEN,)),
            "Address and port, or the path of a Unix socket.",
            LISTEN,
        ),
        Key("token", SecretText(header=True), "What a browser must know; needed beyond this machine.", None),
        Key("bodies", Boolean(), "Whether webhooks are shown with their bodies.", default=False),
    ),
)

STATUS: Final = Record(
    "status",
    (
        Key("broker", String(), "A name of `brokers`; left out: the only one.", None),
        Key("topic", TOPIC, "Topic below which all is published; left out: `relay-bridge/<node>`.", None),
        Key("discovery", Choice(("homeassistant", "none")), "Who finds the bridge by itself.", "none"),
        Key("discovery_topic", TOPIC, "Where Home Assistant looks for devices.", _STATUS.discovery_topic),
        Key("commands", Boolean(), "Whether commands by MQTT are obeyed.", default=_STATUS.commands),
    ),
)

GAPS: Final = Record(
    "gaps",
    (
        Key("fill", Boolean(), "Whether missed webhooks are asked for.", default=_GAPS.fill),
        Key("horizon", Duration("1m", "720h"), "How far back.", _GAPS.horizon),
    ),
)

_ROUTES: Final = Key(
    "routes", ListOf(ROUTE), "What becomes of webhooks; every route that matches delivers.", []
)

_TESTS: Final = Key("tests", ListOf(TEST), "Webhooks, and what must become of them.", [])

INCLUDED: Final = Record("included file", (_ROUTES, _TESTS))

FILE: Final = Record(
    "routing file",
    (
        Key("node", NAME, "Name of this bridge in topics and client IDs; left out: the host's.", None),
        Key("relay", RELAY, "Where webhooks come from.", None),
        Key("brokers", MappingOf(BROKER), "MQTT brokers by name.", {}),
        Key("services", MappingOf(SERVICE), "HTTP services by name.", {}),
        Key("verifiers", MappingOf(VERIFIER), "Signature checks by name.", {}),
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
        Key("reload", RELOAD, "When a changed file is used.", None),
        Key("journal", JOURNAL, "What is kept until it is delivered.", None),
        Key("console", ByKind(scalar=Off(), mapping=CONSOLE), "Status page, health and metrics.", None),
        Key("status", STATUS, "Status by MQTT.", None),
        Key("gaps", GAPS, "What is asked for after a lost connection.", None),
    ),
)
