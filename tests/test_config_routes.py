import pytest

from bridge.config.model import Silence
from bridge.routing.items import HttpItem, MqttItem
from bridge.routing.payload import ENVELOPE, RAW, WEBHOOKRELAY
from bridge.routing.rate import Excess, Rate
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


MQTT, HTTP = "{mqtt: t}", "{http: 'http://h/'}"


@pytest.mark.parametrize(
    ("reply", "send", "found"),
    [
        ("{}", MQTT, []),
        ("{status: 204, headers: {X-A: '{{ id }}'}}", MQTT, []),
        ("{from: mqtt, timeout: 9s, status: 504, body: {a: '{{ id }}'}}", f"{HTTP}, {MQTT}", []),
        ("{from: http}", f"{MQTT}, {HTTP}", []),
        ("{staus: 200}", MQTT, ["E0102 staus:"]),
        ("{status: 199}", MQTT, ["E0104 199"]),
        ("{status: 204, body: x}", MQTT, ["E0105 x"]),
        ("{headers: {Content-Length: '1'}}", MQTT, ["E0104 Content-Length"]),
        ("{headers: {X-A: '{{ nothing }}'}}", MQTT, ["E0301 nothing"]),
        ("{timeout: 1s}", MQTT, ["E0105 1s"]),
        ("{from: mqtt, timeout: 10s}", MQTT, ["E0104 10s"]),
        ("{from: http}", MQTT, ["E0105 http"]),
        ("{from: mqtt}", HTTP, ["E0105 mqtt"]),
        ("{from: mqtt}", "{mqtt: t, qos: 3}", ["E0104 3"]),
    ],
)
def test_replies(reply: str, send: str, found: list[str]) -> None:
    assert_problems(with_routes(f"  - {{name: a, reply: {reply}, send: [{send}]}}\n"), found)


def test_a_broker_that_speaks_mqtt_3_1_1_can_not_answer() -> None:
    text = with_routes("  - {name: a, reply: {from: mqtt}, send: [{mqtt: t}]}\n")
    brokers = "brokers: {home: {url: 'mqtt://h', protocol: 3.1.1}}\n"
    [problem] = [one for one in loaded(brokers + text).problems if one.severity == "error"]
    assert (problem.code.number, problem.line) == ("E0105", 4)
    assert "needs MQTT 5" in problem.message


def test_routes_that_expect_webhooks_regularly() -> None:
    config = config_of(
        with_routes(
            "  - {name: a, send: [{mqtt: t}], expect: {every: 24h, grace: 1h}}\n"
            "  - {name: b, send: [{mqtt: t}], expect: {every: 10m}}\n"
            "  - {name: c, send: [{mqtt: t}]}\n"
            "  - {name: d, send: [{mqtt: t}], expect: {every: 10m}, enabled: false}\n"
        )
    )
    assert config.silences == {"a": Silence(86_400.0, 3600.0), "b": Silence(600.0)}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("24h", "E0101 24h"),
        ("{grace: 1h}", "E0103 {grace"),
        ("{every: 1s}", "E0104 1s"),
        ("{every: 24}", "E0101 24"),
        ("{every: 24h, grace: never}", "E0104 never"),
    ],
)
def test_mistakes_of_what_is_expected(said: str, found: str) -> None:
    assert_problems(with_routes(f"  - {{name: a, send: [{{mqtt: t}}], expect: {said}}}\n"), [found])


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        ("{limit: 10}", Rate(10, 1.0, 10)),
        ("{limit: 10, per: 1m}", Rate(10, 60.0, 10)),
        ("{limit: 10, per: 1m, burst: 20, excess: wait}", Rate(10, 60.0, 20)),
        ("{limit: 1, per: 24h, excess: dead}", Rate(1, 86_400.0, 1, Excess.DEAD)),
    ],
)
def test_rates(said: str, rate: Rate) -> None:
    routes = f"  - {{name: a, send: [{{mqtt: t}}], rate: {said}}}\n  - {{name: b, send: [{{mqtt: t}}]}}\n"
    assert config_of(with_routes(routes)).table.rates == {"a": rate}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("rate: 10", "E0101 10"),
        ("rate: {per: 1m}", "E0103 {per"),
        ("rate: {limit: 0}", "E0104 0"),
        ("rate: {limit: 10, burst: 0}", "E0104 0"),
        ("rate: {limit: 10, per: 60}", "E0101 60"),
        ("rate: {limit: 10, excess: drop}", "E0104 drop"),
        ("order: none, rate: {limit: 10}", "E0105 {limit"),
    ],
)
def test_mistakes_of_rates(said: str, found: str) -> None:
    assert_problems(with_routes(f"  - {{name: a, send: [{{mqtt: t}}], {said}}}\n"), [found])


def test_what_needs_no_order_can_have_a_rate_that_makes_nothing_wait() -> None:
    route = "  - {name: a, send: [{mqtt: t}], order: none, rate: {limit: 10, excess: dead}}\n"
    assert loaded(with_routes(route)).problems == ()


@pytest.mark.parametrize(
    ("item", "defaults", "expected"),
    [
        (", kind: event", "", (1, False, True, 72 * HOURS)),
        (", kind: event, expire_after: 1m", "", (1, False, True, 60.0)),
        (", kind: event, retain: false, qos: 0", "", (0, False, True, 72 * HOURS)),
        (", kind: event", "defaults: {qos: 0, retain: true, expire_after: 2h}", (1, False, True, 2 * HOURS)),
        (", kind: state", "", (1, True, False, 72 * HOURS)),
        (", kind: state, expire_after: 1h", "", (1, True, True, HOURS)),
        (", kind: state, retain: true, qos: 2", "", (2, True, False, 72 * HOURS)),
        (", kind: state", "defaults: {qos: 0, retain: false, expire_after: 2h}", (1, True, False, 2 * HOURS)),
    ],
)
def test_kinds(item: str, defaults: str, expected: tuple[int, bool, bool, float]) -> None:
    built = mqtt(item, defaults=defaults)
    assert (built.qos, built.retain, built.expires, built.expire_after) == expected


@pytest.mark.parametrize(
    ("item", "found", "hint"),
    [
        ("kind: event, retain: true", "E0105 true", "remove `retain`, or write `kind: state`"),
        ("kind: state, retain: false", "E0105 false", "remove `retain`, or write `kind: event`"),
        ("kind: command", "E0104 command", None),
    ],
)
def test_mistakes_of_kinds(item: str, found: str, hint: str | None) -> None:
    text = with_routes(f"  - {{name: a, send: [{{mqtt: t, {item}}}]}}\n")
    assert_problems(text, [found])
    assert loaded(text).problems[0].help == hint


@pytest.mark.parametrize(
    ("name", "item", "warned"),
    [
        ("a", "mqtt: door/ring, retain: true", True),
        ("a", "mqtt: door/button-pressed, retain: true", True),
        ("a", 'mqtt: "door/{{ body.event }}", retain: true', True),
        ("motion-events", "mqtt: door, retain: true", True),
        ("a", "mqtt: door/ring, kind: state", False),
        ("a", "mqtt: door/ring, kind: event", False),
        ("a", "mqtt: door/ring", False),
        ("a", "mqtt: ring/door, retain: true", False),
        ("a", "mqtt: door/string, retain: true", False),
    ],
)
def test_a_retained_event_is_a_warning(name: str, item: str, *, warned: bool) -> None:
    problems = loaded(with_routes(f"  - {{name: {name}, send: [{{{item}}}]}}\n")).problems
    assert [problem.code.number for problem in problems] == ["W0504"] * warned
