"""The client for status: retained topics come back, events are news, and nothing grows without a limit."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.config.model import BrokerSettings
from bridge.home import publisher as module
from bridge.home.publisher import MOST_EVENTS, WINDOW, Publisher
from tests.support.mosquitto import Broker, Collector, free_port
from tests.support.mqtt import HANG_UP, Publish, ScriptedBroker, connack, puback
from tests.support.waiting import eventually


class Taken(list[tuple[str, bytes, bool]]):
    """What a publisher was sent."""

    def __call__(self, topic: str, payload: bytes, retained: bool) -> None:  # the publisher's signature
        self.append((topic, payload, retained))


@asynccontextmanager
async def publishing(
    port: int, *, up: bool = True, take: Taken | None = None, **more: Any
) -> AsyncIterator[Publisher]:
    settings = BrokerSettings("home", port=port, **more.pop("settings", {}))
    publisher = Publisher(
        settings, "relay-bridge-pi-home-status", take or Taken(), filters=more.pop("filters", {}), **more
    )
    publisher.start()
    try:
        if up:
            await eventually(lambda: publisher.state.name == "up")
        yield publisher
    finally:
        await publisher.close()


async def test_the_newest_value_is_retained_and_a_repeated_one_is_not_sent(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        publishing(broker.port) as publisher,
    ):
        for payload in (b'{"a":1}', b'{"a":1}', b'{"a":2}'):
            publisher.retain("pi/health", payload)
            await publisher.settled(5)
        assert [one.payload for one in await seen.wait(2)] == [b'{"a":1}', b'{"a":2}']
        async with Collector(broker.port) as fresh:
            (message,) = await fresh.wait(1)
        assert (message.payload, message.retain, message.qos) == (b'{"a":2}', True, 1)
        assert (message.content_type, message.payload_format) == ("application/json", 1)


async def test_what_was_set_before_the_connection_is_told_by_it(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen:
        async with publishing(broker.port, up=False) as publisher:
            publisher.retain("pi/status", b"online")
            publisher.send("pi/event/a", b"{}")
            assert await publisher.settled(10)
        assert [(one.topic, one.content_type) for one in await seen.wait(2)] == [
            ("pi/status", "text/plain"),
            ("pi/event/a", "application/json"),
        ]


async def test_a_broker_that_lost_everything_is_told_everything(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, publishing(broker.port) as publisher:
        publisher.retain("pi/status", b"online")
        publisher.retain("pi/old", b"")
        assert await publisher.settled(5)
        await broker.stop(signal.SIGKILL)
        await eventually(lambda: publisher.state.name == "down")
        publisher.retain("pi/health", b"{}")
        await broker.start()
        assert await publisher.settled(20)
        async with Collector(broker.port) as fresh:
            await fresh.wait(2)
        assert {one.topic for one in fresh.messages} == {"pi/status", "pi/health"}


async def test_the_will_comes_when_the_connection_breaks_and_not_when_it_is_closed(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen:
        async with publishing(broker.port, will=("pi/status", b"offline")):
            pass
        # The second client, with the same ID, throws the first one out.
        async with publishing(broker.port, will=("pi/status", b"offline")), publishing(broker.port):
            await seen.wait(1)
        assert [(one.topic, one.payload) for one in seen.messages] == [("pi/status", b"offline")]


async def test_old_events_are_not_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENT_SECONDS", 0.05)
    broker = Broker(tmp_path)
    async with publishing(broker.port, up=False) as publisher:
        publisher.send("pi/event/a", b'{"n":1}')
        await asyncio.sleep(0.1)
        async with broker, Collector(broker.port, "#") as seen:
            await eventually(lambda: publisher.state.name == "up", 20)
            publisher.send("pi/event/a", b'{"n":2}')
            await seen.wait(1)
            assert seen.payloads == [b'{"n":2}']
    assert publisher.dropped == 1


async def test_events_without_a_broker_take_bounded_memory() -> None:
    async with publishing(free_port(), up=False) as publisher:
        for number in range(10 * MOST_EVENTS):
            publisher.send("pi/event/a", b"%d" % number)
        assert publisher.dropped == 9 * MOST_EVENTS
        assert not await publisher.settled(0.01)


async def test_a_slow_broker_gets_a_window_and_then_the_newest_values() -> None:
    held: list[Publish] = []

    def hold(publish: Publish) -> bytes | None:
        held.append(publish)
        return None

    async with ScriptedBroker(hold) as broker, publishing(broker.port) as publisher:
        for number in range(100):
            publisher.retain(f"pi/{number % 20}", b"%d" % number)
        await eventually(lambda: len(held) >= WINDOW)
        await asyncio.sleep(0.05)
        assert len(held) == WINDOW
        broker.answer = puback
        for publish in held:
            broker.say(puback(publish))
        assert await publisher.settled(5)
        # 16 of the first values, and of all topics the last one, once.
        assert len(broker.publishes) == WINDOW + 20


async def test_receive_maximum_is_kept() -> None:
    held: list[Publish] = []

    def hold(publish: Publish) -> None:
        held.append(publish)

    greeting = connack(properties=bytes((0x21, 0, 3)))
    async with ScriptedBroker(hold, lambda _: greeting) as broker, publishing(broker.port) as publisher:
        for number in range(10):
            publisher.retain(f"pi/{number}", b"x")
        await eventually(lambda: len(held) == 3)
        await asyncio.sleep(0.05)
        assert len(held) == 3


async def test_what_is_subscribed_to_is_taken_also_on_the_next_connection(tmp_path: Path) -> None:
    taken = Taken()
    async with (
        Broker(tmp_path) as broker,
        publishing(broker.port) as other,
    ):
        other.retain("pi/request/a", b"old")
        assert await other.settled(5)
        settings = BrokerSettings("home", port=broker.port)
        own = Publisher(settings, "own", taken, filters={"pi/request/+": False, "pi/+/a": True})
        own.start()
        await eventually(lambda: taken == [("pi/request/a", b"old", True)])
        await broker.stop()
        await broker.start()
        await eventually(lambda: own.state.name == other.state.name == "up", 20)
        assert await own.settled(10)
        other.send("pi/request/b", b"new")
        await eventually(lambda: ("pi/request/b", b"new", False) in taken)
        await own.close()


# With no limit to its queue, Mosquitto 2.0 ends the connection over a topic that it refuses.
@pytest.mark.parametrize("queued", [0, 1000])
async def test_a_refused_topic_is_said_once_and_keeps_nothing_else_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, queued: int
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write pi/#\n")
    acl.chmod(0o600)
    broker = Broker(tmp_path, f"acl_file {acl}", f"max_queued_messages {queued}")
    async with broker, publishing(broker.port) as publisher:
        for topic in ("pi/a", "other/a", "other/b", "pi/b"):
            publisher.retain(topic, b"x")
        for _ in range(3):
            assert await publisher.settled(20)
            publisher.repeat()
        publisher.retain("other/a", b"y")
        assert await publisher.settled(20)
        assert publisher.state.name == "up"
    said = [record.getMessage() for record in caplog.records if "published" in record.message]
    assert said == [
        f"status on mqtt:home: {topic} can't be published: Not authorized" for topic in ("other/a", "other/b")
    ]


async def test_a_topic_over_which_the_broker_only_hangs_up_keeps_nothing_else_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(publish: Publish) -> bytes:
        return HANG_UP if publish.topic.startswith("bad/") else puback(publish)

    async with ScriptedBroker(answer) as broker, publishing(broker.port) as publisher:
        for topic in ("pi/a", "bad/a", "pi/b"):
            publisher.retain(topic, b"x")
        assert await publisher.settled(20)
        assert broker.publishes[-1].topic == "pi/b"
        lasting = broker.connections
        publisher.repeat()
        assert await publisher.settled(5)
        assert broker.connections == lasting
    said = [record.getMessage() for record in caplog.records if "published" in record.message]
    assert said == ["status on mqtt:home: bad/a can't be published: the broker ended connections over it"]


async def test_a_broker_that_hangs_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACKNOWLEDGE_SECONDS", 0.05)

    def answer(publish: Publish) -> bytes | None:
        return puback(publish) if publish.connection > 2 else None

    async with ScriptedBroker(answer) as broker, publishing(broker.port) as publisher:
        publisher.retain("pi/status", b"online")
        assert await publisher.settled(20)
        assert broker.publishes[-1].connection == 3


async def test_mqtt_3_1_1_does_too(tmp_path: Path) -> None:
    old = {"protocol": "3.1.1"}
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen:
        async with publishing(broker.port, settings=old, will=("pi/status", b"offline")) as publisher:
            publisher.retain("pi/status", b"online")
            publisher.send("pi/event/a", b"{}")
            assert await publisher.settled(5)
        await seen.wait(2)
        assert seen.payloads == [b"online", b"{}"]
