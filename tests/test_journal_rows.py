import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.journal.clock import Clock
from bridge.journal.rows import (
    DamagedRow,
    decode_dead,
    decode_delivery,
    decode_digests,
    decode_lane,
    decode_webhook,
    dedupe_digest,
    encode_dead,
    encode_delivery,
    encode_webhook,
    lane_number,
    seal,
    unseal,
)
from bridge.message import Delivery, HttpRequest, MqttMessage
from bridge.webhook import Webhook
from tests.support.deliveries import delivery, webhook

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates too
bodies = st.none() | st.binary(max_size=200)
mqtt = st.builds(
    MqttMessage, anything, bodies, st.integers(0, 2), st.booleans(), st.none() | anything, st.booleans()
)
http = st.builds(
    HttpRequest, anything, anything, st.lists(st.tuples(anything, anything), max_size=3).map(tuple), bodies
)
TEXTS = ("id", "bucket", "bucket_id", "input", "input_id", "output", "destination", "method", "query_string")
webhooks = st.builds(
    Webhook,
    **dict.fromkeys(TEXTS, anything),
    headers=st.dictionaries(anything, st.lists(anything, min_size=1, max_size=3).map(tuple), max_size=4),
    raw=st.binary(max_size=200),
    received_at=st.floats(0, 1e11),
    late=st.booleans(),
)
digests = st.integers(-(2**63), 2**63 - 1)
deliveries = st.builds(
    Delivery,
    seq=st.integers(0, 2**62),
    webhook_seq=st.integers(0, 2**62),
    webhook=webhooks,
    message=mqtt | http,
    target=anything,
    order_key=st.none() | anything,
    route=anything,
    generation=st.integers(0, 2**31),
    deadline=st.none() | st.floats(0, 1e9),
    attempts=st.integers(0, 1000),
    not_before=st.floats(0, 1e9),
    size=st.integers(0, 2**40),
    journaled=st.just(value=True),
    identity=st.none() | digests,
    dedupe=st.none() | digests,
)


def fields(one: Webhook) -> dict[str, object]:
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one) if field.init}


def clock() -> Clock:
    return Clock(wall=lambda: 1.8e9, monotonic=lambda: 50.0, session=3)


@given(webhooks)
def test_every_field_of_a_webhook_survives(one: Webhook) -> None:
    assert fields(decode_webhook(encode_webhook(one))) == fields(one)


@given(deliveries)
def test_every_field_of_a_delivery_survives(one: Delivery) -> None:
    found = decode_delivery(
        encode_delivery(one, clock()),
        seq=one.seq,
        webhook_seq=one.webhook_seq,
        size=one.size,
        webhook=one.webhook,
        clock=clock(),
    )
    names = [field.name for field in dataclasses.fields(Delivery)]
    assert {name: getattr(found, name) for name in names} == {name: getattr(one, name) for name in names}


@given(deliveries, anything, anything)
def test_a_dead_letter_keeps_its_delivery_and_its_reason(one: Delivery, code: str, reason: str) -> None:
    content = encode_dead(encode_delivery(one, clock()), code=code, reason=reason, at=1.5)
    letter = decode_dead(content, letter_id=7, seq=one.seq, webhook_seq=one.webhook_seq, size=9)
    assert (letter.id, letter.code, letter.reason, letter.at, letter.size) == (7, code, reason, 1.5, 9)
    for name in (
        *("seq", "webhook_seq", "target", "order_key"),
        *("route", "generation", "attempts", "message"),
    ):
        assert getattr(letter, name) == getattr(one, name)


def test_an_empty_payload_is_not_the_webhooks_body() -> None:
    for payload in (b"", None):
        one = delivery(1, message=MqttMessage("t", payload))
        record = encode_delivery(one, clock())
        found = decode_delivery(record, seq=1, webhook_seq=1, size=0, webhook=webhook(), clock=clock())
        assert found.message == MqttMessage("t", payload)


def test_a_back_off_of_an_earlier_session_is_over() -> None:
    record = encode_delivery(delivery(1, not_before=80.0), clock())
    later = Clock(wall=lambda: 1.8e9, monotonic=lambda: 5.0, session=4)
    found = decode_delivery(record, seq=1, webhook_seq=1, size=0, webhook=webhook(), clock=later)
    assert found.not_before == 0.0


@given(st.binary(max_size=100), st.integers(-(2**63), 2**63 - 1), st.data())
def test_any_flipped_bit_is_found(content: bytes, key: int, data: st.DataObject) -> None:
    row = bytearray(seal(content, key))
    assert unseal(bytes(row), key) == content
    bit = data.draw(st.integers(0, len(row) * 8 - 1))
    row[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedRow):
        unseal(bytes(row), key)


@pytest.mark.parametrize("row", [None, 5, "text", b"", b"abc"])
def test_what_is_no_row_is_damaged(row: object) -> None:
    with pytest.raises(DamagedRow):
        unseal(row, 1)


def test_a_row_under_another_key_is_damaged() -> None:
    row = seal(b"content", 1, 2)
    with pytest.raises(DamagedRow):
        unseal(row, 2, 1)
    with pytest.raises(DamagedRow):
        unseal(row, 1, "2")  # type: ignore[arg-type]  # a damaged column can hold any type


def test_the_lane_is_readable_without_the_rest() -> None:
    record = encode_delivery(delivery(1, target="http:x", order_key=None, route="r"), clock())
    assert decode_lane(record) == ("http:x", None)


@given(deliveries)
def test_digests_are_readable_without_the_rest(one: Delivery) -> None:
    assert decode_digests(encode_delivery(one, clock())) == list(one.digests)


def test_lanes_and_keys_have_numbers_of_their_own() -> None:
    lanes = [("a", None), ("a", ""), ("a", "b"), ("a\0b", None), ("b", None), ("a", "\ud800")]
    numbers = {lane_number(*lane) for lane in lanes}
    assert len(numbers) == len(lanes) - 1, "a NUL in a target's name can't occur; all others differ"
    assert lane_number("a", "b") == lane_number("a", "b")
    assert dedupe_digest("a", "bc") != dedupe_digest("ab", "c")
