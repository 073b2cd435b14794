"""Three bridges in one group, of which one dies."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from bridge.selfhosted.resources import Bucket
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess
from tests.support.relays import KEY, SECRET, post, running_relay, sender
from tests.support.waiting import eventually

BUCKET = Bucket.named("doorbell")


def routing(relay: SelfHostedRelay, broker: Broker, number: int) -> str:
    return (
        f"node: pi-{number}\n"
        f"relay: {{url: '{relay.socket_url}', key: {KEY}, secret: {SECRET}, group: house}}\n"
        f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
        "routes: [{name: ring, match: {bucket: doorbell}, send: [{mqtt: ring}]}]\n"
    )


async def send(relay: SelfHostedRelay, numbers: range) -> None:
    async with sender() as session:
        for number in numbers:
            assert await post(session, relay.webhook_url("doorbell"), b"%d" % number) == 200


async def taken(bridges: list[BridgeProcess]) -> list[int]:
    """How many webhooks each has had."""
    answers = await asyncio.gather(*(one.ask("status") for one in bridges))
    return [answer["counters"]["webhooks"] for answer in answers]


async def test_each_webhook_comes_once_though_a_member_dies_with_its_part(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell") as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "ring", qos=1) as seen,
        AsyncExitStack() as stack,
    ):
        bridges = [
            BridgeProcess(tmp_path / f"bridge-{number}", routing(relay, broker, number))
            for number in range(3)
        ]
        await asyncio.gather(*(stack.enter_async_context(one) for one in bridges))
        await send(relay, range(30))
        await seen.wait(30)
        await eventually(lambda: relay.hub.reached(BUCKET.id) == 30)  # all is acknowledged
        assert await taken(bridges) == [10, 10, 10]

        victim, *others = bridges
        os.kill(victim.pid, signal.SIGSTOP)  # so that it delivers nothing of what it is given now
        await send(relay, range(30, 60))
        await seen.wait(50)
        assert await taken(others) == [20, 20]
        await victim.kill()
        await seen.wait(60)

        await eventually(lambda: relay.hub.reached(BUCKET.id) == 60)
        assert await taken(others) == [25, 25]
        for other in others:
            assert await other.stop() == 0
    assert Counter(message.payload for message in seen.messages) == {b"%d" % one: 1 for one in range(60)}
    assert "no groups" not in "".join(bridge.log_text() for bridge in bridges)
