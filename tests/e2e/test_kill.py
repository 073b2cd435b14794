"""The power goes: what was accepted and not delivered is delivered after the restart."""

import json
from pathlib import Path

from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually_async

PENDING = 1000


async def test_a_thousand_pending_webhooks_survive_kill_9_with_the_broker_down(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    async with running_relay("doorbell") as relay, sender() as session:
        routing = relay_section(relay) + (
            f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
            "routes: [{name: ring, match: {bucket: doorbell}, send: [{mqtt: home/ring}]}]\n"
        )
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:
            url = relay.webhook_url("doorbell")
            for n in range(PENDING):
                await post(session, url, b'{"n": %d}' % n)

            async def pending() -> int:
                return int((await bridge.ask("status"))["targets"]["mqtt:home"]["pending"])

            async def all_are_accepted() -> bool:
                status = await bridge.ask("status")
                return await pending() == PENDING and status["journal"]["unsaved"] == 0

            await eventually_async(all_are_accepted)
            await bridge.kill()
            async with broker, Collector(broker.port, "#", qos=1) as seen:
                await bridge.start()
                await seen.wait(PENDING)
                numbers = [json.loads(payload)["n"] for payload in seen.payloads]
                assert numbers[:PENDING] == list(range(PENDING))

                async def none_is_left() -> bool:
                    return await pending() == 0

                await eventually_async(none_is_left)
                status = await bridge.ask("status")
                conserved(status)
                assert await bridge.stop() == 0
