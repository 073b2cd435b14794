from pathlib import Path
from typing import Any

import pytest

from bridge.config import grammar
from bridge.config.model import (
    DEFAULT_RELAY_URL,
    MIB,
    BrokerSettings,
    ConsoleSettings,
    JournalSettings,
    RelaySettings,
    StatusSettings,
)
from bridge.config.nodes import parse
from bridge.config.problems import Problems, Source
from bridge.config.reader import Reader
from bridge.config.secrets import Secrets
from bridge.config.sections import console_settings, status_settings
from bridge.config.targets import Targets
from bridge.secret import Secret
from tests.support.routing_files import assert_problems, config_of, loaded

ROUTES = "routes: [{name: a, match: {bucket: b}, send: [{mqtt: t}]}]\n"
RELAY = "relay: {key: k, secret: s}\n"


def relay(section: str) -> RelaySettings:
    return config_of(ROUTES + f"relay: {section}\n").relay


def test_the_relay() -> None:
    assert relay("{key: k, secret: s}") == RelaySettings(DEFAULT_RELAY_URL, "k", Secret("s"), ("b",))
    assert relay("{key: k, secret: s, url: 'ws://h:8080/v1/socket/'}").url == "ws://h:8080/v1/socket"
    assert relay("{key: k, secret: s, buckets: all}").buckets is None
    assert relay("{key: k, secret: s, buckets: [y, x, y]}").buckets == ("x", "y")
    api = relay("{api_key: '${RELAY_SECRET}'}")
    assert (api.key, api.secret.reveal()) == ("whr", "secret-of-the-relay")


@pytest.mark.parametrize(
    ("section", "found", "hint"),
    [
        ("", "E0103 routes:", "add relay.key and relay.secret, or relay.api_key"),
        ("relay: {key: k}", "E0103 {key: k}", "add relay.secret"),
        ("relay: {secret: s}", "E0103 {secret: s}", "add relay.key"),
        ("relay: {key: k, secret: s, api_key: x}", "E0105 x}", "keep one of the two"),
        ("relay: {key: k, api_key: x}", "E0105 x}", "keep one of the two"),
        ("relay: {api_key: x, url: 'http://h'}", "E0104 'http://h'", None),
        (
            "relay: {api_key: x, url: 'wss://me@h'}",
            "E0104 'wss://me@h'",
            "write `key` and `secret`",
        ),
        ("relay: {api_key: x, buckets: some}", "E0104 some", None),
        ("relay: {api_key: x, buckets: []}", "E0104 []", None),
    ],
)
def test_mistakes_of_the_relay(section: str, found: str, hint: str | None) -> None:
    assert_problems(ROUTES + section, [found])
    [problem] = loaded(ROUTES + section).problems
    assert problem.help == hint


def test_one_mistake_of_the_relay_hides_no_other() -> None:
    text = ROUTES + "relay: {key: k, url: 'x://h', bukets: all}"
    assert_problems(text, ["E0103 {key:", "E0104 'x://h'", "E0102 bukets:"])


def broker(section: str) -> BrokerSettings:
    return config_of(RELAY + ROUTES + f"brokers: {{home: {section}}}\n").brokers["mqtt:home"]


def test_brokers() -> None:
    assert broker("{url: 'mqtt://h'}") == BrokerSettings("home", "mqtt", "h", 1883)
    assert broker("{url: 'wss://h/ws', username: u, password: '${MQTT_PASSWORD}'}") == BrokerSettings(
        "home", "wss", "h", 443, "/ws", "u", Secret("password-of-the-broker")
    )
    assert broker("{url: 'ws://h'}").path == "/mqtt"
    assert broker("{url: 'mqtt://h', protocol: 5}").protocol == "5"
    assert broker("{url: 'mqtt://h', protocol: '5', client_id: pi, keepalive: 60, max_in_flight: 20}") == (
        BrokerSettings("home", "mqtt", "h", client_id="pi", keepalive=60, max_in_flight=20)
    )


