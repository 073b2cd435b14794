"""Frames: what is read, what is refused, and that nothing else ever escapes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import FrameError
from bridge.relay.frames import Status, Unknown, decode_frame, encode, encode_webhook, frame_of
from bridge.webhook import Webhook

DOCUMENTED = """{"type":"webhook",
 "meta":{"id":"log-1","bucked_id":"1593fe5f","bucket_name":"my-1-bucket-name","input_id":"b90f2fe9",
         "input_name":"Default public endpoint","output_name":"111","output_destination":"http://localhost:8080"},
 "headers":{"Content-Type":["application/json"]},
 "query":"foo=bar","body":"{\\"hi\\": \\"there\\"}","method":"PUT"}"""

texts = st.text(max_size=30)
webhooks = st.builds(
    Webhook,
    id=texts,
    bucket=texts,
    bucket_id=texts,
    input=texts,
    input_id=texts,
    output=texts,
    destination=texts,
    method=texts,
    query_string=texts,
    headers=st.dictionaries(texts.map(str.lower), st.lists(texts, max_size=3).map(tuple), max_size=4),
    raw=st.text().map(str.encode),
    received_at=st.floats(0, 2e9),
    late=st.booleans(),
)


def webhook_of(text: str) -> Webhook:
    found = decode_frame(text, 1.0)
    assert isinstance(found, Webhook)
    return found


def fields(webhook: Webhook) -> dict[str, Any]:
    return {name: getattr(webhook, name) for name in Webhook.__slots__ if not name.startswith("_")}


def code_of(data: str | bytes) -> str:
    with pytest.raises(FrameError) as caught:
        decode_frame(data, 1.0)
    return caught.value.code


def test_the_documented_frame() -> None:
    assert fields(webhook_of(DOCUMENTED)) == {
        "id": "log-1",
        "bucket": "my-1-bucket-name",
        "bucket_id": "1593fe5f",
        "input": "Default public endpoint",
        "input_id": "b90f2fe9",
        "output": "111",
        "destination": "http://localhost:8080",
        "method": "PUT",
        "query_string": "foo=bar",
        "headers": {"content-type": ("application/json",)},
        "raw": b'{"hi": "there"}',
        "received_at": 1.0,
        "late": False,
    }


def test_status_frames() -> None:
    assert decode_frame('{"type":"status","status":"ping"}', 1.0) == Status("ping", "")
    assert decode_frame('{"type":"status","status":"new","message":"m","x":null}', 1.0) == Status("new", "m")


@pytest.mark.parametrize(("text", "kind"), [('{"type":"news"}', "news"), ("{}", ""), ('{"type":null}', "")])
def test_an_unknown_type_is_no_error(text: str, kind: str) -> None:
    assert decode_frame(text, 1.0) == Unknown(kind)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"webhook"}',
        '{"type":"webhook","meta":null,"headers":null,"query":null,"body":null,"method":null}',
        '{"type":"webhook","meta":{"id":null,"more":[1]},"headers":{},"extra":{"a":{"b":1}}}',
    ],
)
def test_missing_null_and_extra_fields_are_tolerated(text: str) -> None:
    webhook = webhook_of(text)
    assert (webhook.id, webhook.bucket, webhook.method, webhook.raw) == ("", "", "", b"")
    assert webhook.headers == {}


@pytest.mark.parametrize("spelling", ["bucked_id", "bucket_id"])
def test_both_spellings_of_the_bucket_id(spelling: str) -> None:
    assert webhook_of(json.dumps({"type": "webhook", "meta": {spelling: "b"}})).bucket_id == "b"


def test_header_names_lose_their_case_and_merge_in_order() -> None:
    headers = {"X-A": ["1", "2"], "x-a": "3", "Host": None, "X-Empty": []}
    webhook = webhook_of(json.dumps({"type": "webhook", "headers": headers}))
    assert webhook.headers == {"x-a": ("1", "2", "3"), "host": (), "x-empty": ()}


def test_go_escapes_of_markup_are_restored() -> None:
    assert webhook_of('{"type":"webhook","body":"\\u003ca\\u003e \\u0026"}').raw == b"<a> &"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"type":"status"}', "binary"),
        ("", "garbage"),
        ("hello", "garbage"),
        ('{"type":"webhook","body":"a', "garbage"),
        ('{"type":"webhook","n":NaN}', "garbage"),
        ('{"type":"webhook","body":"\\ud800"}', "garbage"),
        ('{"type":"webhook","n":' + "9" * 5000 + "}", "garbage"),
        ('{"type":"webhook","body":"a\nb"}', "garbage"),
        ('{"type":"webhook","n":1e400}', "garbage"),
        ("[]", "not-an-object"),
        ("null", "not-an-object"),
        ('"text"', "not-an-object"),
        ("[" * 100_000 + "]" * 100_000, "too-deep"),
        ('{"x":' * 500 + "1" + "}" * 500, "too-deep"),
        ('{"type":"webhook","type":"status"}', "duplicate-key"),
        ('{"type" : "webhook","type" : "status"}', "duplicate-key"),
        ('{"type":"webhook","meta":{"id":"1","id":"2"}}', "duplicate-key"),
        ('{"type":"webhook","meta":{"id":"1"},"meta":{"id":"2"}}', "duplicate-key"),
        ('{"type":"webhook","headers":{"a":"1","\\u0061":"2"}}', "duplicate-key"),
        ('{"type":"webhook","meta":[]}', "bad-field"),
        ('{"type":"webhook","headers":"h"}', "bad-field"),
        ('{"type":"webhook","headers":{"a":1}}', "bad-field"),
        ('{"type":"webhook","headers":{"a":{"b":"c"}}}', "bad-field"),
        ('{"type":"webhook","headers":{"a":[null]}}', "bad-field"),
        ('{"type":"webhook","body":{"hi":1}}', "bad-field"),
        ('{"type":"webhook","meta":{"id":7}}', "bad-field"),
        ('{"type":7}', "bad-field"),
    ],
)
def test_what_is_refused(data: str | bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_lone_surrogate_in_the_text_is_refused() -> None:
    assert code_of('{"type":"webhook","body":"\ud800"}') == "garbage"


def test_a_body_of_three_megabytes() -> None:
    body = '{"a": "\\"b\\" : \\\\"}' * 170_000
    assert webhook_of(json.dumps({"type": "webhook", "body": body})).raw == body.encode()


def test_a_body_may_repeat_its_keys() -> None:
    body = '{"a":1,"a":2,"type":3}'
    assert webhook_of(json.dumps({"type": "webhook", "body": body})).raw == body.encode()


@given(webhooks)
def test_decoding_undoes_encoding(webhook: Webhook) -> None:
    again = decode_frame(encode_webhook(webhook), webhook.received_at, late=webhook.late)
    assert isinstance(again, Webhook)
    assert fields(again) == fields(webhook)


@given(webhooks, st.sampled_from([None, 1]), st.booleans())
def test_the_relays_way_of_writing_json_makes_no_difference(
    webhook: Webhook, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(frame_of(webhook), indent=indent, ensure_ascii=ascii_only)
    assert fields(webhook_of(text)) == {**fields(webhook), "received_at": 1.0, "late": False}


@given(webhooks, st.sampled_from(["type", "meta", "headers", "body"]), st.booleans())
def test_a_key_said_twice_is_always_found(webhook: Webhook, key: str, spaced: bool) -> None:
    colon = " : " if spaced else ":"
    twice = f'{{"{key}"{colon}null,{encode_webhook(webhook)[1:]}'
    assert code_of(twice) == "duplicate-key"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
FIELDS = ["type", "status", "message", "meta", "headers", "query", "body", "method"]


def outcome(data: str | bytes) -> str:
    try:
        return type(decode_frame(data, 1.0)).__name__
    except FrameError as error:
        return error.code


READ = {"Webhook", "Status", "Unknown"}
REFUSED = {"binary", "garbage", "not-an-object", "duplicate-key", "too-deep", "bad-field"}


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_nothing_but_frame_errors_escapes(data: str | bytes) -> None:
    assert outcome(data) in READ | REFUSED


@given(st.sampled_from(["webhook", "status"]), st.dictionaries(st.sampled_from(FIELDS[1:]), json_values))
def test_fields_of_any_type_are_read_or_refused(kind: str, found: dict[str, Any]) -> None:
    assert outcome(json.dumps({**found, "type": kind})) in {kind.capitalize(), "bad-field", "garbage"}


@given(st.data())
def test_a_damaged_frame_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(DOCUMENTED)))
    end = data.draw(st.integers(start, len(DOCUMENTED)))
    damaged = DOCUMENTED[:start] + data.draw(st.text(max_size=4)) + DOCUMENTED[end:]
    assert outcome(damaged) in READ | REFUSED - {"binary"}


def test_text_that_no_peer_could_decode_is_replaced() -> None:
    assert decode_frame(encode({"type": "x\udc80"}), 1.0) == Unknown("x?")


def test_a_body_in_base64_is_the_bytes_that_came() -> None:
    text = '{"type":"webhook","body":"Y2Fm6QA=","body_encoding":"base64"}'
    webhook = decode_frame(text, 1.0)
    assert isinstance(webhook, Webhook)
    assert webhook.raw == b"caf\xe9\x00"
    with pytest.raises(FrameError, match="not base64"):
        decode_frame(text.replace("Y2Fm6QA=", "caf\u00e9"), 1.0)


@pytest.mark.parametrize("encoding", ["null", '"gzip"', "5", "{}"])
def test_another_encoding_is_an_unknown_field(encoding: str) -> None:
    webhook = decode_frame(f'{{"type":"webhook","body":"Y2Fm","body_encoding":{encoding}}}', 1.0)
    assert isinstance(webhook, Webhook)
    assert webhook.raw == b"Y2Fm"
