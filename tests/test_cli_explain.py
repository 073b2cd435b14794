"""`relay-bridge explain`: a dry run of one webhook, which says what the daemon would do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.relay.frames import encode_webhook
from tests.support.cli import Done, call, run
from tests.support.deliveries import webhook
from tests.support.http import recording_server
from tests.support.process import BridgeProcess
from tests.support.relay import KEY, SECRET, a_webhook, scripted_relay
from tests.support.waiting import eventually_async

ROUTING = """\
relay: {key: a, secret: relay-s3cret}
brokers: {home: {url: "mqtt://127.0.0.1:1", password: broker-s3cret}}
services: {shop: {url: "http://127.0.0.1:1", headers: {Authorization: "Bearer service-s3cret"}}}
routes:
  - name: ring
    match: {bucket: doorbell, body.event: ring}
    send:
      - {mqtt: "home/{{ body.door }}", qos: 2, retain: true}
      - {http: "/orders/{{ body.door }}", service: shop}
  - name: night
    match: {bucket: doorbell}
    when: "{{ body.hour > 22 }}"
    send: [{mqtt: home/night}]
  - name: last
    match: {bucket: doorbell}
    final: true
    order: none
    send: [{mqtt: "home/{{ body.nobody.knows }}"}, {mqtt: home/all, payload: "{{ body.door }}"}]
  - name: after
    match: {bucket: doorbell}
    send: [{mqtt: never}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(ROUTING)
    return path


def explain(file: Path, body: bytes, form: str = "text", **fields: Any) -> Done:
    frame = encode_webhook(webhook(body, **fields)).encode()
    return call("explain", "-c", file, "-", "--format", form, stdin=frame)


def test_each_route_tells_what_became_of_it_and_what_is_sent(file: Path) -> None:
    done = explain(file, b'{"event": "ring", "door": "front", "hour": 12}')
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "ring: matched\n"
        "  mqtt:home <- home/front (qos 2, retained)\n"
        '    {"event": "ring", "door": "front", "hour": 12}\n'
        "  http:shop <- POST http://127.0.0.1:1/orders/front\n"
        "    content-type: application/json\n"
        "    webhook-id: log-1\n"
        "    idempotency-key: log-1\n"
        "    authorization: (secret)\n"
        '    {"event": "ring", "door": "front", "hour": 12}\n'
        "night: mismatch: when is true '{{ body.hour > 22 }}' - saw False\n"
        "last: matched\n"
        "  mqtt:home <- dead letter: body.nobody.knows is missing\n"
        "  mqtt:home <- home/all (qos 1)\n"
        "    front\n"
        "after: not reached\n"
    )


def test_a_mismatch_tells_the_condition_and_the_value_it_saw(file: Path) -> None:
    done = explain(file, b'{"event": "knock", "hour": 12, "door": "x"}')
    assert "ring: mismatch: body.event eq 'ring' - saw 'knock'\n" in done.out
    other = explain(file, b"{}", bucket="meter")
    assert "ring: mismatch: bucket eq 'doorbell' - saw 'meter', '1593fe5f" in other.out
    assert "ring: mismatch: body.event eq 'ring' - saw nothing" in explain(file, b"{}").out


def test_a_condition_that_fails_is_told(file: Path) -> None:
    assert "night: failed: " in explain(file, b"{}").out


def test_the_same_for_machines(file: Path) -> None:
    body = b'{"event": "ring", "door": "front", "hour": 12}'
    done = explain(file, body, "json")
    ring, night, last, after = done.json()
    assert (done.status, done.err) == (0, "")
    assert [route["verdict"] for route in (ring, night, last, after)] == [
        "matched",
        "mismatch",
        "matched",
        "not reached",
    ]
    mqtt, http = ring["sends"]
    assert (mqtt["mqtt"], mqtt["qos"], mqtt["retain"], mqtt["order_key"]) == ("home/front", 2, True, "ring")
    assert (http["http"], http["method"]) == ("http://127.0.0.1:1/orders/front", "POST")
    assert mqtt["payload"] == http["payload"] == body.decode()
    assert (night["mismatch"]["source"], night["mismatch"]["seen"]) == ("when", [False])
    assert "is missing" in last["sends"][0]["error"]
    assert (last["sends"][1]["payload"], last["sends"][1]["order_key"]) == ("front", None)
    assert after["sends"] == []


