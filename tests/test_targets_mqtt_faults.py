"""The MQTT target against a broker that misbehaves in ways that a real one can't be told to."""

import random

import pytest

from bridge.message import DELIVERED, Delivered, Failure, FailureKind, Result
from bridge.targets import mqtt, mqtt_session
from tests.support.mqtt import (
    HANG_UP,
    Publish,
    ScriptedBroker,
    connack,
    disconnect,
    feeding,
    puback,
    publication,
    pubrec,
)
from tests.support.waiting import eventually

RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE = b"\x21", b"\x24", b"\x25"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jitter, and seconds become tenths."""
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    monkeypatch.setattr(mqtt_session, "TICK_SECONDS", 0.02)


async def test_a_lost_acknowledgement_means_a_new_connection_and_a_repeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "ACKNOWLEDGE_SECONDS", 0.1)
    broker = ScriptedBroker(lambda publish: puback(publish) if publish.connection > 1 else None)
    async with broker, feeding(broker.port) as feeder:
        feeder.give(*(publication(seq, f"t/{seq}") for seq in range(3)))
        assert await feeder.wait(3) == [DELIVERED] * 3
    assert [(p.connection, p.dup, p.topic) for p in broker.publishes] == [
        *((1, False, f"t/{seq}") for seq in range(3)),
        *((2, True, f"t/{seq}") for seq in range(3)),
    ]
    assert broker.clean_starts == [True, False]


async def test_a_busy_broker_gets_less_at_once() -> None:
    codes = iter([0x97, 0x89])
    broker = ScriptedBroker(lambda publish: puback(publish, next(codes, 0)))
    async with broker, feeding(broker.port, max_in_flight=8) as feeder:
        assert feeder.target.capacity() == 8
        assert await feeder.deliver(publication(1)) == [Failure(FailureKind.BUSY, "mqtt-0x97")]
        assert feeder.target.capacity() == 4
        assert await feeder.deliver(publication(2)) == [Failure(FailureKind.BUSY, "mqtt-0x89")]
        assert feeder.target.capacity() == 2
        for seq in range(40):
            await feeder.deliver(publication(seq))
        assert feeder.target.capacity() == 8
        assert feeder.target.counters.busy == 2


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (0x00, DELIVERED),
        (0x10, Delivered("no-subscriber")),
        (0x80, Failure(FailureKind.BUSY, "mqtt-0x80")),
        (0x87, Failure(FailureKind.REFUSED, "mqtt-0x87")),
        (0x90, Failure(FailureKind.PERMANENT, "mqtt-0x90")),
        (0x97, Failure(FailureKind.BUSY, "mqtt-0x97")),
        (0x99, Failure(FailureKind.PERMANENT, "mqtt-0x99")),
    ],
)
@pytest.mark.parametrize("qos", [1, 2])
async def test_reason_codes_count_at_qos_1_and_2(qos: int, code: int, result: Result) -> None:
    acknowledge = puback if qos == 1 else pubrec
    broker = ScriptedBroker(lambda publish: acknowledge(publish, code))
    async with broker, feeding(broker.port) as feeder:
        assert await feeder.deliver(publication(1, qos=qos)) == [result]
        assert feeder.target.counters.interruptions == 0
    assert broker.releases == (1 if qos == 2 and code < 0x80 else 0)


@pytest.mark.parametrize("qos", [1, 2])
async def test_receive_maximum_is_respected(qos: int) -> None:
    waiting: list[Publish] = []
    most = 0

    def answer(publish: Publish) -> bytes | None:
        nonlocal most
        waiting.append(publish)
        most = max(most, len(waiting))
        if len(waiting) < 5 and publish.topic != "last":
            return None
        acknowledged = b"".join((puback if qos == 1 else pubrec)(each) for each in waiting)
        waiting.clear()
        return acknowledged

    broker = ScriptedBroker(answer, greet=lambda _: connack(properties=RECEIVE_MAXIMUM + b"\0\5"))
    async with broker, feeding(broker.port) as feeder:
        assert feeder.target.capacity() == 5
        feeder.give(*(publication(seq, "last" if seq == 99 else "t", qos=qos) for seq in range(100)))
        assert set(await feeder.wait(100)) == {DELIVERED}
    assert most == 5


async def test_a_broker_that_takes_less_than_it_did_is_not_overrun() -> None:
    def greet(connection: int) -> bytes:
        return connack(
            session_present=connection > 1,
            properties=RECEIVE_MAXIMUM + bytes([0, 9 if connection < 2 else 2]),
        )

    def answer(publish: Publish) -> bytes | None:
        if publish.connection > 1:
            return puback(publish)
        return HANG_UP if publish.topic == "t/8" else None

    broker = ScriptedBroker(answer, greet)
    async with broker, feeding(broker.port) as feeder:
        feeder.give(*(publication(seq, f"t/{seq}") for seq in range(9)))
        results = await feeder.wait(18)
    assert results[:9] == [Failure(FailureKind.CONNECTION, "session-lost")] * 9
    assert results[9:] == [DELIVERED] * 9
    assert [p.topic for p in broker.publishes if p.connection == 2] == [f"t/{seq}" for seq in range(9)]


async def test_a_broker_that_knows_less_is_sent_less(caplog: pytest.LogCaptureFixture) -> None:
    properties = MAXIMUM_QOS + b"\1" + RETAIN_AVAILABLE + b"\0"
    broker = ScriptedBroker(greet=lambda _: connack(properties=properties))
    async with broker, feeding(broker.port) as feeder:
        await feeder.deliver(publication(1, qos=2, retain=True), publication(2, qos=1))
    assert [(p.qos, p.retain) for p in broker.publishes] == [(1, False), (1, False)]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


async def test_a_publication_that_breaks_the_connection_does_not_do_so_for_ever() -> None:
    broker = ScriptedBroker(lambda publish: HANG_UP if publish.topic == "poison" else puback(publish))
    async with broker, feeding(broker.port) as feeder:
        topics = ["a", "poison", "b", "c"]
        feeder.give(*(publication(seq, topic) for seq, topic in enumerate(topics)))
        await eventually(lambda: sum(result == DELIVERED for _, result in feeder.results) == 3)
    blamed = [d.seq for d, result in feeder.results if result == Failure(FailureKind.BUSY, "mqtt-dropped")]
    assert blamed == [1]
    assert [d.seq for d, result in feeder.results if result == DELIVERED] == [0, 2, 3]
    assert sum(p.topic == "poison" for p in broker.publishes) <= 4


async def test_a_forgotten_session_starts_qos_2_anew() -> None:
    def answer(publish: Publish) -> bytes | None:
        return pubrec(publish) if publish.connection > 1 else pubrec(publish) + disconnect(0x8B)

    broker = ScriptedBroker(answer)
    async with broker, feeding(broker.port) as feeder:
        feeder.give(publication(1, qos=2))
        assert await feeder.wait(2) == [Failure(FailureKind.CONNECTION, "session-lost"), DELIVERED]
    assert [p.connection for p in broker.publishes] == [1, 2]


# Connections that are refused, or end with a reason


@pytest.mark.parametrize("code", [0x84, 0x86, 0x87, 0x8A])
async def test_a_refused_connection_is_tried_again_slowly(code: int) -> None:
    broker = ScriptedBroker(greet=lambda _: connack(code))
    async with broker, feeding(broker.port, wait_until="refused") as feeder:
        state = feeder.target.state()
        assert state.reason.startswith("the broker refused: ")
        assert feeder.target.capacity() == 0
        assert mqtt_session.Backoff().next(slow=True) >= 30
    assert broker.connections == 1


async def test_a_server_that_is_unavailable_is_tried_again_soon() -> None:
    broker = ScriptedBroker(greet=lambda connection: connack(0x88 if connection < 4 else 0))
    async with broker, feeding(broker.port) as feeder:
        assert feeder.target.counters.connections == 1
    assert broker.connections == 4
    assert broker.clean_starts == [True] * 4


async def test_a_session_taken_over_waits_and_alarms(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedBroker() as broker, feeding(broker.port) as feeder:
        broker.say(disconnect(0x8E))
        await eventually(lambda: feeder.target.state().name == "refused")
        assert "Session taken over (another client with the same client ID?)" in feeder.target.state().reason
    assert broker.connections == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_reason_that_a_broker_gives_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedBroker() as broker, feeding(broker.port) as feeder:
        broker.say(disconnect(0x8B))
        await eventually(lambda: feeder.target.counters.connections == 2)
    assert "down: the broker disconnected: Server shutting down" in caplog.text


async def test_a_broker_that_greets_and_hangs_up_at_once_is_not_up() -> None:
    broker = ScriptedBroker(
        greet=lambda connection: connack() + (disconnect(0x8B) if connection < 3 else b"")
    )
    async with broker, feeding(broker.port) as feeder:
        assert feeder.target.counters.connections == 1
        assert await feeder.deliver(publication(1)) == [DELIVERED]
    assert broker.connections == 3


@pytest.mark.parametrize("silent", ["connack", "acknowledgement of nothing"])
async def test_a_broker_that_never_greets_is_left(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    monkeypatch.setattr(mqtt_session, "CONNECT_SECONDS", 0.1)
    first: bytes | None = None if silent == "connack" else b"\x40\x02\0\1"
    broker = ScriptedBroker(greet=lambda connection: first if connection == 1 else connack())
    async with broker, feeding(broker.port) as feeder:
        assert feeder.target.counters.connections == 1
    assert broker.connections == 2


@pytest.mark.parametrize(
    "garbage", [b"\0\0", b"\xff" * 20, b"\x40\0", b"\x40\1\0", b"\xe0\1\x7f", b"\x20\1\0"]
)
async def test_garbage_ends_the_connection_and_nothing_else(garbage: bytes) -> None:
    async with ScriptedBroker() as broker, feeding(broker.port) as feeder:
        broker.say(garbage)
        await eventually(lambda: feeder.target.counters.connections == 2)
        assert await feeder.deliver(publication(1)) == [DELIVERED]


async def test_goodbye_is_said_on_close() -> None:
    async with ScriptedBroker() as broker:
        async with feeding(broker.port):
            pass
        await eventually(lambda: broker.goodbyes == 1)


def test_the_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    backoff = mqtt_session.Backoff()
    longest = [backoff.next(slow=False) for _ in range(2000)]
    assert longest[:3] == [1.0, 1.5, 2.25]
    assert max(longest) == 60.0
    backoff.reset()
    slow = [backoff.next(slow=True) for _ in range(2000)]
    assert slow[:5] == [30.0, 60.0, 120.0, 240.0, 300.0]
    assert max(slow) == 300.0
