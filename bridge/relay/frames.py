"""The relay's frames: JSON text to frozen values and back, strict where a lenient reading would lose a fact.

The documented shape of a webhook frame is that of Webhook Relay's socket (`webhookrelay-ws-client` and the
service's pages): `bucked_id` is its spelling on the wire, headers map a name to a list of values, and the
body is always a string.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bridge.errors import FrameError
from bridge.webhook import Webhook

BASE64: Final = "base64"
"""As `body_encoding` of a frame, which only a self-hosted relay sends, to clients that asked for it: `body`
is in base64, since it is not UTF-8 and would be damaged as text."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""A header's name (RFC 9110, section 5.6.2)."""


@dataclass(frozen=True, slots=True)
class Status:
    """A `type: status` frame: `authenticated`, `subscribed`, `unauthorized`, `ping` or one not known yet."""

    status: str
    message: str = ""
    ack: str = ""
    """`explicit` where a relay, on `subscribed`, agrees to wait for acknowledgements."""
    group: str = ""
    """Name of the group whose part a relay, on `subscribed`, agrees to send."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame whose `type` is not known; never an error, the relay may grow."""

    type: str


def decode_frame(data: str | bytes, received_at: float, *, late: bool = False) -> Webhook | Status | Unknown:
    """What the relay says with one socket message.

    Fields that are missing or null read as empty; unknown ones are skipped.

    Args:
        data: text of a text message; bytes of a binary one, which the protocol doesn't have.
        received_at: Unix time in seconds.
        late: whether a webhook was found after a gap rather than received live.

    Raises:
        FrameError: with the code binary, garbage, not-an-object, duplicate-key, too-deep or bad-field.
    """
    frame = parse_object(data)
    kind = text_field(frame, "type")
    if kind == "webhook":
        return _webhook(frame, received_at, late)
    if kind == "status":
        return Status(
            text_field(frame, "status"),
            text_field(frame, "message"),
            text_or_empty(frame.get("ack")),
            text_or_empty(frame.get("group")),
        )
    return Unknown(kind)


def frame_of(webhook: Webhook) -> dict[str, Any]:
    """A webhook in the documented shape of its frame; a body that is not UTF-8 is damaged by that."""
    return {
        "type": "webhook",
        "meta": {
            "id": webhook.id,
            "bucked_id": webhook.bucket_id,
            "bucket_name": webhook.bucket,
            "input_id": webhook.input_id,
            "input_name": webhook.input,
            "output_name": webhook.output,
            "output_destination": webhook.destination,
        },
        "headers": {canonical(name): list(values) for name, values in webhook.headers.items()},
        "query": webhook.query_string,
        "body": webhook.text,
        "method": webhook.method,
    }


def canonical(name: str) -> str:
    """A header's name in the case that Go gives it, and so the service's frames: `X-Github-Event`."""
    return "-".join(part.capitalize() for part in name.split("-")) if _TOKEN(name) else name


def encode_webhook(webhook: Webhook) -> str:
    """The text of a webhook's frame; `decode_frame` gives the same webhook back."""
    return encode(frame_of(webhook))


def encode(frame: dict[str, Any]) -> str:
    """JSON text of a frame. A lone surrogate, which no peer could decode, becomes a question mark."""
    try:
        return orjson.dumps(frame).decode()
    except orjson.JSONEncodeError:
        return json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace").decode()


def parse_object(data: str | bytes) -> dict[str, Any]:
    """The JSON object that a text message holds.

    Raises:
        FrameError: with the code binary, garbage, not-an-object, duplicate-key or too-deep.
    """
    if not isinstance(data, str):
        raise FrameError("binary", f"a binary message of {len(data)} bytes")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        code = "too-deep" if "limit" in error.msg else "garbage"
        raise FrameError(code, f"not JSON: {error.msg}") from None
    if type(value) is not dict:
        raise FrameError("not-an-object", f"a JSON {type(value).__name__} instead of an object")
    _refuse_duplicate_keys(data, value)
    return value


def text_field(mapping: dict[str, Any], name: str) -> str:
    """A field that holds text; "" where it is missing or null.

    Raises:
        FrameError: it holds anything else (bad-field).
    """
    value = mapping.get(name)
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise FrameError("bad-field", f"{name} is a {type(value).__name__} instead of text")


def text_or_empty(value: Any) -> str:
    """A value that is text; "" for any other, of a field that not every relay means the same by."""
    return value if isinstance(value, str) else ""


def _refuse_duplicate_keys(text: str, value: dict[str, Any]) -> None:
    # orjson keeps the last of two equal keys silently. Text that it would write again byte for byte had none,
    # and most relays write as compactly; only other text is worth a second, slower reading.
    try:
        if orjson.dumps(value) == text.encode():
            return
        _read_strictly(text)
    except (orjson.JSONEncodeError, RecursionError):
        raise FrameError("too-deep", "nested too deeply") from None
    except ValueError as error:  # an integer of 5,000 digits, say
        raise FrameError("garbage", f"not JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise FrameError("duplicate-key", "an object names a key twice")


_read_strictly = json.JSONDecoder(object_pairs_hook=_distinct).decode


def _webhook(frame: dict[str, Any], received_at: float, late: bool) -> Webhook:
    meta = _mapping(frame, "meta")
    return Webhook(
        id=text_field(meta, "id"),
        bucket=text_field(meta, "bucket_name"),
        bucket_id=text_field(meta, "bucked_id") or text_field(meta, "bucket_id"),
        input=text_field(meta, "input_name"),
        input_id=text_field(meta, "input_id"),
        output=text_field(meta, "output_name"),
        destination=text_field(meta, "output_destination"),
        method=text_field(frame, "method"),
        query_string=text_field(frame, "query"),
        headers=_headers(_mapping(frame, "headers")),
        raw=_body(frame),
        received_at=received_at,
        late=late,
    )


def _body(frame: dict[str, Any]) -> bytes:
    body = text_field(frame, "body").encode()
    if frame.get("body_encoding") != BASE64:
        return body
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise FrameError("bad-field", "body is not base64") from None


def _mapping(frame: dict[str, Any], name: str) -> dict[str, Any]:
    value = frame.get(name)
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise FrameError("bad-field", f"{name} is a {type(value).__name__} instead of an object")


def _headers(found: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in found.items():
        values = _header_values(value)
        lower = name.lower()
        headers[lower] = headers[lower] + values if lower in headers else values
    return headers


def _header_values(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = (value,) if type(value) is str else value
    if type(values) not in (tuple, list):
        raise FrameError("bad-field", "a header is neither text nor a list of texts")
    for one in values:
        if type(one) is not str:
            raise FrameError("bad-field", "a header is neither text nor a list of texts")
    return tuple(values)