def test_a_file_instead_of_stdin(file: Path, tmp_path: Path) -> None:
    frame = tmp_path / "frame.json"
    frame.write_text(encode_webhook(webhook(b'{"event": "ring", "door": "back", "hour": 1}')))
    assert "home/back" in call("explain", "-c", file, frame).out


HOSTILE = "\x1b[2J\x9b31m\x07\r\u202e\x00"


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_escape_of_a_webhook_reaches_the_terminal(file: Path, form: str) -> None:
    body = json.dumps({"event": "ring", "door": HOSTILE, "hour": HOSTILE}).encode()
    hostile = {"x-note": (HOSTILE,), "content-type": (f"text/{HOSTILE}",)}
    cases = [(body, "doorbell"), (body, HOSTILE), (body + HOSTILE.encode(), "doorbell")]
    for raw, bucket in cases:
        done = explain(file, raw, form, headers=hostile, method=HOSTILE, bucket=bucket)
        assert done.status == 0
        shown = done.out.replace("\n", "")
        assert shown.isprintable(), ascii(shown)


def test_a_long_payload_is_cut_for_people(file: Path) -> None:
    body = json.dumps({"event": "ring", "door": "front", "note": "x" * 5000, "hour": 1}).encode()
    done = explain(file, body)
    assert f"… ({len(body)} bytes)" in done.out
    assert max(map(len, done.out.splitlines())) < 300
    assert explain(file, body, "json").json()[0]["sends"][0]["payload"] == body.decode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "this is no webhook: it holds no mapping with `bucket`"),
        (b"[]", "this is no webhook: it holds no mapping with `bucket`"),
        (b"\xff", "this is no webhook: it is not UTF-8 text"),
        (
            b'{"type": "webhook", "meta": 5}',
            "this is not a webhook frame: meta is a int instead of an object",
        ),
        (b'{"type": "webhook", "body": 5}', "this is not a webhook frame: body is a int instead of text"),
        (b'{"type": "status", "status": "subscribed"}', "this frame is no webhook"),
    ],
)
def test_what_is_no_frame_is_one_line(file: Path, data: bytes, reason: str) -> None:
    done = call("explain", "-c", file, "-", stdin=data)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"relay-bridge: {reason}")
    assert done.err.count("\n") == 1


def test_a_file_that_can_not_be_used_is_told_as_a_whole(file: Path) -> None:
    file.write_text(ROUTING.replace("send", "sned"))
    done = call("explain", "-c", file, "-", stdin=b"{}")
    assert (done.status, done.out) == (78, "")
    assert done.err.count("error[") >= 4


def test_no_secret_is_shown(file: Path) -> None:
    for form in ("text", "json"):
        done = explain(file, b'{"event": "ring", "door": "front", "hour": 12}', form)
        assert "s3cret" not in done.out + done.err


def test_a_webhook_that_somebody_wrote_instead_of_a_frame(file: Path, tmp_path: Path) -> None:
    written = tmp_path / "ring.yaml"
    written.write_text("bucket: doorbell\nbody: {event: ring, door: ë, hour: 1}\nheaders: {X-Note: a}\n")
    done = call("explain", "-c", file, written)
    assert (done.status, done.err) == (0, "")
    assert "mqtt:home <- home/ë (qos 2, retained)" in done.out
    assert "http:shop <- POST http://127.0.0.1:1/orders/%C3%AB" in done.out
    assert "    x-note: a\n" in done.out
    as_json = call(
        "explain", "-c", file, "-", stdin=b'{"bucket": "doorbell", "body": {"door": "\\ud83d\\ude00"}}'
    )
    assert "never" not in as_json.out
    assert "ring: mismatch: body.event eq 'ring' - saw nothing" in as_json.out


def test_a_mistake_in_such_a_webhook_is_told_with_its_place(file: Path) -> None:
    done = call("explain", "-c", file, "-", stdin=b"bukket: doorbell\n")
    assert (done.status, done.out) == (1, "")
    assert ":1:1: error[E0102]: unknown key 'bukket'" in done.err
    assert "did you mean 'bucket'" in done.err


