from dataclasses import replace
from pathlib import Path

import pytest

from bridge.config.model import Config
from bridge.reload import Outcome, Reloader
from bridge.routing.table import RouteTable
from bridge.secret import Secret
from bridge.trial import problems_of, run_cases
from bridge.verify.schemes import SCHEMES
from bridge.verify.verifier import Verifier
from tests.support.routing_files import config_of

FILE = """\
relay: {key: a, secret: b}
services: {shop: {url: "http://127.0.0.1:1880/shop", headers: {Authorization: "Bearer ${TOKEN}"}}}
routes:
  - name: ring
    match: {bucket: doorbell, body.event: ring}
    send:
      - mqtt: home/{{ body.door }}/ring
        payload: {door: "{{ body.door }}", times: "{{ body.times }}"}
        qos: 2
      - http: /orders
        service: shop
        headers: {X-Door: "{{ body.door }}"}
  - name: secretive
    match: {bucket: vault, header.x-token: "${TOKEN}"}
    when: "{{ header['x-token'] == '${TOKEN}' }}"
    final: true
    send: [{mqtt: vault, payload: "${TOKEN}"}]
  - name: late
    match: {bucket: vault}
    when: "{{ body.nothing.here }}"
    send: [{mqtt: late}]
tests:
"""
RING = "{bucket: doorbell, body: {event: ring, door: front, times: 2}}"
MQTT = "{route: ring, mqtt: home/front/ring}"
HTTP = '{route: ring, http: "http://127.0.0.1:1880/shop/orders"}'
BOTH = "it sends mqtt home/front/ring and http http://127.0.0.1:1880/shop/orders"
TOKEN = {"TOKEN": "hunter2"}


def config(given: str, *expect: str, before: str = FILE) -> Config:
    return config_of(f"{before}  - {{name: n, given: {given}, expect: [{', '.join(expect)}]}}\n", TOKEN)


def complaints(given: str, *expect: str, before: str = FILE) -> list[str]:
    (trial,) = run_cases(config(given, *expect, before=before))
    return list(trial.complaints)


def with_facts(expectation: str, facts: str) -> str:
    return f"{expectation[:-1]}, {facts}}}"


@pytest.mark.parametrize(
    "facts",
    [
        "payload: {door: front, times: 2.0}",
        'payload: \'{"door":"front","times":2}\'',
        "qos: 2",
        "retain: false",
        "qos: 2, payload: {times: 2, door: front}, retain: false",
    ],
)
def test_what_is_expected_of_a_publication_comes(facts: str) -> None:
    assert complaints(RING, HTTP, with_facts(MQTT, facts)) == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ("qos: 1", "expected qos 1, found 2"),
        ("retain: true", "expected retain true, found false"),
        ("payload: {door: front}", 'expected payload {"door":"front"}, found {"door":"front","times":2}'),
        ("payload: {door: front, times: '2'}", 'expected payload {"door":"front","times":"2"}, found'),
        ("payload: {door: front, times: true}", "expected payload"),
        ("payload: [front, 2]", "expected payload"),
        ("payload: ring", "expected payload ring, found"),
        ("payload: 18446744073709551616", "expected payload 18446744073709551616, found"),
    ],
)
def test_what_is_expected_of_a_publication_does_not_come(facts: str, told: str) -> None:
    (complaint,) = complaints(RING, HTTP, with_facts(MQTT, facts))
    assert complaint.startswith(f"ring sends mqtt home/front/ring: {told}")


def test_true_is_not_1() -> None:
    file = FILE.replace('"{{ body.times }}"', "true").replace('door: "{{ body.door }}", ', "")
    assert complaints(RING, HTTP, with_facts(MQTT, "payload: {times: true}"), before=file) == []
    assert complaints(RING, HTTP, with_facts(MQTT, "payload: {times: 1}"), before=file) != []


def test_a_request_is_compared_by_its_whole_url() -> None:
    good = "method: POST, headers: {x-door: front, webhook-id: test}"
    assert complaints(RING, MQTT, with_facts(HTTP, good)) == []
    assert complaints(RING, MQTT, with_facts(HTTP, "payload: {times: 2, event: ring, door: front}")) == []
    assert complaints(RING, MQTT, with_facts(HTTP, "method: PUT")) == [
        "ring sends http http://127.0.0.1:1880/shop/orders: expected method PUT, found POST"
    ]
    assert complaints(RING, MQTT, with_facts(HTTP, "headers: {X-Door: back, X-None: a}")) == [
        "ring sends http http://127.0.0.1:1880/shop/orders: expected header X-Door back, found front",
        "ring sends http http://127.0.0.1:1880/shop/orders: expected header X-None a, found null",
    ]
    assert complaints(RING, MQTT, '{route: ring, http: "/orders"}') == [
        f"expected ring to send http /orders; instead: {BOTH}",
        "not expected: ring sends http http://127.0.0.1:1880/shop/orders",
    ]


