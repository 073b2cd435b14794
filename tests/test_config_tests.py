import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.model import Case
from bridge.config.tests import RECEIVED_AT, parse_given
from bridge.errors import ConfigError
from tests.support.routing_files import assert_problems, config_of, with_routes

ROUTE = "  - {name: r, send: [{mqtt: t}]}\n"


def cases(tests: str) -> tuple[Case, ...]:
    return config_of(with_routes(ROUTE) + "tests:\n" + tests).cases


def test_a_whole_test() -> None:
    (case,) = cases("""\
  - name: everything
    given:
      bucket: b
      input: i
      output: o
      method: PUT
      path: /a/b
      query: {q: 1 & 2, r: [x, y]}
      headers: {X-Event: push, Accept: [a, b]}
      body: {n: 1.5, list: [null, true]}
      id: log-7
      verified: false
    expect:
      - {route: r, mqtt: t, payload: null, qos: 0, retain: false}
      - {route: r, http: "http://h/p", method: POST, headers: {X-A: b}, payload: text}
""")
    hook = case.webhook
    assert (hook.id, hook.bucket, hook.input, hook.output) == ("log-7", "b", "i", "o")
    assert (hook.method, hook.path, hook.received_at) == ("PUT", "/a/b", RECEIVED_AT)
    assert hook.query == {"q": ("1 & 2",), "r": ("x", "y")}
    assert hook.headers == {
        "x-event": ("push",),
        "accept": ("a", "b"),
        "content-type": ("application/json",),
    }
    assert hook.json() == {"n": 1.5, "list": [None, True]}
    assert (case.name, case.place.line, case.verified, case.secret) == ("everything", 5, False, False)
    assert [expected.facts for expected in case.expect] == [
        {"mqtt": "t", "payload": None, "qos": 0, "retain": False},
        {"http": "http://h/p", "method": "POST", "headers": {"X-A": "b"}, "payload": "text"},
    ]


def test_what_is_left_out_is_plain() -> None:
    (case,) = cases("  - {name: n, given: {bucket: b}, expect: []}\n")
    assert (case.webhook.method, case.webhook.path, case.webhook.raw) == ("POST", "/", b"")
    assert (case.webhook.headers, case.webhook.query, case.expect, case.verified) == ({}, {}, (), True)


