"""PUBLISH packets: the same bytes as paho's own, and nothing that a broker takes for malformed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.message import Failure, MqttMessage
from bridge.targets.mqtt_publication import (
    Limits,
    Publication,
    pack_properties,
    packet_size,
    prepare,
    topic_problem,
)
from tests.support.deliveries import delivery, webhook

WIRE_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=200)
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=2000)


@given(
    content_type=st.none() | WIRE_TEXT,
    late=st.booleans(),
    names=st.tuples(WIRE_TEXT, WIRE_TEXT, WIRE_TEXT),
    payload=st.binary(max_size=100) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "ignore")),
    remaining=st.none() | st.integers(-5, 2**33),
)
def test_properties_are_the_bytes_that_paho_would_write(
    *,
    content_type: str | None,
    late: bool,
    names: tuple[str, str, str],
    payload: bytes,
    remaining: int | None,
) -> None:
    log_id, bucket, route = names
    message = MqttMessage("t", payload, content_type=content_type, expires=True)
    sent = delivery(
        1,
        webhook=webhook(id=log_id, bucket=bucket, late=late),
        route=route,
        message=message,
        deadline=None if remaining is None else 1000.0 + remaining,
    )
    plain: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it so
    try:
        payload.decode()
        plain.PayloadFormatIndicator = 1
    except UnicodeDecodeError:
        pass
    if remaining is not None:
        plain.MessageExpiryInterval = min(max(remaining, 1), 2**32 - 1)
    if content_type:
        plain.ContentType = content_type
    users = [("id", log_id)] * bool(log_id) + [("bucket", bucket), ("route", route)]
    plain.UserProperty = users + [("late", "true")] * late
    assert pack_properties(sent, message, payload, 1000.0) == plain.pack()


@given(ANY_TEXT, ANY_TEXT)
def test_text_of_strangers_becomes_text_that_mqtt_allows(content_type: str, log_id: str) -> None:
    sent = delivery(1, webhook=webhook(id=log_id))
    message = MqttMessage("t", b"", content_type=content_type)
    read: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it so
    packed = pack_properties(sent, message, b"", 0.0)
    _, length = read.unpack(packed)
    assert length == len(packed)
    for text in [getattr(read, "ContentType", ""), *(value for _, value in read.UserProperty)]:
        assert len(text) <= 1024
        assert topic_problem(f"x{text}".translate({ord("+"): "", ord("#"): "", ord("/"): ""})) is None


@given(
    st.text(min_size=1, max_size=50),
    st.binary(max_size=300),
    st.sampled_from([0, 50, 127, 128, 16_000, 3_000_000]),
)
def test_the_size_is_that_of_the_packet(topic: str, properties: bytes, payload: int) -> None:
    rest = len(topic.encode()) + 2 + 2 + len(properties) + payload
    length_bytes = 1 + (rest > 127) + (rest > 16_383) + (rest > 2_097_151)
    assert packet_size(topic, b"x" * payload, properties) == 1 + length_bytes + rest


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_a_topic_without_a_problem_can_be_published_to(topic: str) -> None:
    if topic_problem(topic) is None:
        encoded = topic.encode()
        assert 1 <= len(encoded) <= 65_535
        assert not set(topic) & set("+#\0")
        assert min(topic) >= " "


def test_limits_change_what_is_sent() -> None:
    message = MqttMessage("t", b"12345", qos=2, retain=True)
    sent = delivery(1, message=message)

    def prepared(version5: bool, **limits: Any) -> Publication | Failure:  # short, and local
        return prepare(sent, message, Limits(**limits), version5=version5, now=0.0)

    whole = prepared(True)
    assert isinstance(whole, Publication)
    assert (whole.qos, whole.retain, whole.payload) == (2, True, b"12345")
    less = prepared(True, maximum_qos=0, retain=False)
    assert isinstance(less, Publication)
    assert (less.qos, less.retain) == (0, False)
    assert isinstance(prepared(True, maximum_packet=20), Failure)
    old = prepared(False, maximum_packet=20)
    assert isinstance(old, Publication)
    assert old.properties is None