def test_all_that_is_sent_has_to_be_expected() -> None:
    assert complaints(RING, MQTT) == ["not expected: ring sends http http://127.0.0.1:1880/shop/orders"]
    assert len(complaints(RING)) == 2
    assert complaints(RING, MQTT, HTTP, MQTT) == [
        f"expected ring to send mqtt home/front/ring; instead: {BOTH}"
    ]


def test_nothing_can_be_expected() -> None:
    assert complaints("{bucket: meter}") == []
    assert complaints("{bucket: meter}", before=FILE.replace("routes:", "unmatched: dead\nroutes:")) == []


def test_why_a_route_did_not_match_is_told() -> None:
    assert complaints("{bucket: doorbell, body: {event: knock}}", MQTT) == [
        "expected ring to send mqtt home/front/ring; instead: mismatch: body.event eq 'ring' - saw 'knock'"
    ]
    assert complaints("{bucket: vault}", "{route: late, mqtt: late}") == [
        "expected late to send mqtt late; instead: failed: body.nothing.here is missing"
    ]
    disabled = FILE.replace("name: ring", "name: ring\n    enabled: false")
    assert complaints(RING, MQTT, before=disabled) == [
        "expected ring to send mqtt home/front/ring; instead: disabled"
    ]


def test_a_dead_letter_is_nothing_to_expect() -> None:
    first, *_, last = complaints("{bucket: doorbell, body: {event: ring}}", MQTT)
    assert first.startswith("expected ring to send mqtt home/front/ring; instead: it sends mqtt:home <- dead")
    assert last == "not expected: ring sends http:shop <- dead letter: body.door is missing"


def test_what_unmatched_sends_can_be_expected() -> None:
    file = FILE.replace("routes:", "unmatched: [{mqtt: lost}]\nroutes:")
    assert complaints("{bucket: meter}", "{route: unmatched, mqtt: lost}", before=file) == []
    told = complaints(RING, MQTT, HTTP, "{route: unmatched, mqtt: lost}", before=file)
    assert told == ["expected unmatched to send mqtt lost; instead: a route matched"]


LIGHT = """\
relay: {key: a, secret: b}
routes:
  - name: log
    match: {bucket: doorbell}
    send: [{mqtt: log, payload: x}]
  - name: light
    match: {bucket: slack}
    send: [{mqtt: light, payload: x}]
    reply: {headers: {X-Hook-Secret: "{{ body.word }}"}, body: {text: "{{ body.word }}", on: true}}
  - name: asked
    send: [{http: "http://127.0.0.1/", payload: x}]
    reply: {from: http, body: "{{ body.word }}"}
  - name: late
    reply: {status: 204}
    send: [{mqtt: late, payload: x}]
tests:
"""
SLACK = "{bucket: slack, body: {word: hi}}"
SENT = (
    '{route: asked, http: "http://127.0.0.1/"}',
    "{route: late, mqtt: late}",
)


def replies(given: str, *expect: str) -> list[str]:
    first = "log" if "doorbell" in given else "light"
    sent = (f"{{route: {first}, mqtt: {first}}}", *SENT) if "other" not in given else SENT
    return complaints(given, *sent, *expect, before=LIGHT)


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        (SLACK, "{reply: {}}"),
        (SLACK, "{reply: {status: 200, body: {on: true, text: hi}}}"),
        (SLACK, "{route: light, reply: {headers: {x-hook-secret: hi, Content-Type: application/json}}}"),
        (SLACK, '{reply: {body: \'{"text":"hi","on":true}\'}}'),
        ("{bucket: other, body: {word: hi}}", "{route: asked, reply: {from: http, status: 202, body: hi}}"),
    ],
)
def test_what_is_expected_of_the_reply_comes(given: str, reply: str) -> None:
    assert replies(given, reply) == []
    assert replies(given) == []


@pytest.mark.parametrize(
    ("given", "reply", "told"),
    [
        (SLACK, "{reply: {status: 201}}", "light replies: expected status 201, found 200"),
        (SLACK, "{reply: {from: mqtt}}", "light replies: expected from mqtt, found null"),
        (
            SLACK,
            "{reply: {body: {text: ho}}}",
            'light replies: expected body {"text":"ho"}, found {"text":"hi","on":true}',
        ),
        (SLACK, "{reply: {headers: {x-a: b}}}", "light replies: expected header x-a b, found null"),
        (SLACK, "{route: late, reply: {}}", "expected late to reply; instead: light does"),
        (
            "{bucket: doorbell, body: {word: hi}}",
            "{route: light, reply: {}}",
            "expected light to reply; instead: asked does",
        ),
        (
            "{bucket: other, body: {word: hi}}",
            "{reply: {from: mqtt, body: ho}}",
            "asked replies: expected from mqtt, found http",
        ),
    ],
)
def test_what_is_expected_of_the_reply_does_not_come(given: str, reply: str, told: str) -> None:
    assert replies(given, reply)[0] == told


