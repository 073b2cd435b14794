import pytest

from bridge.routing.items import HttpItem, MqttItem
from bridge.routing.scope import Scope
from bridge.routing.table import NO_ORDER
from bridge.webhook import Webhook
from tests.support.routing_files import assert_problems, config_of, loaded, with_routes

WEBHOOK = Webhook(
    id="1",
    bucket="b",
    bucket_id="",
    input="",
    input_id="",
    output="",
    destination="",
    method="POST",
    query_string="",
    headers={},
    raw=b'{"name": "x", "n": 5, "on": true}',
    received_at=0.0,
)


def item(lines: str, environment: dict[str, str] | None = None) -> MqttItem | HttpItem:
    config = config_of(with_routes(f"  - name: a\n    send:\n      - {lines}\n"), environment)
    return config.table.routes[0].items[0]


@pytest.mark.parametrize(
    ("payload", "rendered"),
    [
        ('"{{ body.name }}!"', b"x!"),
        ('""', b""),
        ("5", b"5"),
        ("true", b"true"),
        ("on", b"on"),
        ("{a: '{{ body.n }}', b: 'n={{ body.n }}', c: [1, null, true, 1.5]}", None),
        ("'${ROOM}'", b"hall"),
        ("'$${ROOM}'", b"${ROOM}"),
    ],
)
def test_payloads(payload: str, rendered: bytes | None) -> None:
    message = item(f"{{mqtt: t, payload: {payload}}}", {"ROOM": "hall"}).render(Scope(WEBHOOK, "a"))
    expected = b'{"a":5,"b":"n=5","c":[1,null,true,1.5]}' if rendered is None else rendered
    assert getattr(message, "payload", None) == expected


def test_a_reference_in_a_topic_is_filled_in_before_rendering() -> None:
    message = item("mqtt: home/${ROOM}/{{ body.name }}", {"ROOM": "hall"}).render(Scope(WEBHOOK, "a"))
    assert getattr(message, "topic", None) == "home/hall/x"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ('mqtt: "a/{{ body.x | lowr }}"', ["E0301 lowr"]),
        ("mqtt: a/{{ bdy.x }}", ["E0301 bdy.x"]),
        ("mqtt: '{{ body.x }}'", ["E0301 {{"]),
        ("mqtt: a/+", ["E0301 +"]),
        ("mqtt: $SYS/x", ["E0301 $SYS/x"]),
        ("mqtt: ''", ["E0301 '"]),
        ("{mqtt: t, payload: {a: [1, '{{ x']}}", ["E0301 {{"]),
        ("{mqtt: t, payload: .inf}", ["E0104 .inf"]),
        ("{mqtt: t, payload: }", ["E0101 "]),
        ("mqtt: t/${file:/etc/hostname}", ["E0301 t/${file:/etc/hostname"]),
        ("mqtt: t/${EVIL}", ["E0301 t/${EVIL"]),
        ("mqtt: t/${WILD}", ["E0301 t/${WILD"]),
        ("{http: 'http://h/', headers: {X-A: '{{ x'}}", ["E0301 {{"]),
        ("{http: 'http://h/', headers: {X-A: '${ROOM} {{ body.x }}'}}", ["E0105 '${ROOM} {{ body.x }}'"]),
        ("{http: 'http://h/', headers: {Content-Length: '5'}}", ["E0104 Content-Length:"]),
        ("{http: 'http://h/', headers: {'X A': '5'}}", ["E0104 'X A'"]),
    ],
)
def test_mistakes_and_their_places(lines: str, found: list[str]) -> None:
    text = with_routes(f"  - name: a\n    send:\n      - {lines}\n")
    environment = {"EVIL": "{{ body.x }}", "WILD": "hunter2/#", "ROOM": "hall"}
    assert_problems(text, found, environment)
    assert "hunter2" not in loaded(text, environment).report()


def test_every_mistake_of_a_payload_is_named() -> None:
    text = with_routes(
        "  - name: a\n    send:\n      - {mqtt: t, payload: {a: '{{ x', b: ['{{ y'], c: !t 1}}\n"
    )
    assert_problems(text, ["E0301 {{ x", "E0301 {{ y", "E0008 !t"])


def test_a_template_that_nests_too_deeply() -> None:
    text = with_routes(f"  - name: a\n    send:\n      - mqtt: t/{{{{ {'(' * 20_000} }}}}\n")
    assert_problems(text, ["E0301 "])


def test_order() -> None:
    def order(written: str) -> object:
        return (
            config_of(with_routes(f"  - {{name: a, order: {written}, send: [{{mqtt: t}}]}}\n"))
            .table.routes[0]
            .order
        )

    assert order("none") is NO_ORDER
    template = order("'{{ body.n }}'")
    assert getattr(template, "source", None) == "{{ body.n }}"


def test_a_secret_header_is_added_when_it_is_sent_and_not_part_of_the_message() -> None:
    text = with_routes(
        "  - name: a\n    send:\n"
        "      - {http: 'http://h/x', headers: {X-Token: '${ROOM}', X-Name: '{{ body.name }}'}}\n"
        "      - {http: 'http://h/y'}\n"
    )
    config = config_of(text, {"ROOM": "hunter2"})
    own, plain = config.table.routes[0].items
    assert isinstance(own, HttpItem)
    assert [name for name, _ in own.headers] == ["X-Name"]
    assert plain.target == "http:http://h"
    assert own.target == "http:http://h (a)"
    [(name, secret)] = config.services[own.target].headers
    assert (name, secret.reveal()) == ("X-Token", "hunter2")
    assert config.services[plain.target].headers == ()
