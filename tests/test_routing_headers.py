import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.headers import MOST_HEADERS, forwarded_headers
from tests.support.deliveries import webhook


def forwarded(headers: dict[str, tuple[str, ...]], id: str = "") -> list[tuple[str, str]]:  # noqa: A002 -- as the field
    return list(forwarded_headers(webhook(headers=headers, id=id)))


@pytest.mark.parametrize(
    "name",
    [
        *("content-type", "user-agent", "x-github-event", "x-hub-signature-256", "x-gitlab-token"),
        *("webhook-id", "webhook-signature", "svix-timestamp", "stripe-signature", "typeform-signature"),
        *("slack-signature", "twitch-eventsub-message-id", "ce-type", "idempotency-key", "traceparent"),
    ],
)
def test_sent_on(name: str) -> None:
    assert forwarded({name: ("a", "b")}) == [(name, "a"), (name, "b")]


@pytest.mark.parametrize(
    "name",
    [
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"),
        *("proxy-authorization", "proxy-authenticate", "te", "trailer", "upgrade", "expect", "via"),
        *("accept", "accept-encoding", "content-encoding", "content-md5", "range", "if-match"),
        *("cookie", "authorization", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
        *("x-real-ip", "x-original-url", "x-rewrite-url", "x-http-method-override", "x-remote-user"),
        *(
            "x-webauth-user",
            "x_forwarded_for",
            "x-a_b",
            "x-a b",
            "x-a:",
            "x-\r\nhost",
            "x-ü",
            "",
            "x-" + "a" * 99,
        ),
        *("origin", "referer", "http2-settings", "not-a-signature-"),
    ],
)
def test_kept_back(name: str) -> None:
    assert forwarded({name: ("a",)}) == []


def test_what_connection_names_is_kept_back() -> None:
    headers = {"connection": ("close, X-Hop", "x-two"), "x-hop": ("1",), "x-two": ("2",), "x-end": ("3",)}
    assert forwarded(headers) == [("x-end", "3")]


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00", "\x1b[2J", "\x7f", "\ud800", "x" * 8191])
def test_values_that_no_header_can_hold_are_dropped(value: str) -> None:
    assert forwarded({"x-a": (value, "good")}) == [("x-a", "good")]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({}, {"webhook-id": "log-1", "idempotency-key": "log-1"}),
        ({"webhook-id": ("msg",)}, {"webhook-id": "msg", "idempotency-key": "log-1"}),
        ({"idempotency-key": ("k",)}, {"webhook-id": "log-1", "idempotency-key": "k"}),
    ],
)
def test_the_id_is_added_where_it_is_missing(sent: dict[str, tuple[str, ...]], found: dict[str, str]) -> None:
    assert dict(forwarded(sent, id="log-1")) == found
    assert forwarded({}, id="a\r\nb") == []


def test_a_flood_is_cut() -> None:
    flood: dict[str, tuple[str, ...]] = {f"x-{number}": ("v",) for number in range(1000)}
    assert len(forwarded(flood)) == MOST_HEADERS


NAMES = st.sampled_from(["x-a", "host", "cookie", "connection", "webhook-id", "X-B", "te"]) | st.text(
    max_size=9
)


@given(st.dictionaries(NAMES, st.lists(st.text(max_size=9), max_size=3).map(tuple)), st.text(max_size=9))
def test_no_webhook_adds_a_line_or_frames_the_message(headers: dict[str, tuple[str, ...]], id_: str) -> None:
    for name, value in forwarded_headers(webhook(headers=headers, id=id_)):
        assert name.startswith(("x-", "webhook-id", "idempotency-key")) or name in headers
        assert name not in {"host", "cookie", "connection", "te", "content-length", "transfer-encoding"}
        assert not set(name + value) & set("\r\n\x00")
        f"{name}: {value}".encode()
