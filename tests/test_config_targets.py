import pytest

from bridge.config.model import BrokerSettings
from bridge.delivery.retry import Retry
from tests.support.routing_files import assert_problems, config_of, loaded

RELAY = "relay: {key: a, secret: b}\n"
TWO = RELAY + "brokers: {home: {url: 'mqtt://h1'}, away: {url: 'mqtts://h2'}}\n"
NODERED = (
    RELAY + "services: {nodered: {url: 'http://127.0.0.1:1880/base/', timeout: 3s, retry: {attempts: 7}}}\n"
)


def routes(*items: str) -> str:
    return "routes:\n  - name: a\n    send:\n" + "".join(f"      - {item}\n" for item in items)


def test_without_brokers_one_at_home_is_assumed_where_it_is_needed() -> None:
    config = config_of(RELAY + routes("mqtt: t", "{mqtt: t, broker: home}"))
    assert config.brokers == {"mqtt:home": BrokerSettings("home")}
    assert {item.target for item in config.table.routes[0].items} == {"mqtt:home"}
    assert config_of(RELAY + routes("http: http://h/")).brokers == {}


def test_the_only_broker_need_not_be_named() -> None:
    config = config_of(RELAY + "brokers: {house: {url: 'ws://h:9001/path'}}\n" + routes("mqtt: t"))
    assert config.table.routes[0].items[0].target == "mqtt:house"
    assert config.brokers["mqtt:house"] == BrokerSettings("house", "ws", "h", 9001, "/path")


def test_with_several_brokers_one_is_named() -> None:
    config = config_of(TWO + routes("{mqtt: t, broker: away}"))
    assert config.table.routes[0].items[0].target == "mqtt:away"
    assert set(config.brokers) == {"mqtt:home", "mqtt:away"}
    [problem] = loaded(TWO + routes("mqtt: t")).problems
    assert (problem.code.number, problem.line, problem.help) == (
        "E0103",
        6,
        "add `broker:`, one of home, away",
    )


def test_a_literal_url_makes_a_service_of_its_origin() -> None:
    config = config_of(
        RELAY + routes("http: http://Node.local:1880/a/{{ body.x }}?q=1", "http: http://node.local:1880/b")
    )
    assert list(config.services) == ["http:http://node.local:1880"]
    assert config.services["http:http://node.local:1880"].url == "http://node.local:1880"


def test_a_path_goes_to_its_service() -> None:
    config = config_of(NODERED + routes("{http: '/ci/{{ body.x }}', service: nodered}"))
    [item] = config.table.routes[0].items
    assert item.target == "http:nodered"
    assert getattr(item, "url", None) is not None
    assert getattr(item, "url").source == "http://127.0.0.1:1880/base/ci/{{ body.x }}"  # noqa: B009  # either kind of item


def test_settings_of_an_item_make_a_target_of_its_own() -> None:
    config = config_of(
        NODERED
        + routes(
            "{http: /x, service: nodered}",
            "{http: /x, service: nodered, timeout: 9s, retry: {first: 2s}}",
            "{http: /y, service: nodered, timeout: 9s, retry: {first: 2s}}",
            "{http: /z, service: nodered, max_in_flight: 1}",
            "{http: 'https://h/z', timeout: 1s}",
        )
    )
    targets = [item.target for item in config.table.routes[0].items]
    assert targets == [
        "http:nodered",
        "http:nodered (a)",
        "http:nodered (a)",
        "http:nodered (a 2)",
        "http:https://h (a)",
    ]
    own = config.services["http:nodered (a)"]
    assert (own.timeout, own.retry) == (9.0, Retry(attempts=7, first=2.0))
    assert config.services["http:nodered"].timeout == 3.0
    assert config.services["http:nodered (a 2)"].max_in_flight == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TWO + routes("{mqtt: t, broker: hme}"), ["E0201 hme"]),
        (RELAY + routes("{mqtt: t, broker: cellar}"), ["E0201 cellar"]),
        (RELAY + routes("http: /x"), ["E0103 /x"]),
        (RELAY + routes("{http: /x, service: nodered}"), ["E0201 nodered"]),
        (NODERED + routes("{http: /x, service: nodred}"), ["E0201 nodred"]),
        (NODERED + routes("{http: 'http://h/x', service: nodered}"), ["E0105 nodered"]),
        (RELAY + routes("http: ftp://h/x"), ["E0104 ftp:"]),
        (RELAY + routes("http: h/x"), ["E0104 h/x"]),
        (RELAY + routes("http: http://me:pw@h/x"), ["E0104 http:"]),
        (RELAY + routes("http: http://h:99999/x"), ["E0104 http:"]),
        (RELAY + routes("http: http:///x"), ["E0104 http:"]),
        (RELAY + routes("http: http://{{ body.h }}/x"), ["E0301 http:"]),
        (RELAY + routes("http: http://h.{{ body.h }}/x"), ["E0301 http:"]),
        (RELAY + routes("http: http://h/a/../b"), ["E0301 http:"]),
        (RELAY + routes("http: http://h/${file:/etc/hostname}"), ["E0301 http:"]),
        (NODERED + routes('{http: "/a/{{ bdy }}", service: nodered}'), ["E0301 bdy"]),
    ],
)
def test_mistakes(text: str, found: list[str]) -> None:
    assert_problems(text, found)


def test_a_broken_broker_is_not_unknown_as_well() -> None:
    text = (
        RELAY
        + "brokers: {home: {url: 'mqtt://h', qos: 1, keepalive: x}}\n"
        + routes("{mqtt: t, broker: home}")
    )
    assert_problems(text, ["E0102 qos:", "E0101 x}"])
    assert_problems(RELAY + "brokers: [a]\n" + routes("mqtt: t"), ["E0101 [a]"])
