import pytest

from bridge.routing.items import HttpItem, MqttItem
from bridge.routing.payload import ENVELOPE, RAW, WEBHOOKRELAY
from tests.support.routing_files import assert_problems, config_of, loaded, with_routes

HOURS = 3600.0
RELAY = "relay: {key: a, secret: b}\n"


def mqtt(item: str, *, route: str = "", defaults: str = "") -> MqttItem:
    text = f"{RELAY}{defaults}\nroutes: [{{name: a, send: [{{mqtt: t{item}}}]{route}}}]\n"
    built = config_of(text).table.routes[0].items[0]
    assert isinstance(built, MqttItem)
    return built


def test_defaults() -> None:
    assert (mqtt("").qos, mqtt("").retain, mqtt("").expire_after) == (1, False, 72 * HOURS)
    item = mqtt("", defaults="defaults: {qos: 2, retain: true, expire_after: 1h}")
    assert (item.qos, item.retain, item.expire_after) == (2, True, HOURS)
    item = mqtt(", qos: 0, retain: false", defaults="defaults: {qos: 2, retain: true}")
    assert (item.qos, item.retain) == (0, False)


@pytest.mark.parametrize(
    ("item", "route", "defaults", "seconds", "expires"),
    [
        ("", "", "", 72 * HOURS, False),
        ("", "", "defaults: {qos: 1}", 72 * HOURS, False),
        ("", "", "defaults: {expire_after: 5h}", 5 * HOURS, True),
        ("", ", expire_after: 2h", "defaults: {expire_after: 5h}", 2 * HOURS, True),
        (", expire_after: 1h", ", expire_after: 2h", "", HOURS, True),
        (", retain: true", ", expire_after: 2h", "", 2 * HOURS, False),
        (", retain: true, expire_after: 1h", "", "", HOURS, True),
    ],
)
def test_expiry(item: str, route: str, defaults: str, seconds: float, expires: bool) -> None:
    built = mqtt(item, route=route, defaults=defaults)
    assert (built.expire_after, built.expires) == (seconds, expires)


def test_formats() -> None:
    assert mqtt("").payload is RAW
    assert mqtt(", format: raw").payload is RAW
    assert mqtt(", format: envelope").payload is ENVELOPE
    assert mqtt(", format: webhookrelay").payload is WEBHOOKRELAY


def test_a_route_with_everything() -> None:
    config = config_of(
        with_routes(
            "  - name: a_1-B\n    enabled: false\n    final: true\n    when: '{{ body.x }}'\n"
            "    match: {bucket: b}\n    expire_after: 3h\n    send:\n"
            "      - {http: 'http://h/', method: PUT, headers: {X-A: b}}\n"
        )
    )
    [route] = config.table.routes
    assert (route.name, route.enabled, route.final, route.buckets) == ("a_1-B", False, True, frozenset({"b"}))
    assert route.when is not None
    assert route.order is None
    [item] = route.items
    assert isinstance(item, HttpItem)
    assert (item.method, item.expire_after) == ("PUT", 3 * HOURS)
    assert [(name, value.source) for name, value in item.headers] == [("X-A", "b")]


def test_a_disabled_route_asks_for_no_bucket() -> None:
    config = config_of(
        with_routes(
            "  - {name: a, match: {bucket: a}, send: [{mqtt: t}]}\n"
            "  - {name: b, enabled: false, send: [{mqtt: t}]}\n"
        )
    )
    assert config.relay.buckets == ("a",)


def test_unmatched() -> None:
    one = "routes: [{name: a, send: [{mqtt: t}]}]\n"
    assert config_of(RELAY + one).table.unmatched == "count"
    assert config_of(RELAY + one + "unmatched: dead").table.unmatched == "dead"
    unmatched = config_of(RELAY + one + "unmatched: [{http: 'http://h/x', timeout: 1s}]").table.unmatched
    assert not isinstance(unmatched, str)
    [item] = unmatched
    assert isinstance(item, HttpItem)
    assert (item.target, item.expire_after) == ("http:http://h (unmatched)", 72 * HOURS)
    assert_problems(RELAY + one + "unmatched: drop", ["E0104 drop"])
    assert_problems(RELAY + one + "unmatched: []", ["E0104 []"])


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ("  - {name: a, send: [{mqtt: t}]}\n  - {name: a, send: [{mqtt: t}]}\n", ["E0202 a"]),
        ("  - {name: a b, send: [{mqtt: t}]}\n", ["E0104 a"]),
        ("  - {name: 7, send: [{mqtt: t}]}\n", ["E0101 7"]),
        (
            "  - {name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, send: [{mqtt: t}]}\n",  # noqa: E501  # one too many
            ["E0104 xxxxxxxxxxxxxxxxxxxxxxxx"],
        ),
        ("  - {send: [{mqtt: t}]}\n", ["E0103 {send:"]),
        ("  - {name: a}\n", ["E0103 {name:"]),
        ("  - {name: a, send: []}\n", ["E0104 ["]),
        ("  - {name: a, send: {mqtt: t}}\n", ["E0101 {mqtt:"]),
        ("  - {name: a, send: [t]}\n", ["E0101 t"]),
        ("  - {name: a, send: [{mqtt: t, http: 'http://h/'}]}\n", ["E0105 {mqtt:"]),
        ("  - {name: a, send: [{mqtt: t, format: raw, payload: x}]}\n", ["E0105 raw"]),
        ("  - {name: a, send: [{mqtt: t, qos: 3}], when: '{{'}\n", ["E0104 3", "E0301 {{'"]),
        ("  - [a]\n", ["E0101 [a"]),
        (
            "  - {name: a!, order: 5, sned: [], send: [{mqtt: t/#, broker: x, qos: on}, {http: /x}]}\n",
            ["E0104 a!", "E0101 5", "E0102 sned:", "E0301 #", "E0201 x", "E0101 on", "E0103 /x"],
        ),
    ],
)
def test_mistakes(routes: str, found: list[str]) -> None:
    assert_problems(with_routes(routes), found)


def test_a_retained_event_is_a_warning() -> None:
    [problem] = loaded(with_routes("  - {name: a, send: [{mqtt: door/ring, retain: true}]}\n")).problems
    assert (problem.code.number, problem.severity) == ("W0504", "warning")
    assert_problems(with_routes("  - {name: a, send: [{mqtt: door/state, retain: true}]}\n"), [])


@pytest.mark.parametrize("key", ["verify: gh", "dedupe: '{{ id }}'", "reply: {status: 200}"])
def test_what_comes_later_is_refused_by_name(key: str) -> None:
    [problem] = loaded(with_routes(f"  - {{name: a, {key}, send: [{{mqtt: t}}]}}\n")).problems
    assert problem.message == f"'{key.partition(':')[0]}' is not supported yet"


def test_what_comes_later_is_checked_all_the_same() -> None:
    text = with_routes("  - {name: a, reply: {staus: 200}, send: [{mqtt: t}]}\n")
    assert_problems(text, ["E0009 reply:", "E0102 staus:"])
