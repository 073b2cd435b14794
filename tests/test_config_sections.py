from pathlib import Path
from typing import Any

import pytest

from bridge.config import grammar
from bridge.config.model import (
    MIB,
    BrokerSettings,
    ConsoleSettings,
    GapSettings,
    JournalSettings,
    RelaySettings,
    StatusSettings,
)
from bridge.config.nodes import parse
from bridge.config.problems import Problems, Source
from bridge.config.reader import Reader
from bridge.config.secrets import Secrets
from bridge.config.sections import console_settings
from bridge.relay.protocol import DEFAULT_RELAY_URL
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
    ("section", "ack"),
    [
        ("", False),
        ("url: 'wss://my.webhookrelay.com:443/v1/socket/'", False),
        ("url: 'ws://127.0.0.1:8080/v1/socket'", True),
        ("ack: explicit", True),
        ("ack: 'off', url: 'ws://127.0.0.1:8080/v1/socket'", False),
    ],
)
def test_acknowledgements_are_not_asked_of_the_service_unless_somebody_says_so(
    section: str, *, ack: bool
) -> None:
    assert relay(f"{{key: k, secret: s, {section}}}").ack is ack


def test_in_a_group_webhooks_are_acknowledged_and_no_gaps_are_filled() -> None:
    assert relay("{key: k, secret: s}").group == ""
    for more in ("", ", ack: explicit", ", url: 'ws://127.0.0.1:8080/v1/socket'"):
        shared = relay(f"{{key: k, secret: s, group: workers{more}}}")
        assert (shared.group, shared.ack) == ("workers", True)
    shares = ROUTES + "relay: {key: k, secret: s, group: workers}\n"
    assert not config_of(shares).gaps.fill
    assert not config_of(shares + "gaps: {fill: false}\n").gaps.fill


def test_gaps() -> None:
    assert config_of(ROUTES + RELAY).gaps == GapSettings(fill=True, horizon=86_400.0)
    assert config_of(ROUTES + RELAY + "gaps: {fill: false, horizon: 10m}\n").gaps == GapSettings(
        fill=False, horizon=600.0
    )


@pytest.mark.parametrize(
    ("section", "found", "hint"),
    [
        ("", "E0103 routes:", "add relay.key and relay.secret, or relay.api_key"),
        ("relay: {key: k}", "E0103 {key: k}", "add relay.secret"),
        ("relay: {secret: s}", "E0103 {secret: s}", "add relay.key"),
        ("relay: {key: k, secret: s, api_key: x}", "E0105 x}", "keep one of the two"),
        ("relay: {key: k, api_key: x}", "E0105 x}", "keep one of the two"),
        ("relay: {api_key: x, url: 'http://h'}", "E0104 'http://h'", "write ws://…"),
        (
            "relay: {api_key: x, url: 'wss://me@h'}",
            "E0104 'wss://me@h'",
            "write `key` and `secret`",
        ),
        ("relay: {api_key: x, buckets: some}", "E0104 some", None),
        ("relay: {api_key: x, buckets: []}", "E0104 []", None),
        ("relay: {api_key: x, group: 'a b'}", "E0104 'a b'", None),
        ("relay: {api_key: x, group: ''}", "E0104 ''", None),
        ("relay: {api_key: x, group: a, ack: 'off'}", "E0105 'off'", "remove `ack`"),
        (
            "gaps: {horizon: 6h}\nrelay: {api_key: x, group: a}",
            "E0105 {horizon:",
            "remove `gaps`, or write `fill: false`",
        ),
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
    fields, reader = section("console: {listen: 'unix:/run/x.sock', bodies: true}")
    assert console_settings(fields, reader) == ConsoleSettings(Path("/run/x.sock"), bodies=True)


@pytest.mark.parametrize("said", ["", "console: {}\n", "console: {token: abc}\n"])
def test_the_console_is_for_this_machine_where_nothing_else_is_said(said: str) -> None:
    console = config_of(RELAY + ROUTES + said).console
    assert console is not None
    assert console.listen == ("127.0.0.1", 8765)
    assert console.token == (Secret("abc") if "abc" in said else None)


@pytest.mark.parametrize("word", ["off", "'off'", "false"])
def test_there_can_be_no_console(word: str) -> None:
    assert config_of(RELAY + ROUTES + f"console: {word}\n").console is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("on", "E0104 on"),
        ("true", "E0104 true"),
        ("[off]", "E0101 [off]"),
        ("{listen: 8765x}", "E0104 8765x"),
        ("{listen: '127.0.0.1:65536'}", "E0104 '127.0.0.1:65536'"),
        ("{listen: '0.0.0.0:8765'}", "E0105 '0.0.0.0:8765'"),
        ("{listen: '[::]:8765'}", "E0105 '[::]:8765'"),
        ("{listen: 'pi.local:8765'}", "E0105 'pi.local:8765'"),
        ("{listen: '0.0.0.0:8765', token: ''}", "E0104 ''"),
    ],
)
def test_mistakes_of_the_console(said: str, found: str) -> None:
    assert_problems(RELAY + ROUTES + f"console: {said}", [found])


def status(said: str) -> StatusSettings:
    config = config_of(RELAY + ROUTES + f"node: pi\nstatus: {said}\n")
    assert config.status is not None
    assert config.status.broker in config.brokers
    return config.status


def test_status() -> None:
    assert config_of(RELAY + ROUTES).status is None
    assert status("{}") == StatusSettings("mqtt:home", "relay-bridge/pi")
    assert status("{broker: home, topic: a/b, discovery: none, commands: true}") == StatusSettings(
        "mqtt:home", "a/b", commands=True
    )
    assert status("{discovery: homeassistant, discovery_topic: ha}") == StatusSettings(
        "mqtt:home", "relay-bridge/pi", "homeassistant", "ha"
    )


def test_status_has_a_broker_of_its_own_where_no_route_has_it() -> None:
    text = RELAY + "routes: [{name: a, send: [{http: 'http://127.0.0.1/'}]}]\nstatus: {}\n"
    assert config_of(text).brokers.keys() == {"mqtt:home"}


TOO_DEEP = "/".join("abcdefghijk")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("{broker: hoem}", "E0201 hoem"),
        ("{topic: bridge/+/x}", "E0104 bridge/+/x"),
        ("{topic: $SYS/bridge}", "E0104 $SYS/bridge"),
        ("{topic: bridge/}", "E0104 bridge/"),
        ("{topic: /bridge}", "E0104 /bridge"),
        ('{topic: "a\\tb"}', 'E0104 "a\\tb"'),
        (f"{{topic: {TOO_DEEP}}}", f"E0104 {TOO_DEEP}"),
        ("{discovery_topic: '#'}", "E0104 '#'"),
        ("{discovery: homeasistant}", "E0104 homeasistant"),
        ("{commands: yes}", "E0101 yes"),
    ],
)
def test_mistakes_of_the_status(said: str, found: str) -> None:
    assert_problems(RELAY + ROUTES + f"status: {said}", [found])


def test_status_with_two_brokers_needs_the_name_of_one() -> None:
    brokers = "brokers: {a: {url: 'mqtt://a'}, b: {url: 'mqtt://b'}}\n"
    routes = "routes: [{name: a, send: [{http: 'http://127.0.0.1/'}]}]\n"
    assert_problems(RELAY + routes + brokers + "status: {topic: x}", ["E0103 {topic: x}"])
    assert config_of(RELAY + routes + brokers + "status: {broker: b}").status == StatusSettings(
        "mqtt:b", f"relay-bridge/{config_of(RELAY + routes).node}"
    )