def test_mqtt_3_1_1_is_a_warning() -> None:
    result = loaded(RELAY + ROUTES + "brokers: {home: {url: 'mqtt://h', protocol: 3.1.1}}\n")
    assert [p.code.number for p in result.problems] == ["W0503"]
    assert result.config is not None
    assert result.config.brokers["mqtt:home"].protocol == "3.1.1"


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ("{}", ["E0103 {"]),
        ("{url: 'mqtt://me:pw@h'}", ["E0104 'mqtt://me:pw@h'"]),
        ("{url: 'mqtt://h', protocol: 3.1}", ["E0104 3.1"]),
        ("{url: 'mqtt://h', cert: /dev/null}", ["E0105 {url:", "E0104 /dev/null"]),
        ("{url: 'mqtt://h', client_id: 007}", ["E0101 007"]),
        ("{url: 'mqtt://h', password: 12345}", ["E0101 12345"]),
        ("mqtt://h", ["E0101 mqtt://h"]),
    ],
)
def test_mistakes_of_brokers(section: str, found: list[str]) -> None:
    assert_problems(RELAY + ROUTES + f"brokers: {{home: {section}}}\n", found)


def test_cert_and_key_go_together(tmp_path: Path) -> None:
    (tmp_path / "c.pem").touch()
    text = RELAY + ROUTES + f"brokers: {{home: {{url: 'mqtts://h', cert: {tmp_path}/c.pem}}}}\n"
    assert_problems(text, ["E0105 {url:"])


def test_the_journal() -> None:
    assert config_of(RELAY + ROUTES).journal == JournalSettings()
    written = "journal: {path: /j.db, max_bytes: 64MiB, linger: 0ms, when_full: drop_newest}"
    assert config_of(RELAY + ROUTES + written).journal == JournalSettings(
        Path("/j.db"), 64 * MIB, 0.0, "drop_newest"
    )
    text = RELAY + ROUTES + "journal: {max_bytes: 1KiB, when_full: drop_old}"
    assert_problems(text, ["E0104 1KiB", "E0104 drop_old"])


def test_what_is_unchanged_compares_equal() -> None:
    text = RELAY + "brokers: {home: {url: 'mqtt://h', password: x}}\nservices: {s: {url: 'http://h'}}\n"
    one = config_of(text + ROUTES)
    two = config_of(text + ROUTES.replace("mqtt: t", "mqtt: other"))
    assert one.fingerprint != two.fingerprint
    assert (one.relay, one.brokers, one.services, one.journal) == (
        two.relay,
        two.brokers,
        two.services,
        two.journal,
    )
    other = config_of(text.replace("password: x", "password: y") + ROUTES)
    assert other.brokers != one.brokers


def section(text: str) -> tuple[Any, Reader]:
    """The fields of a file, and the reader that has its problems."""
    reader = Reader(Problems(), Secrets(environment={}))
    root = parse(Source("f", text), reader.problems)
    assert root is not None
    return grammar.FILE.read(root, reader), reader


def test_the_console() -> None:
    fields, reader = section("console: {listen: '127.0.0.1:8765'}")
    assert console_settings(fields, reader) == ConsoleSettings(("127.0.0.1", 8765))
    fields, reader = section("console: {listen: '0.0.0.0:8765', token: abc}")
    assert console_settings(fields, reader) == ConsoleSettings(("0.0.0.0", 8765), Secret("abc"))  # noqa: S104  # what is tested
    fields, reader = section("console: {listen: /run/x.sock}")
    assert console_settings(fields, reader) == ConsoleSettings(Path("/run/x.sock"))
    assert console_settings(section("routes: []")[0], reader) is None


def test_the_console_of_other_machines_needs_a_token() -> None:
    text = RELAY + ROUTES + "console: {listen: '0.0.0.0:8765'}"
    assert_problems(text, ["E0009 console:", "E0105 '0.0.0.0:8765'"])
    assert_problems(RELAY + ROUTES + "console: {listen: 8765x}", ["E0009 console:", "E0104 8765x"])


def test_status() -> None:
    fields, reader = section("status: {discovery: homeassistant}")
    assert status_settings(fields, "pi", Targets({}, {}), reader) == StatusSettings(
        "mqtt:home", "relay-bridge/pi", "homeassistant"
    )


@pytest.mark.parametrize(
    "written",
    [
        "console: {listen: '127.0.0.1:1'}",
        "status: {topic: x}",
        "gaps: {fill: true, horizon: 24h}",
        "verifiers: {gh: {scheme: github, secrets: [a]}}",
        "tests: [{name: a, given: {bucket: b, body: {x: 1}}, expect: [{route: a, mqtt: t}]}]",
    ],
)
def test_what_comes_later_is_refused_by_name(written: str) -> None:
    [problem] = loaded(RELAY + ROUTES + written).problems
    assert problem.code.number == "E0009"
    assert (problem.line, problem.column) == (3, 1)
