"""From a public request to the frames that a bucket's subscribers get. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from bridge.relay.frames import encode, frame_of
from bridge.selfhosted.resources import Bucket, Input
from bridge.webhook import Webhook

# Go's HTTP server, which the service is written in, takes these out of a request's headers.
_TAKEN_OUT = frozenset({"host", "trailer", "transfer-encoding"})


def frames_of(
    bucket: Bucket,
    entry: Input,
    *,
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    now: float,
) -> Iterator[str]:
    """The frames of one request: one for each internal output, or a single one where there is no output.

    Args:
        bucket: whose subscribers get them.
        entry: the input that was asked.
        method: of the request.
        path: what follows the input's ID, "/" where nothing does.
        query: without its question mark.
        headers: in their order, names as they came.
        body: of the request.
        now: Unix time in seconds.
    """
    shown = _canonical_headers(headers)
    for output, destination in _destinations(bucket, path):
        webhook = Webhook(
            id=str(uuid4()),
            bucket=bucket.name,
            bucket_id=bucket.id,
            input=entry.name,
            input_id=entry.id,
            output=output,
            destination=destination,
            method=method,
            query_string=query,
            headers={},
            raw=body,
            received_at=now,
        )
        frame: dict[str, Any] = frame_of(webhook)
        frame["headers"] = shown
        yield encode(frame)


def canonical(name: str) -> str:
    """A header's name in the case that Go gives it: `X-Github-Event`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def printable(text: str) -> str:
    """Text of a request line or header; bytes of it that are not UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _destinations(bucket: Bucket, path: str) -> list[tuple[str, str]]:
    if not bucket.outputs:
        return [("", path)]
    return [(one.name, _extended(one.destination, path)) for one in bucket.outputs if one.internal]


def _extended(destination: str, path: str) -> str:
    """A destination with the request's own path at its end, and before its query."""
    if path == "/":
        return destination
    url = urlsplit(destination)
    return urlunsplit(url._replace(path=url.path.rstrip("/") + path))


def _canonical_headers(headers: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _TAKEN_OUT:
            found.setdefault(canonical(name), []).append(printable(value))
    return found