def test_where_nobody_replies() -> None:
    assert complaints(RING, MQTT, HTTP, "{reply: {}}") == ["expected a route to reply; instead: nobody does"]
    assert complaints(RING, MQTT, HTTP, "{route: ring, reply: {}}") == [
        "expected ring to reply; instead: nobody does"
    ]
    assert complaints(RING, MQTT, HTTP, "{route: late, reply: {}}") == [
        "expected late to reply; instead: mismatch: bucket eq 'vault' - saw 'doorbell', ''"
    ]
    told = complaints("{bucket: other, body: {}}", *SENT, "{reply: {}}", before=LIGHT)
    assert told == ["asked can't reply: body.word is missing"]


def test_no_secret_of_a_reply_is_told() -> None:
    file = LIGHT.replace('{{ body.word }}", on: true', '${TOKEN}"')
    (told,) = complaints(
        SLACK, "{route: light, mqtt: light}", *SENT, "{reply: {body: {text: x}}}", before=file
    )
    assert told == "light replies: another body than expected, which is not shown as it holds a secret"


SECRET_GIVEN = '{bucket: vault, headers: {x-token: "${TOKEN}"}}'


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (SECRET_GIVEN, ["{route: secretive, mqtt: vault, payload: x}"]),
        (SECRET_GIVEN, ['{route: secretive, mqtt: other, payload: "${TOKEN}"}']),
        ('{bucket: vault, headers: {x-token: "${TOKEN}"}}', ["{route: late, mqtt: late}"]),
        ("{bucket: vault, headers: {x-token: a}}", ["{route: secretive, mqtt: vault}"]),
        ("{bucket: vault, headers: {x-token: hunter2}}", ["{route: secretive, mqtt: vault, payload: x}"]),
        (RING, [with_facts(HTTP, "headers: {authorization: x}")]),
        ('{bucket: doorbell, body: {event: ring, door: "${TOKEN}"}}', []),
        ('{bucket: doorbell, body: {event: ring, door: "${TOKEN}", times: 1}}', [MQTT]),
        (RING, [MQTT, HTTP, '{route: ring, mqtt: "home/${TOKEN}/ring"}']),
    ],
)
def test_no_secret_is_told(given: str, expect: list[str]) -> None:
    told = complaints(given, *expect)
    assert told
    assert "hunter2" not in "".join(told)


def test_a_secret_is_compared_all_the_same() -> None:
    assert complaints(SECRET_GIVEN, '{route: secretive, mqtt: vault, payload: "${TOKEN}"}') == []
    (told,) = complaints(SECRET_GIVEN, "{route: secretive, mqtt: vault, payload: x}")
    assert told == (
        "secretive sends mqtt:home (secret): another payload than expected, "
        "which is not shown as it holds a secret"
    )


def test_a_signature_counts_as_good_unless_the_test_says_otherwise() -> None:
    scheme = SCHEMES["github"]
    gate = Verifier("gate", scheme, [Secret("s3cret")], window=None, refuse_replays=False)

    def signed(given: str) -> list[str]:
        plain = config(given, MQTT, HTTP)
        routes = [replace(route, verifier=gate) for route in plain.table.routes]
        (trial,) = run_cases(replace(plain, table=RouteTable(routes)))
        return list(trial.complaints)

    assert signed(RING) == []
    (first, _) = signed(with_facts(RING, "verified: false"))
    assert first.startswith("expected ring to send mqtt home/front/ring; instead: rejected: missing-header")


def test_failures_become_problems_with_their_places() -> None:
    text = FILE + f"  - {{name: a, given: {RING}, expect: []}}\n  - {{name: b, given: {{}}, expect: []}}\n"
    (problem,) = problems_of(run_cases(config_of(text, TOKEN)))
    assert str(problem).startswith("bridge.yaml:23:5: error[E0401]: the test 'a' fails: not expected: ring")


async def test_a_reload_is_refused_where_tests_are_required_and_fail(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    plain = FILE.replace("${TOKEN}", "t")
    good = f"{plain}  - {{name: n, given: {RING}, expect: [{MQTT}, {HTTP}]}}\n"
    bad = f"{plain}  - {{name: n, given: {RING}, expect: []}}\n"
    applied: list[int] = []
    reloader = Reloader(file, lambda _config, generation: applied.append(generation), lambda: 0.0)

    async def reload(text: str) -> Outcome:
        file.write_text(text)
        return await reloader.reload()

    required = "reload: {require_tests: true}\n"
    assert (await reload(required + good)).name == "applied"
    refused = await reload(required + bad)
    assert (refused.name, refused.generation, applied) == ("rejected", 1, [1])
    assert [problem.code.number for problem in refused.problems] == ["E0401"]
    assert (await reload("reload: {require_tests: false}\n" + bad)).name == "applied"
    assert (await reload(bad)).name == "applied"
    assert applied == [1, 2, 3]
