"""Webhooks, deliveries and dead letters as bytes, each with a checksum. Pure.

SQLite notices few flipped bits: a database on a worn SD card reads back without complaint. So every row
carries a CRC-32 over its content and its keys, and nothing is delivered that fails it.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from bridge.journal.clock import Clock, Lifetime
from bridge.message import Delivery, HttpRequest, Message, MqttMessage
from bridge.webhook import Webhook

ROW_OVERHEAD = 512
"""Bytes: what a webhook takes beside its body, roughly."""
_LENGTH = struct.Struct(">I")


class DamagedRow(ValueError):
    """A row's checksum is wrong."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up, for people and for another try."""

    id: int
    """Small and never used again: what the command line shows."""
    seq: int
    webhook_seq: int
    target: str
    order_key: str | None
    route: str
    generation: int
    attempts: int
    message: Message
    code: str
    reason: str
    at: float
    """Unix time of its end, in seconds."""
    size: int
    identity: int | None = None
    """Digest by which the delivery was known when its webhook came again."""


@dataclass(frozen=True, slots=True)
class LaneSummary:
    """What the journal holds of one lane."""

    target: str
    order_key: str | None
    count: int
    bytes: int
    first_seq: int


def seal(content: bytes, *keys: int) -> bytes:
    """The content behind a checksum that covers its keys (signed, 64 bits) too."""
    return _LENGTH.pack(_checksum(content, keys)) + content


def unseal(row: object, *keys: int) -> bytes:
    """What `seal` was given.

    Raises:
        DamagedRow: it isn't that any more.
    """
    if not isinstance(row, bytes) or len(row) < _LENGTH.size:
        raise DamagedRow("not a row")
    content = row[_LENGTH.size :]
    try:
        intact = _LENGTH.unpack_from(row)[0] == _checksum(content, keys)
    except struct.error as error:  # a key column isn't even a number any more
        raise DamagedRow("not a key") from error
    if not intact:
        raise DamagedRow("wrong checksum")
    return content


def lane_number(target: str, order_key: str | None) -> int:
    """A lane as a signed integer of 64 bits; lanes that collide would be read as one, and nothing is lost."""
    name = target if order_key is None else f"{target}\0{order_key}"
    return _digest(name)


def dedupe_digest(scope: str, key: str) -> int:
    """A deduplication key as a signed integer of 64 bits."""
    return _digest(f"{scope}\0{key}")


def encode_webhook(webhook: Webhook) -> bytes:
    """All fields of a webhook."""
    fields = [
        webhook.id,
        webhook.bucket,
        webhook.bucket_id,
        webhook.input,
        webhook.input_id,
        webhook.output,
        webhook.destination,
        webhook.method,
        webhook.query_string,
        dict(webhook.headers),
        webhook.received_at,
        webhook.late,
    ]
    return _join(fields, webhook.raw)


def decode_webhook(frame: bytes) -> Webhook:
    """A webhook from `encode_webhook`."""
    (*texts, headers, received_at, late), raw = _split(frame)
    names = (
        "id",
        "bucket",
        "bucket_id",
        "input",
        "input_id",
        "output",
        "destination",
        "method",
        "query_string",
    )
    return Webhook(
        **dict(zip(names, texts, strict=True)),
        headers={name: tuple(values) for name, values in headers.items()},
        raw=raw,
        received_at=received_at,
        late=late,
    )


def encode_delivery(delivery: Delivery, clock: Clock) -> bytes:
    """A delivery without its seqs, its size and its webhook."""
    life = clock.lifetime(delivery.deadline)
    fields = [
        delivery.target,
        delivery.order_key,
        delivery.route,
        delivery.generation,
        delivery.attempts,
        clock.session,
        delivery.not_before,
        life and [life.session, life.deadline, life.left],
        [delivery.identity, delivery.dedupe],
    ]
    kind, content = _encode_message(delivery.message)
    return _join([*fields, kind, content is not None], content or b"")


def decode_delivery(
    record: bytes, *, seq: int, webhook_seq: int, size: int, webhook: Webhook, clock: Clock
) -> Delivery:
    """A delivery from `encode_delivery`, its deadline on this process' clock."""
    fields, content = _split(record)
    target, order_key, route, generation, attempts, session, not_before, life, digests, kind, has_content = (
        fields
    )
    return Delivery(
        seq=seq,
        webhook_seq=webhook_seq,
        webhook=webhook,
        message=_decode_message(kind, content if has_content else None),
        target=target,
        order_key=order_key,
        route=route,
        generation=generation,
        deadline=clock.deadline(life and Lifetime(*life)),
        attempts=attempts,
        not_before=not_before if session == clock.session else 0.0,
        size=size,
        journaled=True,
        identity=digests[0],
        dedupe=digests[1],
    )


def decode_lane(record: bytes) -> tuple[str, str | None]:
    """(target, order key) of a delivery's record."""
    (target, order_key, *_), _ = _split(record)
    return target, order_key


def decode_digests(record: bytes) -> list[int]:
    """The digests of a delivery's record, those that it has."""
    fields, _ = _split(record)
    return [one for one in fields[8] if one is not None]


def encode_dead(record: bytes, *, code: str, reason: str, at: float) -> bytes:
    """A delivery's record and why it was given up."""
    return _join([code, reason, at], record)


def decode_dead(content: bytes, *, letter_id: int, seq: int, webhook_seq: int, size: int) -> DeadLetter:
    """A dead letter from `encode_dead`."""
    (code, reason, at), record = _split(content)
    fields, body = _split(record)
    target, order_key, route, generation, attempts, _, _, _, digests, kind, has_body = fields
    message = _decode_message(kind, body if has_body else None)
    return DeadLetter(
        id=letter_id,
        seq=seq,
        webhook_seq=webhook_seq,
        target=target,
        order_key=order_key,
        route=route,
        generation=generation,
        attempts=attempts,
        message=message,
        code=code,
        reason=reason,
        at=at,
        size=size,
        identity=digests[0],
    )


def _encode_message(message: Message) -> tuple[list[Any], bytes | None]:
    match message:
        case MqttMessage():
            fields = [message.topic, message.qos, message.retain, message.content_type, message.expires]
            return ["mqtt", *fields], message.payload
        case HttpRequest():
            return ["http", message.method, message.url, message.headers], message.body


def _decode_message(kind: list[Any], content: bytes | None) -> Message:
    if kind[0] == "mqtt":
        _, topic, qos, retain, content_type, expires = kind
        return MqttMessage(topic, content, qos, retain, content_type, expires)
    _, method, url, headers = kind
    return HttpRequest(method, url, tuple((name, value) for name, value in headers), content)


def _join(fields: list[Any], content: bytes) -> bytes:
    try:
        head = orjson.dumps(fields)
    except TypeError:  # a lone surrogate: orjson refuses it, json escapes it
        head = json.dumps(fields).encode()
    return _LENGTH.pack(len(head)) + head + content


def _split(record: bytes) -> tuple[Any, bytes]:
    start = _LENGTH.size
    end = start + _LENGTH.unpack_from(record)[0]
    try:
        fields = orjson.loads(record[start:end])
    except orjson.JSONDecodeError:
        fields = json.loads(record[start:end])
    return fields, record[end:]


def _checksum(content: bytes, keys: tuple[int, ...]) -> int:
    return zlib.crc32(content, zlib.crc32(struct.pack(f">{len(keys)}q", *keys)))


def _digest(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
