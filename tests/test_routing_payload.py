import json
from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.relay.frames import decode_frame
from bridge.routing.payload import ENVELOPE, RAW, WEBHOOKRELAY, JsonPayload, Payload, TextPayload, Tree
from bridge.routing.scope import Scope
from bridge.routing.template import Place, Template, compile_template
from bridge.webhook import Webhook
from tests.support.deliveries import webhook

BODY = b'{"n": 5, "f": 1.50, "l": [1, {"a": null}], "s": "\\u00fc", "t": true}'


def render(payload: Payload, hook: Webhook | None = None) -> tuple[bytes | None, str | None]:
    return payload.render(Scope(hook or webhook(BODY), "hall"))


def template(source: str) -> Template:
    return compile_template(source, Place.VALUE)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ("a\r\nb", None),
        ("a\x00", None),
        ("ü", None),
        ("", None),
        ("x" * 201, None),
    ],
)
def test_raw_is_the_body_with_its_content_type(sent: str, kept: str | None) -> None:
    assert render(RAW, webhook(b"\xff\x00", headers={"content-type": (sent,)})) == (None, kept)


def test_raw_without_a_content_type() -> None:
    assert render(RAW, webhook(b"", headers={})) == (None, None)


@pytest.mark.parametrize(
    ("source", "payload", "is_text"),
    [
        ("ON", b"ON", True),
        ("{{ body.s }}", "ü".encode(), True),
        ("n={{ body.n }}", b"n=5", True),
        ("{{ body.n }}", b"5", False),
        ("{{ body.t }}", b"true", False),
        ("{{ body.l }}", b'[1,{"a":null}]', False),
        (
            "{{ body }}",
            json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False).encode(),
            False,
        ),
        ("", b"", True),
    ],
)
def test_text(source: str, payload: bytes, is_text: bool) -> None:
    content_type = "text/plain; charset=utf-8" if is_text else "application/json"
    assert render(TextPayload(template(source))) == (payload, content_type)


def test_json_keeps_types() -> None:
    tree: Tree = {
        "n": template("{{ body.n }}"),
        "text": template("{{ body.n }}!"),
        "deep": [template("{{ body.l }}"), {"x": template("{{ body.t }}")}],
        "as-is": [1, 2.5, None, True, "{{ body.n }}"],
    }
    payload, content_type = render(JsonPayload(tree))
    assert content_type == "application/json"
    assert json.loads(payload or b"") == {
        "n": 5,
        "text": "5!",
        "deep": [[1, {"a": None}], {"x": True}],
        "as-is": [1, 2.5, None, True, "{{ body.n }}"],
    }


@pytest.mark.parametrize(
    "source",
    [
        "{{ body.none }}",
        "{{ '\\ud800' }}",
        "{{ [body.none] }}",
        "{{ {1: body.n} }}",
        "{{ [10000000000 * 10000000000 + body.n] }}",
    ],
)
def test_what_is_no_json_is_a_render_error(source: str) -> None:
    with pytest.raises(RenderError):
        render(JsonPayload([template(source)]))


def test_a_text_that_is_not_unicode_is_a_render_error() -> None:
    with pytest.raises(RenderError):
        render(TextPayload(template("{{ header.x }}")), webhook(headers={"x": ("\ud800",)}))


@pytest.mark.parametrize(
    "payload",
    [
        TextPayload(template("{{ body + body + body + body + body + body }}")),
        JsonPayload([template("{{ body }}")] * 6),
    ],
)
def test_a_payload_is_not_endless(payload: Payload) -> None:
    with pytest.raises(RenderError, match="over 16777216 bytes"):
        render(payload, webhook(b'"' + b"x" * 3_000_000 + b'"'))


def envelope(hook: Webhook) -> dict[str, Any]:
    payload, content_type = render(ENVELOPE, hook)
    assert content_type == "application/json"
    found: dict[str, Any] = json.loads(payload or b"")
    return found


def test_envelope() -> None:
    headers = {"x-event": ("push", "tag"), "authorization": ("Bearer s",), "cookie": ("c=1",)}
    hook = webhook(
        BODY, headers=headers, query_string="a=1&a=2&b=", destination="/in", output="out", late=True
    )
    assert envelope(hook) == {
        "id": "log-1",
        "bucket": "doorbell",
        "input": "Default public endpoint",
        "output": "out",
        "method": "POST",
        "path": "/in",
        "query": {"a": "1", "b": ""},
        "headers": {"x-event": "push"},
        "body": json.loads(BODY),
        "received_at": "2023-11-14T22:13:20.000Z",
        "route": "hall",
        "late": True,
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ""),
        (b"text", "text"),
        (b"a=1", "a=1"),
        (b'"a"', "a"),
        (b"null", None),
        (b"\xff{", "\ufffd{"),
        (b"NaN", "NaN"),
    ],
)
def test_the_body_in_an_envelope(body: bytes, expected: object) -> None:
    assert envelope(webhook(body))["body"] == expected


def test_an_envelope_leaves_json_as_it_came() -> None:
    deep = b"[" * 1000 + b" 1.50 " + b"]" * 1000
    payload, _ = render(ENVELOPE, webhook(deep))
    assert payload is not None
    assert deep in payload


def test_webhookrelay_is_the_frame_again() -> None:
    headers = {"content-type": ("application/json",), "x-github-event": ("push", "second")}
    hook = webhook(b'{"a": 1}', headers=headers, query_string="a=1", output="out")
    payload, content_type = render(WEBHOOKRELAY, hook)
    assert content_type == "application/json"
    frame = json.loads(payload or b"")
    assert frame["meta"]["bucked_id"] == hook.bucket_id
    assert frame["headers"]["X-Github-Event"] == ["push", "second"]
    again = decode_frame((payload or b"").decode(), hook.received_at)
    assert isinstance(again, Webhook)
    assert (again.raw, again.headers, again.identity) == (hook.raw, hook.headers, hook.identity)