SECRETIVE = """\
relay: {key: a, secret: b}
services: {shop: {url: "http://127.0.0.1:1", headers: {X-Key: "${TOKEN}"}}}
verifiers: {gate: {scheme: github, secrets: ["${TOKEN}"]}}
routes:
  - {name: token, match: {header.x-token: "${TOKEN}"}, send: [{mqtt: a}]}
  - {name: other, match: {header.x-token: {ne: "${TOKEN}"}}, send: [{mqtt: a}]}
  - {name: nested, match: {not: {any: [{header.x-token: {in: ["${TOKEN}"]}}]}}, send: [{mqtt: a}]}
  - {name: either, match: {any: [{header.x: "${TOKEN}"}, {header.y: y}]}, send: [{mqtt: a}]}
  - {name: when, when: "{{ header['x-none'] | default('') == '${TOKEN}' }}", send: [{mqtt: a}]}
  - name: sends
    send:
      - {mqtt: text, payload: "password ${TOKEN}"}
      - {mqtt: tree, payload: {a: [{b: "${TOKEN}"}]}}
      - {http: /a, service: shop, headers: {Authorization: "Bearer ${TOKEN}"}}
  - {name: signed, verify: gate, send: [{mqtt: a}]}
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_reference_stands_for_is_shown(
    file: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file.write_text(SECRETIVE)
    for headers in ({"x-token": ("hunter2",), "x": ("x",)}, {"x-token": ("guess",), "y": ("z",)}):
        done = explain(file, b"{}", form, headers=headers)
        shown = done.out.replace("x-token: hunter2", "")  # the webhook's own header, sent on as it came
        shown = shown.replace('"x-token": "hunter2"', "")
        assert done.status == 0
        assert "hunter2" not in shown
        assert shown.count("(secret)") >= 6


def test_it_is_said_that_a_value_was_compared_or_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file.write_text(SECRETIVE)
    out = explain(file, b"{}", headers={"x-token": ("guess",)}).out
    assert "token: mismatch: header.x-token eq (secret) - saw (secret)\n" in out
    assert "when: mismatch: when is true" in out
    assert "${TOKEN}" in out
    assert (
        "token: mismatch: header.x-token eq (secret) - saw nothing\n" in explain(file, b"{}", headers={}).out
    )


def test_a_frame_is_verified_and_a_written_webhook_counts_as_genuine(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file.write_text(SECRETIVE)
    rejected = "signed: rejected: missing-header, there is no header x-hub-signature-256\n"
    assert rejected in explain(file, b"{}").out
    assert "signed: matched\n" in call("explain", "-c", file, "-", stdin=b"bucket: b").out
    assert rejected in call("explain", "-c", file, "-", stdin=b"bucket: b\nverified: false").out
    (*_, signed) = explain(file, b"{}", "json").json()
    assert signed["rejection"]["code"] == "missing-header"


def test_a_body_that_nests_deeply_is_shown_in_short(file: Path) -> None:
    body = b'{"event": %s1%s}' % (b"[" * 1000, b"]" * 1000)
    for form in ("text", "json"):
        assert "[[" in explain(file, body, form).out


# What another file would change


async def test_a_new_file_is_compared_for_what_the_daemon_keeps(tmp_path: Path) -> None:
    async with scripted_relay() as relay, recording_server(status=400) as service:
        old = (
            f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
            'brokers: {home: {url: "mqtt://127.0.0.1:1"}}\n'
            f"services: {{shop: {{url: '{service.url}'}}}}\n"
            "routes:\n"
            "  - {name: ring, match: {body.event: ring}, send: [{mqtt: home/ring}]}\n"
            "  - {name: order, match: {body.event: order}, send: [{http: /orders, service: shop}]}\n"
        )
        new = tmp_path / "new.yaml"
        new.write_text(
            old.replace("mqtt: home/ring", "mqtt: home/ring2, payload: '{{ body.event }}'").replace(
                "{name: order, match: {body.event: order}", "{name: order, match: {body.n: 3}"
            )
        )
        async with BridgeProcess(tmp_path / "bridge", old) as bridge:
            events = ["ring", "order", "order\x1b\x9b", "order"]
            await relay.send(
                *(a_webhook(n, body=json.dumps({"event": event, "n": n})) for n, event in enumerate(events))
            )

            async def kept() -> bool:
                status = await bridge.ask("status")
                journal, counters = status["journal"], status["counters"]
                return (counters["webhooks"], journal["dead"], journal["unsaved"]) == (4, 2, 0)

            await eventually_async(kept)

            async def compared(*arguments: str | Path) -> Done:
                folder = str(bridge.folder / "run")
                return await asyncio.to_thread(
                    run, "explain", "-c", bridge.file, "--diff", *arguments, RUNTIME_DIRECTORY=folder
                )

            done = await compared(new)
            assert (done.status, done.err) == (0, "2 kept webhooks would go elsewhere\n")
            assert done.out == (
                "0 (doorbell)\n"
                "  - ring: mqtt:home <- home/ring (qos 1)\n"
                '  -     {"event": "ring", "n": 0}\n'
                "  + ring: mqtt:home <- home/ring2 (qos 1)\n"
                "  +     ring\n"
                "1 (doorbell)\n"
                f"  - order: http:shop <- POST {service.url}/orders\n"
                "  -     content-type: application/json\n"
                "  -     webhook-id: 1\n"
                "  -     idempotency-key: 1\n"
                '  -     {"event": "order", "n": 1}\n'
            )
            ring, order = map(json.loads, (await compared(new, "--format", "json")).out.splitlines())
            (change,) = ring["changed"]
            assert (change["from"]["mqtt"], change["to"]["mqtt"]) == ("home/ring", "home/ring2")
            assert (ring["id"], ring["bucket"], ring["added"], ring["removed"]) == ("0", "doorbell", [], [])
            assert [one["http"] for one in order["removed"]] == [f"{service.url}/orders"]
            same = await compared(bridge.file)
            assert (same.out, same.err) == ("", "0 kept webhooks would go elsewhere\n")
            assert (await compared(tmp_path / "missing.yaml")).status == 78


def test_a_webhook_and_a_comparison_are_not_the_same(file: Path) -> None:
    assert call("explain", "-c", file).status == 2
    assert call("explain", "-c", file, "--diff", file, "-").status == 2


def test_a_comparison_needs_the_daemon(file: Path, tmp_path: Path) -> None:
    done = run("explain", "-c", file, "--diff", file, RUNTIME_DIRECTORY=str(tmp_path))
    assert (done.status, done.out) == (69, "")


REPLYING = """\
relay: {key: a, secret: b}
routes:
  - name: first
    match: {path: /light}
    rate: {limit: 10, per: 1m, burst: 20}
    send: [{mqtt: home/light, payload: x}]
    reply: {status: 201, headers: {X-Hook-Secret: "${TOKEN}"}, body: {is: "{{ body.door }}"}}
  - name: second
    rate: {limit: 1, excess: dead}
    send: [{http: "http://127.0.0.1:1880/a", payload: x}, {mqtt: home/asked, payload: x}]
    reply: {from: mqtt, timeout: 5s, body: "{{ body.none }}"}
