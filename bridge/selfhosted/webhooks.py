"""From a public request to the frames that a bucket's subscribers and public outputs get. No I/O."""

import base64
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import orjson

from bridge.relay.frames import BASE64, canonical, encode, frame_of
from bridge.selfhosted.resources import Bucket, Input, Output
from bridge.selfhosted.rules import Facts
from bridge.webhook import Webhook

# Go's HTTP server, which the service is written in, takes these out of a request's headers.
_TAKEN_OUT = frozenset({"host", "trailer", "transfer-encoding"})
_NO_OUTPUT: Final = Output("", "")
_MARK: Final = b',"body_encoding":"' + BASE64.encode() + b'"}'
"""How a frame ends whose body is in base64. No other does: its last field is text without quotes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What one output of a bucket gets of a request, as frames."""

    id: str
    output: str
    """Its name; "" where the bucket has no output."""
    internal: bool
    text: str
    """The frame that every client understands."""
    exact: str
    """The frame with its body in base64; "" where `text` has every byte of it."""


def facts_of(method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes) -> Facts:
    """What rules, templates and frames say of a request.

    Args:
        method: of the request.
        path: what follows the input's own address, "/" where nothing does.
        query: without its question mark.
        headers: in their order, names as they came.
        body: of the request.
    """
    return Facts(method, printable(path), printable(query), _canonical_headers(headers), body)


def frames_of(bucket: Bucket, entry: Input, facts: Facts, now: float) -> Iterator[Copy]:
    """One copy for each output whose rules allow it, or one where there is no output.

    Args:
        bucket: whose subscribers and outputs get them.
        entry: the input that was asked.
        facts: of the request.
        now: Unix time in seconds.
    """
    wanted = [
        one for one in bucket.outputs if not one.disabled and (not one.rules or one.rules.allows(facts))
    ]
    for output in wanted if bucket.outputs else [_NO_OUTPUT]:
        destination = facts.path if output is _NO_OUTPUT else _extended(output, facts.path)
        webhook = Webhook(
            id=new_id(now),
            bucket=bucket.name,
            bucket_id=bucket.id,
            input=entry.name,
            input_id=entry.id,
            output=output.name,
            destination=destination,
            method=facts.method,
            query_string=facts.query,
            headers={},
            raw=facts.body,
            received_at=now,
        )
        frame = {**frame_of(webhook), "headers": _with(facts.headers, output.headers)}
        exact = "" if webhook.text.encode() == facts.body else encode(_exact(frame, facts.body))
        yield Copy(webhook.id, output.name, output.internal, encode(frame), exact)


def new_id(now: float) -> str:
    """An ID of a frame: a UUID of version 7 (RFC 9562, 5.7), from which the time can be read.

    Args:
        now: Unix time in seconds.
    """
    bits = int(now * 1000) << 80 | secrets.randbits(80)
    return str(UUID(int=bits & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def time_of(log_id: str) -> float | None:
    """Unix time in seconds at which an ID was made; None where it is none of `new_id`."""
    try:
        found = UUID(log_id)
    except ValueError:
        return None
    return (found.int >> 80) / 1000 if found.version == 7 else None


def plain_text(exact: bytes) -> str:
    """The frame that every client understands, from the one with its body in base64."""
    frame = orjson.loads(exact)
    frame["body"] = base64.b64decode(frame["body"]).decode("utf-8", "replace")
    del frame["body_encoding"]
    return encode(frame)


def is_exact(text: bytes) -> bool:
    """Whether this is a frame with its body in base64."""
    return text.endswith(_MARK)


def printable(text: str) -> str:
    """Text of a request line or header; bytes of it that are not UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _exact(frame: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    return {**frame, "body": base64.b64encode(body).decode(), "body_encoding": BASE64}


def _extended(output: Output, path: str) -> str:
    """A destination with the request's own path at its end, and before its query."""
    if path == "/" or output.lock_path:
        return output.destination
    url = urlsplit(output.destination)
    return urlunsplit(url._replace(path=url.path.rstrip("/") + path))


def _with(headers: Mapping[str, list[str]], own: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """A request's headers, and an output's own ones in their place."""
    return {**headers, **_canonical_headers(own)}


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _TAKEN_OUT:
            found.setdefault(canonical(name), []).append(printable(value))
    return found
