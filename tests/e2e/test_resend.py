"""A relay that sends again what it sent before, also to a bridge that was killed in between."""

from pathlib import Path

from bridge.webhook import Webhook
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.waiting import eventually_async

COUNT = 50
# What the bridge writes now and then is written in the time that a test has.
SOON = "from bridge.journal.writer import DELAYS, Haste\nDELAYS[Haste.LAZY] = 1.0\n"


def routing(relay: ScriptedRelay, broker: Broker, linger: str = "20ms") -> str:
    return (
        f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
        f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
        f"journal: {{linger: {linger}}}\n"
        "routes:\n"
        "  - {name: ring, match: {bucket: doorbell}, send: [{mqtt: ring}]}\n"
        '  - {name: once, match: {bucket: doorbell}, dedupe: "{{ body.delivery }}", send: [{mqtt: once}]}\n'
    )


def webhooks() -> list[Webhook]:
    """Pairs of webhooks with the same body."""
    return [a_webhook(number, body=f'{{"delivery": {number // 2}}}') for number in range(COUNT)]


async def settled(bridge: BridgeProcess) -> bool:
    targets = (await bridge.ask("status"))["targets"]
    return not any(target["pending"] for target in targets.values())


async def counters(bridge: BridgeProcess) -> dict[str, int]:
    found: dict[str, int] = (await bridge.ask("status"))["counters"]
    return found


async def test_what_was_delivered_long_before_a_kill_is_not_delivered_again(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SOON)
    async with (
        scripted_relay() as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        BridgeProcess(
            tmp_path / "bridge", routing(relay, broker, linger="10s"), PYTHONPATH=str(site)
        ) as bridge,
    ):
        await relay.send(*webhooks())
        await seen.wait(COUNT + COUNT // 2)

        await eventually_async(lambda: settled(bridge))
        # Deliveries are noted now and then; the note of one more comes with those of all before it.
        before = (await bridge.ask("status"))["journal"]["commits"]
        await relay.send(a_webhook(COUNT, body='{"delivery": "last"}'))

        async def noted() -> bool:
            return bool((await bridge.ask("status"))["journal"]["commits"] > before)

        await eventually_async(noted)
        await bridge.kill()
        await bridge.start()
        await relay.send(*webhooks(), a_webhook(COUNT + 1, body='{"delivery": 0}'))

        async def all_came() -> bool:
            return (await counters(bridge))["webhooks"] == COUNT + 1

        await eventually_async(all_came)
        await seen.wait(COUNT + COUNT // 2 + 3)
        status = await bridge.ask("status")
        assert status["counters"]["duplicates"] == COUNT
        assert status["routes"]["once"]["duplicates"] == COUNT + 1
        assert status["targets"]["mqtt:home"]["accepted"] == 1
        conserved(status)
        assert await bridge.stop() == 0
    topics = [message.topic for message in seen.messages]
    assert (topics.count("ring"), topics.count("once")) == (COUNT + 2, COUNT // 2 + 1)


async def test_what_is_pending_at_a_kill_is_delivered_once_though_the_relay_sends_it_again(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path)
    async with (
        scripted_relay() as relay,
        BridgeProcess(tmp_path / "bridge", routing(relay, broker)) as bridge,
    ):
        await relay.send(*webhooks())

        async def durable() -> bool:
            status = await bridge.ask("status")
            return bool(status["counters"]["webhooks"] == COUNT and status["journal"]["unsaved"] == 0)

        await eventually_async(durable)
        await bridge.kill()
        await bridge.start()
        await relay.send(*webhooks())
        async with broker, Collector(broker.port, "#", qos=1) as seen:
            await seen.wait(COUNT + COUNT // 2)

            await eventually_async(lambda: settled(bridge))
            status = await bridge.ask("status")
            assert status["counters"]["duplicates"] == COUNT
            conserved(status)
            assert await bridge.stop() == 0
            assert len(seen.messages) == COUNT + COUNT // 2