"""


def test_the_answer_to_the_sender_and_the_rate_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file = tmp_path / "bridge.yaml"
    file.write_text(REPLYING)
    done = explain(file, b'{"door": "front"}', destination="/light", headers={})
    assert done.out.startswith(
        "first: matched\n"
        "  mqtt:home <- home/light (qos 1)\n"
        "    x\n"
        "  rate: at most 10 in 60 s, 20 at once; more have to wait\n"
        "  reply: status 201\n"
        "    x-hook-secret: (secret)\n"
        "    content-type: application/json\n"
        '    {"is":"front"}\n'
        "second: matched\n"
    )
    assert done.out.count("reply:") == 1
    assert "rate: at most 1 in 1 s, 1 at once; more are dead letters\n" in done.out
    other = explain(file, b'{"none": 1}', headers={})
    assert other.out.endswith(
        "  reply: what mqtt:home answers within 5 s, else status 202\n"
        "    content-type: application/json\n"
        "    1\n"
    )
    failed = explain(file, b"{}", headers={})
    assert failed.out.endswith(
        "  reply: what mqtt:home answers within 5 s, else none: body.none is missing\n"
    )
    assert "reply" not in explain(file, b"{}", headers={}, id="").out


def test_the_answer_and_the_rate_for_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file = tmp_path / "bridge.yaml"
    file.write_text(REPLYING)
    first, second = explain(file, b'{"door": "front"}', "json", destination="/light", headers={}).json()
    assert first["reply"] == {
        "status": 201,
        "headers": {"x-hook-secret": "(secret)", "content-type": "application/json"},
        "body": '{"is":"front"}',
    }
    assert first["rate"] == "at most 10 in 60 s, 20 at once"
    assert second["reply"] is None
    _, asked = explain(file, b"{}", "json", headers={}).json()
    assert asked["reply"] == {
        "from": "mqtt",
        "target": "mqtt:home",
        "timeout": 5.0,
        "error": "body.none is missing",
    }
