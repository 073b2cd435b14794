"""`relay-bridge send`: what it has the daemon send, and how it tells what became of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bridge.demo.samples import SAMPLES, Sample
from bridge.relay.frames import decode_frame
from bridge.webhook import Webhook
from tests.support.cli import ESCAPE, call
from tests.support.control import ControlPeer, control_peer
from tests.support.lines import LINE, hostile

GIVEN = b"""\
bucket: doorbell
path: /front
query: {a: "1"}
headers: {X-Kind: ring}
body: {door: front}
"""
SHOWN = "22:13:20Z      7  doorbell POST / -> ring  delivered in 4.2 ms\n"


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPeer]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with control_peer(tmp_path) as peer:
        peer.answers["send-around"] = [{"answered": 200, "webhooks": [LINE]}]
        peer.answers["send"] = [{"webhooks": [LINE]}]
        yield peer


def sent(daemon: ControlPeer) -> Webhook:
    ((_, request),) = daemon.requests
    webhook = decode_frame(request["frame"], 0.0)
    assert isinstance(webhook, Webhook)
    return webhook


def test_what_a_file_describes_goes_around_by_the_relay(daemon: ControlPeer, tmp_path: Path) -> None:
    file = tmp_path / "ring.yaml"
    file.write_bytes(GIVEN)
    done = call("send", file)
    assert (done.status, done.out, done.err) == (0, SHOWN, "the relay answered 200\n")
    ((command, request),) = daemon.requests
    assert (command, request["wait"], request["url"]) == ("send-around", 10.0, None)
    webhook = sent(daemon)
    assert (webhook.bucket, webhook.path, webhook.query_string) == ("doorbell", "/front", "a=1")
    assert (webhook.header("x-kind"), webhook.json()) == ("ring", {"door": "front"})


def test_a_frame_from_standard_input_goes_straight_into_the_routes(daemon: ControlPeer) -> None:
    frame = {
        "type": "webhook",
        "meta": {"bucket_name": "shop", "bucked_id": "77"},
        "body": "x",
        "method": "PUT",
    }
    done = call("send", "-", "--local", "--wait", "2s", stdin=orjson.dumps(frame))
    assert (done.status, done.out, done.err) == (0, SHOWN, "")
    assert [(name, request["wait"]) for name, request in daemon.requests] == [("send", 2.0)]
    webhook = sent(daemon)
    assert (webhook.bucket, webhook.bucket_id, webhook.method, webhook.raw) == ("shop", "77", "PUT", b"x")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.bucket)
def test_each_sample_is_what_the_demo_sends(daemon: ControlPeer, sample: Sample) -> None:
    assert call("send", "--sample", sample.bucket).status == 0
    webhook = sent(daemon)
    assert (webhook.bucket, webhook.text, webhook.method) == (sample.bucket, sample.body, "POST")
    assert webhook.header("content-type") == sample.content_type
    assert all(webhook.header(name) == value for name, value in sample.headers)


def test_another_bucket_and_another_address_can_be_said(daemon: ControlPeer) -> None:
    call("send", "--sample", "github", "--bucket", "code", "--url", "http://127.0.0.1/v1/webhooks/x")
    webhook = sent(daemon)
    assert (webhook.bucket, webhook.header("x-github-event")) == ("code", "push")
    assert daemon.requests[0][1]["url"] == "http://127.0.0.1/v1/webhooks/x"


def test_what_is_not_delivered_is_status_1(daemon: ControlPeer) -> None:
    lost = LINE | {"outcome": "unmatched", "deliveries": [], "routes": [], "latency": None}
    daemon.answers["send-around"] = [{"answered": 200, "webhooks": [LINE, lost]}]
    done = call("send", "--sample", "doorbell")
    assert (done.status, done.out) == (1, SHOWN + "22:13:20Z      7  doorbell POST / -> -  unmatched\n")


def test_for_machines_each_webhook_is_a_line(daemon: ControlPeer) -> None:
    daemon.answers["send-around"] = [{"answered": 200, "webhooks": [LINE, LINE | {"number": 8}]}]
    done = call("send", "--sample", "doorbell", "--format", "json")
    assert [json.loads(line)["number"] for line in done.out.splitlines()] == [7, 8]


def test_a_strangers_text_does_not_steer_the_terminal(daemon: ControlPeer) -> None:
    refused = [{"route": "paid", "code": "stale", "reason": "old"}]
    daemon.answers["send"] = [{"webhooks": [hostile(LINE | {"rejected": refused})]}]
    done = call("send", "--local", "--sample", "doorbell")
    assert done.status == 1
    assert not {ESCAPE, "\x9b", "\r", "\u202e"} & set(done.out + done.err)
    assert all(line.isprintable() for line in done.out.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-", "--sample", "doorbell"),
        ("--sample", "cat"),
        ("--sample", "shop", "--local", "--url", "http://x"),
        ("--sample", "shop", "--wait", "soon"),
        ("/no/such/file",),
    ],
)
def test_wrong_usage_is_status_2(daemon: ControlPeer, arguments: tuple[str, ...]) -> None:
    done = call("send", *arguments)
    assert (done.status, done.out) == (2, "")
    assert daemon.requests == []


@pytest.mark.parametrize("text", [b"", b"bucket: [", b'{"type": "status"}', b"\xff"])
def test_a_file_that_holds_no_webhook_is_said(daemon: ControlPeer, text: bytes) -> None:
    done = call("send", "-", stdin=text)
    assert (done.status, done.out) == (1, "")
    assert "no webhook" in done.err
    assert daemon.requests == []
