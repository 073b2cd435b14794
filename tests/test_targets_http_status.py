"""What a status line or an exception means for a delivery."""

import ssl
from datetime import UTC, datetime
from email.utils import format_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import Delivered, Failure, FailureKind
from bridge.targets.http_status import (
    LONGEST_REASON,
    LONGEST_WAIT,
    SHORTEST_WAIT,
    judge_error,
    judge_status,
    parse_retry_after,
    place,
)

URL = "http://10.0.0.2/hook"
NOW = 1_800_000_000.0

BUSY, REFUSED, PERMANENT, GONE = (
    FailureKind.BUSY,
    FailureKind.REFUSED,
    FailureKind.PERMANENT,
    FailureKind.GONE,
)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert isinstance(judge_status(status, None, URL, NOW), Delivered)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, REFUSED) for status in (300, 301, 302, 303, 304, 307, 308, 401, 403, 404)]
    + [(status, PERMANENT) for status in (400, 402, 405, 406, 409, 411, 413, 414, 415, 418, 422, 431, 451)]
    + [(status, BUSY) for status in (101, 408, 425, 429, 500, 501, 502, 503, 504, 507, 599, 600, 999, 0)]
    + [(410, GONE)],
)
def test_each_other_status_has_its_kind(status: int, kind: FailureKind) -> None:
    assert judge_status(status, None, URL, NOW) == Failure(kind, f"http-{status}")


def test_a_failure_says_what_was_answered() -> None:
    failure = judge_status(503, None, URL, NOW)
    assert isinstance(failure, Failure)
    assert failure.reason == "http://10.0.0.2/hook answered 503 Service Unavailable"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", SHORTEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        ("86401", LONGEST_WAIT),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), SHORTEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_limits(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@given(st.text(max_size=60))
def test_retry_after_survives_any_text(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or SHORTEST_WAIT <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_retry_after_is_honoured_where_waiting_helps(status: int) -> None:
    failure = judge_status(status, "30", URL, NOW)
    assert isinstance(failure, Failure)
    assert failure.retry_after == 30.0


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_retry_after_means_nothing_elsewhere(status: int) -> None:
    failure = judge_status(status, "30", URL, NOW)
    assert isinstance(failure, Failure)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("error", "sent", "kind", "code"),
    [
        (TimeoutError(), False, FailureKind.CONNECTION, "connect-timeout"),
        (TimeoutError(), True, BUSY, "timeout"),
        (aiohttp.ConnectionTimeoutError(), False, FailureKind.CONNECTION, "connect-timeout"),
        (aiohttp.ServerDisconnectedError(), True, BUSY, "disconnected"),
        (aiohttp.ServerDisconnectedError(), False, FailureKind.CONNECTION, "unreachable"),
        (ConnectionResetError(104, "reset"), True, BUSY, "disconnected"),
        (aiohttp.InvalidURL("http://"), False, PERMANENT, "invalid-request"),
        (ValueError("a control character"), True, PERMANENT, "invalid-request"),
        (ssl.SSLError(1, "handshake"), False, FailureKind.CONNECTION, "tls"),
        (ssl.SSLCertVerificationError(1, "expired"), False, FailureKind.CONNECTION, "tls"),
    ],
)
def test_an_error_spends_an_attempt_once_the_request_may_have_left(
    error: Exception, sent: bool, kind: FailureKind, code: str
) -> None:
    failure = judge_error(error, URL, sent=sent)
    assert failure == Failure(kind, code)
    assert failure.reason.startswith(f"{URL}: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:1880/a/b?token=s3cret#part", "http://h:1880/a/b"),
        ("https://user:s3cret@h/a", "https://h/a"),
        ("http://u:s3cr@et@h/", "http://h/"),
        ("http://[fe80::1]:80/x?s3cret", "http://[fe80::1]:80/x"),
        ("http://[broken?s3cret", "the target"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert place(url) == shown
    for failure in (judge_status(500, None, url, NOW), judge_error(ValueError(url), url, sent=False)):
        assert isinstance(failure, Failure)
        assert "s3cr" not in failure.reason


@given(st.text(max_size=400))
def test_a_reason_is_short_and_printable(path: str) -> None:
    failure = judge_status(500, None, f"http://h/{path}", NOW)
    assert isinstance(failure, Failure)
    assert failure.reason.isprintable()
    assert len(failure.reason) <= LONGEST_REASON
