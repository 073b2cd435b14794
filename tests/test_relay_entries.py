import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import FrameError
from bridge.relay.entries import Directory, parse_directory, parse_entry, parse_page, time_of, webhook_of
from tests.support.rest import BUCKET, an_entry

DIRECTORY = parse_directory(
    json.dumps(
        [
            {
                "id": BUCKET,
                "name": "doorbell",
                "inputs": [{"id": "input-id", "name": "Default public endpoint"}],
                "outputs": [
                    {
                        "id": "o1",
                        "name": "nodered",
                        "destination": "http://localhost:1880/x",
                        "internal": True,
                    },
                    {"id": "o2", "name": "cloud", "destination": "https://example.com", "internal": False},
                ],
            },
            {"id": "other", "name": "meter", "inputs": None},
        ]
    ).encode()
)


def page(answer: Any, **asked: str) -> Any:
    return parse_page(json.dumps(answer).encode(), asked)


def test_an_entry_becomes_the_webhook_that_the_socket_would_have_brought() -> None:
    entry = an_entry(
        7, 1_800_000_000, output_id="o1", raw_query="a=1", headers={"X-A": "1", "X-B": ["2", "3"]}
    )
    webhook = webhook_of(entry, DIRECTORY, 0.0)
    assert webhook is not None
    assert webhook.identity == (BUCKET, "input-id", "nodered", "7")
    assert (webhook.bucket, webhook.input) == ("doorbell", "Default public endpoint")
    assert webhook.destination == "http://localhost:1880/x"
    assert (webhook.method, webhook.query_string, webhook.raw) == ("POST", "a=1", b"7")
    assert dict(webhook.headers) == {"x-a": ("1",), "x-b": ("2", "3")}
    assert (webhook.received_at, webhook.late) == (1_800_000_000.0, True)


def test_without_an_output_the_destination_is_the_path() -> None:
    webhook = webhook_of(an_entry(1, extra_path="some/path"), DIRECTORY, 0.0)
    assert webhook is not None
    assert (webhook.destination, webhook.path) == ("/some/path", "/some/path")


def test_what_the_relay_says_itself_serves_where_its_buckets_are_not_known() -> None:
    entry = an_entry(1, output_id="o1", bucket_name="b", input_name="i", output_name="o", internal=True)
    webhook = webhook_of(entry, Directory(), 0.0)
    assert webhook is not None
    assert (webhook.bucket, webhook.input, webhook.output) == ("b", "i", "o")


@pytest.mark.parametrize(
    "fields",
    [{"output_id": "o2"}, {"output_id": "gone", "internal": False}, {"status": "rejected"}],
    ids=["public output", "public output that is gone", "rejected"],
)
def test_what_the_socket_would_not_have_brought_is_left_out(fields: dict[str, Any]) -> None:
    assert webhook_of(an_entry(1, **fields), DIRECTORY, 0.0) is None


def test_an_entry_without_content_is_no_empty_webhook() -> None:
    with pytest.raises(FrameError) as caught:
        webhook_of(an_entry(1, ephemeral=True, body=""), DIRECTORY, 0.0)
    assert caught.value.code == "ephemeral"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1_800_000_000, 1_800_000_000.0),
        ("2027-01-15T08:00:00Z", 1_800_000_000.0),
        ("2027-01-15T09:00:00.123456789+01:00", 1_800_000_000.123456),
        ("2027-01-15T08:00:00", 1_800_000_000.0),
        ("yesterday", None),
        (1e300, None),
        (-1, None),
        (None, None),
        ({}, None),
    ],
)
def test_times(written: Any, seconds: float | None) -> None:
    assert time_of({"created_at": written}) == seconds


def test_an_entry_without_a_time_has_that_of_its_range() -> None:
    webhook = webhook_of(an_entry(1, "?"), DIRECTORY, 5.0)
    assert webhook is not None
    assert webhook.received_at == 5.0


@pytest.mark.parametrize(
    ("answer", "following"),
    [
        ({"data": [{}], "next_cursor": "x"}, {"cursor": "x"}),
        ({"logs": [{}], "cursor": 17}, {"cursor": "17"}),
        ({"data": [], "next_cursor": "x"}, {"cursor": "x"}),
        ({"data": [{}], "next_cursor": "x", "has_more": False}, None),
        ({"data": [{}], "next_cursor": None}, None),
        ({"data": [{}], "next_cursor": ""}, None),
        ({"data": [{}], "next_cursor": "asked"}, None),
        ({"data": [{}, {}], "total": 5, "offset": 2, "limit": 2}, {"offset": "4"}),
        ({"data": [{}, {}], "total": 4, "offset": 2, "limit": 2}, None),
        ({"data": [], "total": 4, "offset": 2}, None),
        ([{}, {}], None),
        ({"data": None}, None),
    ],
)
def test_how_pages_go_on(answer: Any, following: dict[str, str] | None) -> None:
    assert page(answer, cursor="asked").following == following


def test_the_order_of_a_page() -> None:
    assert page([an_entry(1, 1), an_entry(2, 2)]).ascending
    assert not page([an_entry(1, 2), an_entry(2, 1)]).ascending
    assert not page([an_entry(1, 1)]).ascending
    assert not page([]).ascending


def test_buckets_by_name_or_id() -> None:
    assert DIRECTORY.ids(["doorbell", "other", "unknown"]) == [BUCKET, "other"]
    assert DIRECTORY.ids(None) == [BUCKET, "other"]
    assert Directory().ids(["doorbell"]) == ["doorbell"]
    assert Directory().ids(None) == [""]


@pytest.mark.parametrize("data", [b"<html>", b"1", b'{"data": [1]}', b'{"data": {}}', b"\xff"])
def test_other_answers_are_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        parse_page(data, {})
    with pytest.raises(FrameError):
        parse_directory(data)
    if not data.startswith(b"{"):
        with pytest.raises(FrameError):
            parse_entry(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*an_entry(1), "ephemeral", "internal", "bucket_name", "output_destination"])


@given(st.dictionaries(NAMES, JSON))
def test_any_entry_is_a_webhook_or_nothing_or_refused(fields: dict[str, Any]) -> None:
    try:
        webhook = webhook_of({**an_entry(1), **fields}, DIRECTORY, 0.0)
    except FrameError:
        return
    assert webhook is None or webhook.late
