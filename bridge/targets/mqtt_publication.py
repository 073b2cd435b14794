"""A delivery as one PUBLISH packet, within what the broker takes. Source: MQTT 5.0, section 3.3."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from paho.mqtt.properties import Properties

from bridge.message import Delivery, Failure, FailureKind, MqttMessage
from bridge.targets.mqtt_answers import Request

_LONGEST_TEXT: Final = 1024
"""Characters of a property's text; the standard allows 65,535 bytes."""

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)
)
_UNFIT = re.compile(f"[\0-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
"""What makes a broker drop the connection as malformed (section 1.5.4)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker takes, as its CONNACK says; without a word the standard's own values."""

    receive_maximum: int = 65_535
    maximum_qos: int = 2
    retain: bool = True
    maximum_packet: int = 268_435_460
    """Bytes of a whole packet."""


def limits_of(said: Properties | None) -> Limits:
    """The limits that a CONNACK's properties name (section 3.2.2.3)."""
    default = Limits()
    return Limits(
        receive_maximum=getattr(said, "ReceiveMaximum", default.receive_maximum),
        maximum_qos=getattr(said, "MaximumQoS", default.maximum_qos),
        retain=bool(getattr(said, "RetainAvailable", default.retain)),
        maximum_packet=getattr(said, "MaximumPacketSize", default.maximum_packet),
    )


@dataclass(frozen=True, slots=True)
class Publication:
    """The arguments of a PUBLISH."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: "PackedProperties | None"


class PackedProperties(Properties):
    """Properties that are bytes already: paho's own rebuild three tables for each object."""

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "_packed", packed)

    def pack(self) -> bytes:
        """The bytes, with their length in front."""
        packed: bytes = object.__getattribute__(self, "_packed")
        return packed

    def __str__(self) -> str:
        return f"{len(self.pack())} bytes"


def prepare(
    delivery: Delivery,
    message: MqttMessage,
    limits: Limits,
    *,
    version5: bool,
    now: float,
    request: Request | None = None,
) -> Publication | Failure:
    """What to send, or why the broker would never take it. `now` is on the monotonic clock."""
    topic, payload = message.topic, message.payload
    if payload is None:
        payload = delivery.webhook.raw
    problem = topic_problem(topic)
    if problem is not None:
        return Failure(FailureKind.PERMANENT, "topic-invalid", problem)
    properties = pack_properties(delivery, message, payload, now, request) if version5 else b""
    size = packet_size(topic, payload, properties)
    if size > limits.maximum_packet:
        reason = f"a packet of {size} bytes, and the broker takes {limits.maximum_packet}"
        return Failure(FailureKind.PERMANENT, "too-large", reason)
    return Publication(
        topic,
        payload,
        min(message.qos, limits.maximum_qos),
        message.retain and limits.retain,
        PackedProperties(properties) if version5 else None,
    )


def topic_problem(topic: str) -> str | None:
    """Why a topic can't be published to: a broker drops the connection, and a resend would loop."""
    if not topic:
        return "the topic is empty"
    if "+" in topic or "#" in topic:
        return "the topic holds a wildcard"
    if not (topic.isascii() and topic.isprintable()) and _UNFIT.search(topic):
        return "the topic holds a control character or a noncharacter"
    if _utf8_length(topic) > 65_535:
        return "the topic is longer than 65535 bytes"
    if topic.count("/") >= 200:
        return "the topic has more than 200 levels"
    return None


def packet_size(topic: str, payload: bytes, properties: bytes) -> int:
    """Bytes of the whole packet at QoS 1 or 2; at QoS 0 it is two bytes shorter."""
    rest = 2 + _utf8_length(topic) + 2 + len(properties) + len(payload)
    return 1 + len(_variable(rest)) + rest


def pack_properties(
    delivery: Delivery, message: MqttMessage, payload: bytes, now: float, request: Request | None = None
) -> bytes:
    """The PUBLISH properties (section 3.3.2.3), in the order in which paho writes them."""
    parts = []
    if _is_utf8(payload):
        parts.append(b"\x01\x01")
    if message.expires and delivery.deadline is not None:
        seconds = min(max(1, int(delivery.deadline - now)), 0xFFFFFFFF)
        parts.append(b"\x02" + seconds.to_bytes(4, "big"))
    if message.content_type:
        parts.append(b"\x03" + _text(message.content_type))
    if request is not None:
        length = len(request.correlation).to_bytes(2, "big")
        parts.append(b"\x08" + _text(request.topic) + b"\x09" + length + request.correlation)
    webhook = delivery.webhook
    if webhook.id:
        parts.append(_user("id", webhook.id))
    parts.append(_origin(webhook.bucket, delivery.route, webhook.late))
    packed = b"".join(parts)
    return _variable(len(packed)) + packed


def text_properties(content_type: str) -> PackedProperties:
    """The PUBLISH properties of UTF-8 text that is no webhook's."""
    packed = b"\x01\x01\x03" + _text(content_type)
    return PackedProperties(_variable(len(packed)) + packed)


@lru_cache(maxsize=16_384)
def _origin(bucket: str, route: str, late: bool) -> bytes:
    """The user properties that the webhooks of a route have in common."""
    return _user("bucket", bucket) + _user("route", route) + (_user("late", "true") if late else b"")


def _user(name: str, value: str) -> bytes:
    return b"\x26" + _text(name) + _text(value)


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(text: str) -> bytes:
    """A string as MQTT writes it; what would be malformed becomes U+FFFD, as it comes from strangers."""
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT]
    if not (text.isascii() and text.isprintable()):
        text = _UNFIT.sub("\ufffd", text)
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _variable(number: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    if number < 128:
        return bytes((number,))
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