@pytest.mark.parametrize(
    ("written", "raw", "content_type"),
    [
        ("body: text", b"text", None),
        ("body: text, headers: {content-type: text/plain}", b"text", "text/plain"),
        ("body: '{\"a\": 1}'", b'{"a": 1}', None),
        ("body: 5", b"5", "application/json"),
        ("body: null", b"null", "application/json"),
        ("body: [], headers: {Content-Type: application/x+json}", b"[]", "application/x+json"),
        ("form: {a: [1 2, '3'], b: ''}", None, None),
        ("form: {text: ë&}", b"text=%C3%AB%26", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies(written: str, raw: bytes | None, content_type: str | None) -> None:
    (case,) = cases(f"  - {{name: n, given: {{{written}}}, expect: []}}\n")
    if raw is None:
        assert case.webhook.form == {"a": ("1 2", "3"), "b": ("",)}
    else:
        assert (case.webhook.raw, case.webhook.header("content-type")) == (raw, content_type)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("name: n, expect: []", "E0103 {"),
        ("given: {}, expect: []", "E0103 {"),
        ("name: n, given: {bukket: b}, expect: []", "E0102 bukket"),
        ("name: n, given: {path: a}, expect: []", "E0104 a}"),
        ("name: n, given: {path: /a?b}, expect: []", "E0104 /a"),
        ("name: n, given: {headers: {a: 5}}, expect: []", "E0101 5"),
        ("name: n, given: {query: a=b}, expect: []", "E0101 a=b"),
        ("name: n, given: {body: x, form: {a: b}}, expect: []", "E0105 {a: b}"),
        ("name: n, given: {body: [18446744073709551616]}, expect: []", "E0104 [18"),
        ("name: n, given: {verified: 'yes'}, expect: []", "E0101 'yes'"),
        ("name: n, given: {}, expect: {}", "E0101 {}"),
        ("name: n, given: {}, expect: [{route: r}]", "E0103 {route"),
        ("name: n, given: {}, expect: [{mqtt: t}]", "E0103 {mqtt"),
        ("name: n, given: {}, expect: [{route: s, mqtt: t}]", "E0201 s,"),
        ("name: n, given: {}, expect: [{route: r, mqtt: t, http: u}]", "E0105 {route"),
        ("name: n, given: {}, expect: [{route: r, mqtt: t, qos: 3}]", "E0104 3"),
        ("name: n, given: {}, expect: [{route: r, mqtt: t, method: PUT}]", "E0102 method"),
        ("name: n, given: {}, expect: [{route: r, http: u, retain: true}]", "E0102 retain"),
        ("name: n, given: {body: '${NONE}'}, expect: []", "E0203 ${NONE"),
    ],
)
def test_mistakes_are_told_with_their_place(written: str, problem: str) -> None:
    assert_problems(with_routes(ROUTE) + f"tests: [{{{written}}}]\n", [problem])


def test_a_test_may_name_a_route_that_has_a_mistake_of_its_own() -> None:
    routes = "  - {name: broken, send: [{mqtt: t/+}]}\n"
    test = "tests: [{name: n, given: {}, expect: [{route: broken, mqtt: t}, {route: unmatched, mqtt: u}]}]\n"
    assert_problems(with_routes(routes) + test, ["E0301 +"])


def test_a_given_with_a_reference_is_secret() -> None:
    text = with_routes(ROUTE) + "tests: [{name: n, given: {headers: {x: '${TOKEN}'}}, expect: []}]\n"
    (case,) = config_of(text, {"TOKEN": "s3cret"}).cases
    assert case.secret
    assert case.webhook.header("x") == "s3cret"


def test_a_webhook_that_somebody_wrote() -> None:
    hook, verified = parse_given("bucket: b\nbody: {a: '${NAME} {{ x }}'}\nverified: false\n", "w.yaml", 5.0)
    assert (hook.bucket, hook.json(), hook.received_at, verified) == (
        "b",
        {"a": "${NAME} {{ x }}"},
        5.0,
        False,
    )
    assert parse_given('{"bucket": "b"}', "-", 5.0)[1] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no mapping"),
        ("[]", "no mapping"),
        ("bukket: b", "w.yaml:1:1: error"),
        ("{bucket: 5, body: x, form: {}}", "w.yaml:1:10: error"),
        ("{", "w.yaml:2:1: error"),
    ],
)
def test_a_webhook_that_somebody_wrote_wrongly(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_given(text, "w.yaml", 0.0)


# JSON writes a character as up to twelve, and a key of YAML has at most 1024.
KEYS = st.text(max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3))
def test_any_json_body_arrives_as_it_was_written(body: dict[str, object]) -> None:
    hook, _ = parse_given(json.dumps({"bucket": "b", "body": body}), "-", 0.0)
    assert hook.json() == body


def test_a_reply_can_be_expected() -> None:
    reply = "{status: 201, body: {a: [1]}, headers: {X-Hook-A: b}}"
    expect = f"[{{reply: {reply}}}, {{route: a, reply: {{from: http}}}}]"
    text = f"tests: [{{name: t, given: {{}}, expect: {expect}}}]\n"
    [case] = config_of(with_routes("  - {name: a, send: [{mqtt: t}]}\n") + text).cases
    assert [(expected.route, expected.facts) for expected in case.expect] == [
        ("", {"reply": {"status": 201, "body": {"a": [1]}, "headers": {"X-Hook-A": "b"}}}),
        ("a", {"reply": {"from": "http"}}),
    ]


@pytest.mark.parametrize(
    ("expectation", "found"),
    [
        ("{route: b, reply: {}}", "E0201 b"),
        ("{reply: 200}", "E0101 200"),
        ("{reply: {status: 100}}", "E0104 100"),
        ("{reply: {from: amqp}}", "E0104 amqp"),
        ("{reply: {payload: x}}", "E0102 payload"),
        ("{route: a, mqtt: t, reply: {}}", "E0105 {route"),
    ],
)
def test_mistakes_of_expected_replies(expectation: str, found: str) -> None:
    text = f"tests: [{{name: t, given: {{}}, expect: [{expectation}]}}]\n"
    assert_problems(with_routes("  - {name: a, send: [{mqtt: t}]}\n") + text, [found])
