"""Nothing is lost while bridge or relay are away or killed: by the relay's log, and by acknowledgements."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Limits, Settings, Token, derived_id
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.mosquitto import Broker, Collector, free_port
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import KEY, SECRET, post, sender
from tests.support.waiting import eventually, eventually_async

ROUTES = """
routes:
  - name: ring
    match: {bucket: doorbell}
    send: [{mqtt: home/ring, format: envelope}]
"""
FORGETFUL = Limits(history_age=0.0)
"""A relay that sends nothing again by itself, as one does that was away for longer than its history."""
INPUT = derived_id("doorbell", "Default public endpoint")


@asynccontextmanager
async def relay_on(
    port: int, state: Path | None, limits: Limits = FORGETFUL
) -> AsyncIterator[SelfHostedRelay]:
    token = Token(KEY, Secret(SECRET))
    settings = Settings((token,), (Bucket.named("doorbell"),), limits=limits, state=state)
    relay = SelfHostedRelay(settings, port=port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()


def routing(port: int, broker: Broker, more: str = "") -> str:
    relay = f"relay: {{url: 'ws://127.0.0.1:{port}/v1/socket', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
    return relay + f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n' + ROUTES + more


async def ring(session: aiohttp.ClientSession, port: int, *numbers: int) -> None:
    for number in numbers:
        url = f"http://127.0.0.1:{port}/v1/webhooks/{INPUT}"
        assert await post(session, url, b'{"n": %d}' % number) == 200


def numbers_of(seen: Collector) -> list[int]:
    return [json.loads(payload)["body"]["n"] for payload in seen.payloads]


def has(seen: Collector, count: int) -> bool:
    """Whether so many different ones arrived."""
    return len(set(numbers_of(seen))) >= count


def late_ones(seen: Collector) -> set[int]:
    """Those that say so in the envelope, which must be those that say so in their user properties."""
    in_envelope = {json.loads(m.payload)["body"]["n"] for m in seen.messages if json.loads(m.payload)["late"]}
    marked = {json.loads(m.payload)["body"]["n"] for m in seen.messages if ("late", "true") in m.user}
    assert in_envelope == marked
    return marked


async def filled(bridge: BridgeProcess) -> None:
    await eventually(lambda: "missed webhooks between" in bridge.log_text())


async def test_what_came_while_the_bridge_was_away_arrives_once_in_order_and_marked(tmp_path: Path) -> None:
    port = free_port()
    async with Broker(tmp_path) as broker, Collector(broker.port, qos=1) as seen, sender() as session:
        bridge = BridgeProcess(tmp_path / "bridge", routing(port, broker))
        async with relay_on(port, tmp_path / "relay"):
            async with bridge:
                await ring(session, port, *range(5))
                await seen.wait(5)
                assert await bridge.stop() == 0
            await ring(session, port, *range(5, 140))
        async with relay_on(port, tmp_path / "relay"):
            await ring(session, port, 140)
            async with bridge:
                await ring(session, port, 141)
                await filled(bridge)
                await seen.wait(142)
                status = await bridge.ask("status")
                assert await bridge.stop() == 0
    numbers = numbers_of(seen)
    assert sorted(numbers) == list(range(142))
    assert [n for n in numbers if n != 141] == list(range(141))
    assert late_ones(seen) == set(range(5, 141))
    assert "found 136 missed webhooks" in bridge.log_text()
    assert SECRET not in bridge.log_text()
    conserved(status)


async def test_a_connection_that_breaks_is_filled_up_too(tmp_path: Path) -> None:
    port = free_port()
    async with (
        AsyncExitStack() as relays,
        Broker(tmp_path) as broker,
        Collector(broker.port, qos=1) as seen,
        sender() as session,
    ):
        await relays.enter_async_context(relay_on(port, tmp_path / "relay"))
        async with BridgeProcess(tmp_path / "bridge", routing(port, broker)) as bridge:
            await ring(session, port, 0)
            await seen.wait(1)
            await relays.aclose()
            only_one = replace(FORGETFUL, connections=1)
            relay = await relays.enter_async_context(relay_on(port, tmp_path / "relay", only_one))
            # Somebody else takes the only place, so that the bridge stays out for a while.
            async with session.ws_connect(relay.socket_url):
                await ring(session, port, 1, 2, 3)
            await seen.wait(4, 30)
            assert await bridge.stop() == 0
    assert numbers_of(seen) == [0, 1, 2, 3]


async def test_kill_9_of_the_bridge_loses_nothing_that_the_log_has(tmp_path: Path) -> None:
    port = free_port()
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port, qos=1) as seen,
        sender() as session,
        relay_on(port, tmp_path / "relay"),
        BridgeProcess(tmp_path / "bridge", routing(port, broker)) as bridge,
    ):
        for start in range(0, 150, 50):
            sending = asyncio.create_task(ring(session, port, *range(start, start + 50)))
            await eventually(partial(has, seen, start + 10))
            await bridge.kill()
            await sending
            await bridge.start()
            await eventually(partial(has, seen, start + 50))
        await bridge.stop()
    assert set(numbers_of(seen)) == set(range(150))


async def test_acknowledged_webhooks_survive_kill_9_without_any_log(tmp_path: Path) -> None:
    port = free_port()
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port, qos=1) as seen,
        sender() as session,
        relay_on(port, None, Limits(history_age=600.0)),
    ):
        text = routing(port, broker, "gaps: {fill: false}\n")
        async with BridgeProcess(tmp_path / "bridge", text) as bridge:
            for start in range(0, 300, 100):
                sending = asyncio.create_task(ring(session, port, *range(start, start + 100)))
                await eventually(partial(has, seen, start + 20))
                await bridge.kill()
                await sending
                await bridge.start()
                await eventually(partial(has, seen, start + 100))
            await bridge.stop()
    assert set(numbers_of(seen)) == set(range(300))
    assert late_ones(seen) == set()


async def test_what_is_not_accepted_yet_is_not_acknowledged(tmp_path: Path) -> None:
    """With a journal that waits for long, an unreachable broker, and a kill, only the relay still has it."""
    port = free_port()
    broker = Broker(tmp_path)
    async with sender() as session, relay_on(port, None, Limits(history_age=600.0, confirm=0.01)) as relay:
        text = routing(port, broker, "gaps: {fill: false}\njournal: {linger: 10s}\n")
        async with BridgeProcess(tmp_path / "bridge", text) as bridge:
            await ring(session, port, *range(20))

            async def are_there() -> bool:
                return bool((await bridge.ask("status"))["counters"]["webhooks"] == 20)

            await eventually_async(are_there)
            await bridge.kill()
            await eventually(lambda: relay.subscribers == 0)
            async with broker, Collector(broker.port, qos=1) as seen:
                await bridge.start()
                await seen.wait(20)
                assert numbers_of(seen) == list(range(20))
                await bridge.stop()


async def test_kill_9_of_the_relay_loses_nothing_that_it_said_200_to(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "relay.yaml"
    file.write_text(
        f"listen: 127.0.0.1:{port}\nstate: {tmp_path / 'state'}\n"
        f"tokens: {{{KEY}: {SECRET}}}\nbuckets: {{doorbell: }}\n"
    )

    async def started() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", "relay", "-c", str(file), stderr=asyncio.subprocess.DEVNULL
        )
        await eventually_async(answers)
        return process

    async def answers() -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async with Broker(tmp_path) as broker, Collector(broker.port, qos=1) as seen, sender() as session:
        relay = await started()
        try:
            await ring(session, port, *range(50))
            relay.kill()
            await relay.wait()
            relay = await started()
            async with BridgeProcess(tmp_path / "bridge", routing(port, broker)) as bridge:
                await seen.wait(50)
                await bridge.stop()
        finally:
            relay.kill()
            await relay.wait()
    assert sorted(set(numbers_of(seen))) == list(range(50))
