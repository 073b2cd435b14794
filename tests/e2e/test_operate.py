"""An operator at the running bridge: watching webhooks, sending some, and having some sent again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bridge.selfhosted.server import SelfHostedRelay
from tests.support.cli import ESCAPE, Done, run, running
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess
from tests.support.relays import post, relay_section, running_relay, sender

ROUTING = """
brokers: {{home: {{url: "mqtt://127.0.0.1:{broker}"}}}}
routes:
  - name: ring
    match: {{bucket: doorbell}}
    send: [{{mqtt: "home/{{{{ body.door }}}}"}}]
  - name: order
    match: {{bucket: shop}}
    dedupe: "{{{{ body.n }}}}"
    send: [{{mqtt: shop/orders}}]
"""


@dataclass
class Rig:
    """The whole chain."""

    relay: SelfHostedRelay
    seen: Collector
    bridge: BridgeProcess
    session: aiohttp.ClientSession

    async def post(self, bucket: str, body: str) -> None:
        assert await post(self.session, self.relay.webhook_url(bucket), body.encode()) == 200

    async def command(self, *arguments: str | Path, stdin: bytes = b"") -> Done:
        runtime = str(self.bridge.folder / "run")
        return await asyncio.to_thread(run, *arguments, stdin=stdin, RUNTIME_DIRECTORY=runtime)


@asynccontextmanager
async def running_rig(folder: Path) -> AsyncIterator[Rig]:
    async with (
        running_relay("doorbell", "shop") as relay,
        Broker(folder) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        sender() as session,
        BridgeProcess(folder / "bridge", relay_section(relay) + ROUTING.format(broker=broker.port)) as bridge,
    ):
        yield Rig(relay, seen, bridge, session)


async def test_tail_shows_what_comes_as_it_comes(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        await rig.post("doorbell", '{"door": "front"}')
        await rig.seen.wait(1)
        runtime = str(rig.bridge.folder / "run")
        for folder in ("text", "json"):
            (tmp_path / folder).mkdir()
        async with (
            running(tmp_path / "text", "tail", "-n", "1", RUNTIME_DIRECTORY=runtime) as text,
            running(
                tmp_path / "json",
                *("tail", "-n", "1", "--route", "ring", "--format", "json"),
                RUNTIME_DIRECTORY=runtime,
            ) as lines,
        ):
            await text.says(" delivered in ")
            await lines.says("home/front")
            await rig.post("shop", '{"n": 1}')
            await rig.post("shop", '{"n": 1}')
            await rig.post("doorbell", '{"door": "\\u001b[2J\\u009b"}')
            await lines.says('"number": 4')
            shown = await text.says("      4  doorbell POST / -> ring  delivered in ")
            assert "      2  shop POST / -> order  delivered in " in shown
            assert "      3  shop POST / -> order  duplicate" in shown
            found = [json.loads(line) for line in lines.text.splitlines()]
            assert [one["number"] for one in found] == [1, 4]
            assert all(one["outcome"] == "delivered" for one in found)
            assert not {ESCAPE, "\x9b"} & set(text.text + lines.text)
            assert await rig.bridge.stop() == 0
            assert await text.ended() == 69
            assert "relay-bridge: the daemon has stopped\n" in text.text
