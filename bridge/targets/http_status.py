"""What a status line or an exception means for a delivery: pure, no I/O and no clock."""

import os
import socket
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from bridge.message import DELIVERED, Failure, FailureKind, Result
from bridge.targets.http_connector import ForbiddenAddress

LONGEST_REASON = 200
SHORTEST_WAIT = 1.0
LONGEST_WAIT = 86_400.0

_KINDS = {
    401: FailureKind.REFUSED,
    403: FailureKind.REFUSED,
    404: FailureKind.REFUSED,
    408: FailureKind.BUSY,
    410: FailureKind.GONE,
    425: FailureKind.BUSY,
    429: FailureKind.BUSY,
}
"""The statuses that differ from their class."""


def judge_status(status: int, retry_after: str | None, url: str, now: float) -> Result:
    """The result of a delivery that was answered.

    Args:
        status: the answer's status code.
        retry_after: its Retry-After header (RFC 9110, 10.2.3): seconds or a date.
        url: where it was sent; only scheme, host and path are shown.
        now: Unix time in seconds, to turn a date into a wait.
    """
    if 200 <= status < 300:
        return DELIVERED
    kind = _KINDS.get(status) or _kind_of_class(status)
    wait = parse_retry_after(retry_after, now) if kind is FailureKind.BUSY else None
    return Failure(kind, f"http-{status}", _shown(f"{place(url)} answered {status} {_phrase(status)}"), wait)


def _kind_of_class(status: int) -> FailureKind:
    if 300 <= status < 400:  # never followed: someone has to correct the URL
        return FailureKind.REFUSED
    return FailureKind.PERMANENT if 400 <= status < 500 else FailureKind.BUSY


def _phrase(status: int) -> str:
    # The server's own phrase is free text of a stranger.
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Seconds to wait, from 1 s to 24 h; None where nothing was asked, or nothing intelligible."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)


def judge_error(error: Exception, url: str, *, sent: bool) -> Failure:
    """The result of a delivery that was not answered.

    Args:
        error: what aiohttp raised.
        url: where it was to be sent.
        sent: whether a byte of the request may have left. If so it spends an attempt, because
            this very request may be what the target fails at.
    """
    kind, code = _classify(error, sent=sent)
    return Failure(kind, code, _shown(f"{place(url)}: {_explain(error, code)}"))


def _classify(error: Exception, *, sent: bool) -> tuple[FailureKind, str]:
    if isinstance(getattr(error, "os_error", None), ForbiddenAddress):
        return FailureKind.REFUSED, "forbidden-address"
    # A certificate error is a ValueError too.
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError) and not isinstance(error, OSError):
        return FailureKind.PERMANENT, "invalid-request"
    return (FailureKind.BUSY, _answer_code(error)) if sent else (FailureKind.CONNECTION, _connect_code(error))


def _answer_code(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "bad-response" if isinstance(error, aiohttp.ClientResponseError) else "disconnected"


def _connect_code(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "connect-timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "refused"
    return "unreachable"


_EXPLAINED = {
    "timeout": "no complete answer in time",
    "bad-response": "the answer is not HTTP, or beyond its limits",
    "disconnected": "the connection ended before the answer",
    "connect-timeout": "no connection in time",
    "invalid-request": "the request can't be written as HTTP",
    "forbidden-address": "link-local and cloud metadata addresses are refused",
}


def _explain(error: Exception, code: str) -> str:
    # An exception's own text is not used: aiohttp puts whole URLs into it.
    if code in _EXPLAINED:
        return _EXPLAINED[code]
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    match cause:
        case ssl.SSLCertVerificationError(verify_message=message) if message:
            return f"certificate refused: {message}"
        case ssl.SSLError(reason=reason) if reason:
            return f"TLS failed: {reason}"
        case socket.gaierror(strerror=text) if text:
            return text
        case OSError(errno=int(number)):
            return os.strerror(number)
    return "it can't be reached"


def place(url: str) -> str:
    """A URL's scheme, host and path: a query or a user part may hold a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the target"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _shown(text: str) -> str:
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"
