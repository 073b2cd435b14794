"""Rates of routes, through daemon and broker: what is too much waits in order, or is a dead letter."""

import asyncio
import json
import time
from pathlib import Path

from tests.support.cli import run
from tests.support.mosquitto import Broker, Collector, Received
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.waiting import eventually, eventually_async

WEBHOOKS = 30
LIMIT, BURST = 20, 5
"""In a second, and at once."""
WAIT = f"limit: {LIMIT}, burst: {BURST}"
DEAD = "limit: 5, per: 1h, excess: dead"
JITTER = 3.0
"""Messages that the way through broker and subscriber may bring nearer to each other."""


class Timed(list[Received]):
    """Messages, and when each of them came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, message: Received) -> None:
        self.times.append(time.monotonic())
        super().append(message)


def routing(relay: ScriptedRelay, broker: Broker, rate: str) -> str:
    return (
        f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
        f"brokers: {{home: {{url: 'mqtt://127.0.0.1:{broker.port}'}}}}\n"
        "routes:\n"
        f"  - {{name: ring, match: {{bucket: doorbell}}, rate: {{{rate}}}, send: [{{mqtt: ring}}]}}\n"
        "  - {name: log, match: {bucket: doorbell}, send: [{mqtt: log}]}\n"
    )


def bodies(seen: Collector, topic: str) -> list[int]:
    return [int(message.payload) for message in seen.messages if message.topic == topic]


async def flood(relay: ScriptedRelay) -> None:
    await relay.send(*(a_webhook(number, body=str(number)) for number in range(WEBHOOKS)))


async def settled(bridge: BridgeProcess) -> dict[str, int]:
    """The counts of the route with a rate, as soon as nothing is owed any more."""

    async def done() -> dict[str, int] | None:
        status = await bridge.ask("status")
        conserved(status)
        owed = sum(target["pending"] for target in status["targets"].values())
        route: dict[str, int] = status["routes"].get("ring", {})
        return None if owed or status["counters"]["webhooks"] < WEBHOOKS else route

    route = await eventually_async(done, 20)
    assert route is not None
    return route


async def test_a_burst_arrives_whole_in_order_and_no_faster_than_the_rate(tmp_path: Path) -> None:
    async with (
        scripted_relay() as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, messages=(arrived := Timed())) as seen,
        BridgeProcess(tmp_path / "bridge", routing(relay, broker, WAIT)) as bridge,
    ):
        await flood(relay)
        await eventually(lambda: len(bodies(seen, "ring")) >= 2 * BURST)
        assert len(bodies(seen, "log")) == WEBHOOKS, "what has no rate does not wait"
        # A reload in between lets nothing through that would have had to wait.
        bridge.file.write_text(routing(relay, broker, WAIT) + "node: other\n")
        counts = await settled(bridge)
        assert await bridge.stop() == 0
    assert bodies(seen, "ring") == bodies(seen, "log") == list(range(WEBHOOKS))
    assert WEBHOOKS - BURST - JITTER <= counts["limited"] <= WEBHOOKS - BURST
    times = [at for at, message in zip(arrived.times, arrived, strict=True) if message.topic == "ring"]
    for first in range(WEBHOOKS):
        for last in range(first, WEBHOOKS):
            assert last - first + 1 <= BURST + (times[last] - times[first]) * LIMIT + JITTER
    assert times[-1] - times[0] >= (WEBHOOKS - BURST - JITTER) / LIMIT


async def test_what_waits_outlives_the_process(tmp_path: Path) -> None:
    async with (
        scripted_relay() as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "ring", messages=(arrived := Timed())) as seen,
        BridgeProcess(tmp_path / "bridge", routing(relay, broker, WAIT)) as bridge,
    ):
        await flood(relay)
        await eventually(lambda: len(arrived) >= 2 * BURST)

        async def is_durable() -> bool:
            journal: dict[str, int] = (await bridge.ask("status"))["journal"]
            return journal["unsaved"] == 0 and len(arrived) < WEBHOOKS

        await eventually_async(is_durable)
        await bridge.kill()
        before = len(arrived)
        await bridge.start()
        await eventually(lambda: len(set(bodies(seen, "ring"))) == WEBHOOKS)
        assert await bridge.stop() == 0
    again = arrived.times[before:]
    assert list(dict.fromkeys(bodies(seen, "ring"))) == list(range(WEBHOOKS))
    assert again[-1] - again[0] >= (len(again) - BURST - JITTER) / LIMIT, "no flood after the start"


async def test_too_many_become_dead_letters_and_can_be_tried_again(tmp_path: Path) -> None:
    async with (
        scripted_relay() as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port) as seen,
        BridgeProcess(
            tmp_path / "bridge", routing(relay, broker, "limit: 5, per: 1h, excess: dead")
        ) as bridge,
    ):
        await flood(relay)
        counts = await settled(bridge)
        folder = str(bridge.folder / "run")
        listed = await asyncio.to_thread(
            run, "dead", "list", "--format", "json", "--code", "rate", RUNTIME_DIRECTORY=folder
        )
        letters = [json.loads(line) for line in listed.out.splitlines()]
        assert bodies(seen, "ring") == list(range(5))
        assert bodies(seen, "log") == list(range(WEBHOOKS))
        assert len(letters) == counts["limited"] == counts["dead"] == WEBHOOKS - 5
        assert {letter["route"] for letter in letters} == {"ring"}
        retried = await asyncio.to_thread(run, "dead", "retry", "--all", RUNTIME_DIRECTORY=folder)
        assert retried.status == 0, retried.err
        await eventually(lambda: bodies(seen, "ring") == list(range(WEBHOOKS)))
        assert await bridge.stop() == 0
