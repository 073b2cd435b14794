"""What senders are answered: rendered by the route, or made of what a target said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RenderError
from bridge.message import Answer
from bridge.routing.reply import LARGEST_BODY, Replying, answer_of_message, answer_of_response
from bridge.routing.table import Routed
from bridge.webhook import Webhook
from tests.support.deliveries import webhook
from tests.support.routing_files import config_of, with_routes

FORM = {"content-type": ("application/x-www-form-urlencoded",)}
PLAIN = ("content-type", "text/plain; charset=utf-8")
JSON = ("content-type", "application/json")
HTTP = "{http: 'http://127.0.0.1:1/'}"
TOPIC = "{mqtt: home/light}"


def light(text: str, **fields: Any) -> Webhook:
    return webhook(f"text={text}".encode(), headers=FORM, **fields)


def routed(reply: str, sent: Webhook, send: str = f"[{TOPIC}, {HTTP}, {HTTP}]") -> Routed:
    return config_of(with_routes(f"  - {{name: light, reply: {reply}, send: {send}}}\n")).table.route(sent)


def answer(reply: str, text: str = "on") -> Answer | RenderError:
    found = routed(reply, light(text)).reply
    assert found is not None
    return found.answer


def test_without_words_it_is_200_and_empty() -> None:
    assert answer("{}") == Answer(200)


def test_status_headers_and_body_are_the_route_s() -> None:
    said = answer('{status: 201, body: "Light is {{ form.text }}", headers: {X-Id: "{{ id }}"}}')
    assert said == Answer(201, (("X-Id", "log-1"), PLAIN), b"Light is on")


def test_a_mapping_becomes_json_and_a_header_beats_the_content_type() -> None:
    body = 'body: {text: "{{ form.text }}"}'
    assert answer(f"{{{body}}}") == Answer(200, (JSON,), b'{"text":"on"}')
    typed = answer(f"{{{body}, headers: {{Content-Type: application/x}}}}")
    assert typed == Answer(200, (("Content-Type", "application/x"),), b'{"text":"on"}')


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ('{headers: {X-A: "{{ form.text }}"}}', "a%0d%0aSet-Cookie:b"),
        ('{body: "{{ body.nothing }}"}', "on"),
        ('{body: "{{ form.text * 1000 }}"}', "x" * (LARGEST_BODY // 1000 + 1)),
    ],
)
def test_what_can_not_be_rendered_costs_the_answer_and_no_delivery(reply: str, text: str) -> None:
    found = routed(reply, light(text))
    assert found.reply is not None
    assert isinstance(found.reply.answer, RenderError)
    assert [plan.error for plan in found.plans] == [None] * 3


def test_the_first_item_of_the_kind_is_asked() -> None:
    by_http = routed("{from: http, timeout: 2s, status: 503}", light("on"))
    assert by_http.reply == Replying("light", Answer(503), 2.0)
    assert [plan.asked for plan in by_http.plans] == [False, True, False]
    by_mqtt = routed("{from: mqtt}", light("on"))
    assert by_mqtt.reply == Replying("light", Answer(202), 8.0)
    assert [plan.asked for plan in by_mqtt.plans] == [True, False, False]
    assert not any(plan.asked for plan in routed("{status: 200}", light("on")).plans)


def test_where_what_is_asked_can_not_be_sent_the_fallback_comes_at_once() -> None:
    found = routed("{from: mqtt}", light("on"), '[{mqtt: "x/{{ body.nothing }}"}]')
    assert found.reply == Replying("light", Answer(202), None)


@pytest.mark.parametrize("fields", [{"id": ""}, {"late": True}])
def test_who_can_not_be_answered_is_not(fields: dict[str, Any]) -> None:
    found = routed("{from: http}", light("on", **fields))
    assert found.reply is None
    assert not any(plan.asked for plan in found.plans)


def test_the_first_route_that_matches_and_has_a_reply_answers() -> None:
    table = config_of(
        with_routes(
            f"  - {{name: other, match: {{bucket: other}}, reply: {{status: 500}}, send: [{TOPIC}]}}\n"
            f"  - {{name: silent, send: [{TOPIC}]}}\n"
            f"  - {{name: first, reply: {{status: 201}}, send: [{TOPIC}]}}\n"
            f"  - {{name: second, reply: {{from: http}}, send: [{HTTP}]}}\n"
        )
    ).table
    found = table.route(light("on"))
    assert found.matched == ("silent", "first", "second")
    assert found.reply == Replying("first", Answer(201))
    assert not any(plan.asked for plan in found.plans)


def test_a_forgery_has_no_reply() -> None:
    text = "verifiers: {gh: {scheme: github, secrets: s3cr3t}}\n" + with_routes(
        f"  - {{name: light, verify: gh, reply: {{}}, send: [{TOPIC}]}}\n"
    )
    found = config_of(text).table.route(light("on"))
    assert (len(found.rejected), found.reply) == (1, None)


# What a service answered


def test_headers_that_speak_to_proxies_or_of_the_connection_stay_behind() -> None:
    said = [
        ("Content-Type", "text/html"),
        ("Content-Length", "5"),
        ("Connection", "close"),
        ("Set-Cookie", "a=b"),
        ("X-Accel-Redirect", "/etc/passwd"),
        ("X-Sendfile", "/etc/passwd"),
        ("Retry-After", "1"),
        ("retry-after", "2"),
        ("Location", "http://x/\r\nA: b"),
        ("X-Hook-Secret", "s"),
    ]
    expected = (("content-type", "text/html"), ("retry-after", "1"), ("x-hook-secret", "s"))
    assert answer_of_response(404, said, b"gone\n") == Answer(404, expected, b"gone\n")


@pytest.mark.parametrize("status", [0, 101, 199, 600, 999])
def test_a_status_that_is_none_is_a_bad_gateway(status: int) -> None:
    assert answer_of_response(status, [], b"x") == Answer(502)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(status: int) -> None:
    assert answer_of_response(status, [], b"x") == Answer(status)
    assert answer_of_message(b'{"status": %d, "body": "x"}' % status, None).body == b""


# What a responder published


@pytest.mark.parametrize(
    ("payload", "content_type", "expected"),
    [
        (b"on", None, Answer(200, (PLAIN,), b"on")),
        (b"", None, Answer(200)),
        (b"<b>", "text/html", Answer(200, (("content-type", "text/html"),), b"<b>")),
        (b"<b>", "text/\nhtml", Answer(200, (), b"<b>")),
        (b'{"text": "on"}', None, Answer(200, (JSON,), b'{"text": "on"}')),
        (b"[1]", None, Answer(200, (JSON,), b"[1]")),
        (b"21.5", None, Answer(200, (PLAIN,), b"21.5")),
        (b'{"status": 201}', None, Answer(201)),
        (b'{"status": 201, "body": "on"}', None, Answer(201, (PLAIN,), b"on")),
        (b'{"status": 500, "body": {"a": 1}}', "application/json", Answer(500, (JSON,), b'{"a":1}')),
        (b'{"status": "ok"}', None, Answer(200, (JSON,), b'{"status": "ok"}')),
        (b'{"status": true}', None, Answer(200, (JSON,), b'{"status": true}')),
        (b'{"status": 42}', None, Answer(200, (JSON,), b'{"status": 42}')),
        (b'{"status": 200, "x": 1}', None, Answer(200, (JSON,), b'{"status": 200, "x": 1}')),
        (
            b'{"status": 302, "headers": {"Location": "/x", "Retry-After": 5, "Content-Length": 9, "a": 1}}',
            None,
            Answer(302, (("location", "/x"), ("retry-after", "5"))),
        ),
        (
            b'{"status": 201, "headers": {"Content-Type": ["text/html", "x"], "Location": [{}]}}',
            None,
            Answer(201, (("content-type", "text/html"),)),
        ),
        (b'{"status": 200, "headers": ["x"]}', None, Answer(200)),
    ],
)
def test_a_payload_is_a_body_or_a_whole_answer(
    payload: bytes, content_type: str | None, expected: Answer
) -> None:
    assert answer_of_message(payload, content_type) == expected


def test_a_body_that_nests_too_deeply_is_left_out() -> None:
    deep = b"[" * 500 + b"]" * 500
    assert answer_of_message(b'{"status": 200, "body": %s}' % deep, None) == Answer(200)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
WHOLE = st.fixed_dictionaries(
    {"status": st.integers() | JSON_VALUES},
    optional={"headers": JSON_VALUES | st.dictionaries(st.text(), st.text()), "body": JSON_VALUES},
)


@given(
    st.binary() | (JSON_VALUES | WHOLE).map(lambda value: json.dumps(value).encode()),
    st.none() | st.text(),
)
def test_whatever_a_responder_says_is_an_answer_that_can_be_sent(payload: bytes, kind: str | None) -> None:
    said = answer_of_message(payload, kind)
    assert 200 <= said.status <= 599
    for name, value in said.headers:
        assert name.isascii()
        assert not set(name + value) & set("\r\n\0")
