import json
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.relay.frames import canonical
from bridge.selfhosted.resources import Bucket, Output
from bridge.selfhosted.webhooks import facts_of, frames_of, new_id, printable, time_of


def frames(
    bucket: Bucket,
    path: str = "/",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
    query: str = "",
) -> list[dict[str, Any]]:
    copies = frames_of(bucket, bucket.inputs[0], facts_of("PUT", path, query, headers, body), 0.0)
    found = {one.id: json.loads(one.text) for one in copies if one.internal}
    assert all(frame["meta"]["id"] == log_id for log_id, frame in found.items())
    return list(found.values())


def test_the_documented_shape() -> None:
    bucket = Bucket.named("123")
    (frame,) = frames(
        bucket, "/some/path", (("content-type", "application/json"),), b'{"hi": "<&>"}', "foo=bar"
    )
    log_id = frame["meta"].pop("id")
    assert len(log_id) == 36
    assert frame == {
        "type": "webhook",
        "meta": {
            "bucked_id": bucket.id,
            "bucket_name": "123",
            "input_id": bucket.inputs[0].id,
            "input_name": "Default public endpoint",
            "output_name": "",
            "output_destination": "/some/path",
        },
        "headers": {"Content-Type": ["application/json"]},
        "query": "foo=bar",
        "body": '{"hi": "<&>"}',
        "method": "PUT",
    }


def test_one_frame_for_each_internal_output_each_with_an_id_of_its_own() -> None:
    outputs = [
        Output("22", "http://localhost:8080"),
        Output("public", "https://example.org", internal=False),
        Output("111", "http://localhost:1880/x"),
    ]
    first, second = (one["meta"] for one in frames(Bucket.named("a", outputs=outputs)))
    assert (first["output_name"], first["output_destination"]) == ("22", "http://localhost:8080")
    assert (second["output_name"], second["output_destination"]) == ("111", "http://localhost:1880/x")
    assert first["id"] != second["id"]


def test_no_frame_where_every_output_is_public() -> None:
    assert frames(Bucket.named("a", outputs=[Output("x", "https://example.org", internal=False)])) == []


@pytest.mark.parametrize(
    ("destination", "path", "shown"),
    [
        ("http://h", "/", "http://h"),
        ("http://h/", "/", "http://h/"),
        ("http://h", "/a", "http://h/a"),
        ("http://h/", "/a", "http://h/a"),
        ("http://h/x", "/a/b", "http://h/x/a/b"),
        ("http://h/x/", "/a/", "http://h/x/a/"),
        ("http://h/x?k=v", "/a", "http://h/x/a?k=v"),
        ("http://u:p@[::1]:81/x", "/a%2Fb", "http://u:p@[::1]:81/x/a%2Fb"),
    ],
)
def test_a_destination_is_extended_by_the_path(destination: str, path: str, shown: str) -> None:
    (frame,) = frames(Bucket.named("a", outputs=[Output("x", destination)]), path)
    assert frame["meta"]["output_destination"] == shown


def test_headers_are_lists_under_canonical_names_without_the_transport_s_own() -> None:
    (frame,) = frames(
        Bucket.named("a"),
        headers=(
            ("host", "relay.example.org"),
            ("X-GITHUB-EVENT", "push"),
            ("x-tag", "1"),
            ("Transfer-Encoding", "chunked"),
            ("X-Tag", "2"),
            ("X-Note", "caf\udce9"),
        ),
    )
    assert frame["headers"] == {"X-Github-Event": ["push"], "X-Tag": ["1", "2"], "X-Note": ["caf\ufffd"]}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("etag", "Etag"),
        ("WWW-authenticate", "Www-Authenticate"),
        ("x--y", "X--Y"),
        ("3x-2fa", "3x-2fa"),
        ("a_b", "A_b"),
    ],
)
def test_canonical_names(name: str, shown: str) -> None:
    assert canonical(name) == shown


def test_a_body_that_is_not_utf_8_is_damaged_visibly() -> None:
    (frame,) = frames(Bucket.named("a"), body=b"a\xff\xc3b\x00")
    assert frame["body"] == "a\ufffd\ufffdb\0"


def test_printable() -> None:
    assert printable("caf\udcc3\udca9 \udcff") == "café \ufffd"


@given(st.floats(0, 2**37))
def test_an_id_is_a_uuid_of_version_7_that_tells_its_time(now: float) -> None:
    made = new_id(now)
    assert UUID(made).version == 7
    assert UUID(made).variant == RFC_4122
    assert time_of(made) == pytest.approx(now, abs=0.001)
    assert new_id(now) != made


@pytest.mark.parametrize("other", ["", "log-1", "3f8e1a9e-0d9e-4b2e-8a55-0d1f0a3c2b11"])
def test_other_ids_tell_no_time(other: str) -> None:
    assert time_of(other) is None
