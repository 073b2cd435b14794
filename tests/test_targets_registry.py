"""Targets come, change and go with the routing file, at a real broker and a real service."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.config.model import BrokerSettings, ServiceSettings
from bridge.errors import ConfigError
from bridge.message import DELIVERED, Delivered, Delivery, Failure
from bridge.targets.http import HttpTarget
from bridge.targets.mqtt import MqttTarget
from bridge.targets.registry import Registry, make_target
from tests.support.deliveries import delivery
from tests.support.http import (
    RawServer,
    Recorder,
    Script,
    make_delivery,
    raw_server,
    recording_server,
    result_of,
)
from tests.support.mosquitto import Broker, Collector
from tests.support.waiting import eventually

SERVICE = ServiceSettings("shop", "http://127.0.0.1:1")


@asynccontextmanager
async def registered() -> AsyncIterator[tuple[Registry, Recorder]]:
    recorder = Recorder()
    registry = Registry(recorder, "pi")
    yield registry, recorder
    await registry.close(1.0)


async def send(registry: Registry, recorder: Recorder, one: Delivery) -> None:
    """Send by the current target once it is up."""
    (target,) = registry
    await eventually(target.capacity)
    target.send(one)
    assert isinstance(await result_of(recorder, one), Delivered)


@pytest.mark.parametrize(
    ("settings", "kind"), [(BrokerSettings("home"), MqttTarget), (SERVICE, HttpTarget)], ids=["mqtt", "http"]
)
def test_settings_make_their_target(settings: BrokerSettings | ServiceSettings, kind: type) -> None:
    target = make_target(settings, Recorder(), "pi")
    assert isinstance(target, kind)
    assert target.name == settings.target


async def test_what_did_not_change_is_kept() -> None:
    async with registered() as (registry, _):
        wanted = {SERVICE.target: SERVICE}
        first = registry.use(wanted)[SERVICE.target]
        other = replace(SERVICE, name="other")
        again = registry.use({SERVICE.target: replace(SERVICE), other.target: other})
        assert again[SERVICE.target] is first
        assert {target.name for target in registry} == {"http:shop", "http:other"}


async def test_what_is_no_longer_named_stays_until_it_is_dropped() -> None:
    async with registered() as (registry, _):
        target = registry.use({SERVICE.target: SERVICE})[SERVICE.target]
        await eventually(target.capacity)
        assert registry.use({}) == {}
        assert target.capacity() > 0
        assert registry.use({SERVICE.target: SERVICE})[SERVICE.target] is target
        registry.drop([target])
        await eventually(lambda: target.capacity() == 0)
        assert list(registry) == []
        registry.drop([target])


async def test_a_changed_broker_is_left_before_it_is_entered_again(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, Collector(broker.port) as seen, registered() as (registry, told):
        settings = BrokerSettings("home", port=broker.port)
        registry.use({settings.target: settings})
        await send(registry, told, delivery(1))
        for n in range(2, 7):  # some of them before the one before was up
            settings = replace(settings, keepalive=30 + n)
            registry.use({settings.target: settings})
        await send(registry, told, delivery(2))
        await seen.wait(2)
        assert "already connected" not in broker.log
        assert broker.log.count("as relay-bridge-pi-home") == 2


async def test_a_dropped_broker_that_comes_back_does_not_throw_itself_out(tmp_path: Path) -> None:
    async with Broker(tmp_path) as broker, registered() as (registry, told):
        settings = BrokerSettings("home", port=broker.port)
        for n in range(1, 6):
            registry.use({settings.target: settings})
            await send(registry, told, delivery(n))
            registry.drop(list(registry))
        registry.use({settings.target: settings})
        await send(registry, told, delivery(9))
        assert "already connected" not in broker.log


async def test_what_is_in_flight_finishes_when_its_target_changes() -> None:
    async with recording_server() as server, registered() as (registry, told):
        server.gate.clear()
        settings = replace(SERVICE, url=server.url)
        old = registry.use({settings.target: settings})[settings.target]
        await eventually(old.capacity)
        slow = make_delivery(f"{server.url}/slow")
        old.send(slow)
        await eventually(lambda: server.requests)
        registry.use({settings.target: replace(settings, timeout=1.0)})
        assert not told.results
        server.gate.set()
        assert await result_of(told, slow) == DELIVERED


async def test_settings_that_can_not_be_used_change_nothing(tmp_path: Path) -> None:
    async with registered() as (registry, _):
        target = registry.use({SERVICE.target: SERVICE})[SERVICE.target]
        await eventually(target.capacity)
        changed = replace(SERVICE, timeout=3.0)
        broken = replace(SERVICE, name="broken", ca=tmp_path / "no-such-ca.pem")
        with pytest.raises(ConfigError):
            registry.use({changed.target: changed, broken.target: broken})
        assert list(registry) == [target]
        assert target.capacity() > 0


def never_answering(raw: RawServer) -> Script:
    async def follow(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await raw.receive(reader)
        await reader.read()  # until the client has enough of it

    return follow


async def test_closing_waits_no_longer_than_it_may() -> None:
    async with raw_server(never_answering) as server:
        recorder = Recorder()
        registry = Registry(recorder, "pi")
        settings = replace(SERVICE, url=server.url)
        target = registry.use({settings.target: settings})[settings.target]
        await eventually(target.capacity)
        hanging = make_delivery(f"{server.url}/hang")
        target.send(hanging)
        await eventually(lambda: server.requests)
        began = time.monotonic()
        await registry.close(0.1)
        assert time.monotonic() - began < 2
        result = await result_of(recorder, hanging)
        assert isinstance(result, Failure)
        assert result.code == "stopped"
