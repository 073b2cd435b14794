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


async def test_send_takes_the_whole_way_and_tells_its_end(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        done = await rig.command("send", "--sample", "doorbell")
        assert (done.status, done.err) == (0, "the relay answered 200\n")
        assert "doorbell POST / -> ring  delivered in " in done.out
        hostile = b'{bucket: shop, path: "/\\e[2J", body: {n: 1}}'
        done = await rig.command("send", "-", stdin=hostile)
        assert done.status == 0
        assert r"shop POST /%1B%5B2J -> order  delivered in " in done.out
        done = await rig.command("send", "-", stdin=hostile)
        assert "  duplicate" in done.out, "the route deduplicates, whoever sends"
        await rig.seen.wait(2)
        assert [(one.topic, one.payload) for one in rig.seen.messages] == [
            ("home/front", b'{"event": "ring", "door": "front"}'),
            ("shop/orders", b'{"n":1}'),
        ]
        counters = (await rig.bridge.ask("status"))["counters"]
        assert (counters["webhooks"], counters["duplicates"]) == (3, 1)


async def test_send_local_needs_no_relay(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        await rig.relay.close()
        done = await rig.command(
            "send", "-", "--local", stdin=b'{bucket: doorbell, path: "/\\e[2J", body: {door: "\\e"}}'
        )
        assert done.status == 0
        assert r"doorbell POST /\x1b[2J (local) -> ring  delivered in " in done.out
        assert (await rig.seen.wait(1))[0].topic == "home/_"
        done = await rig.command("send", "--sample", "slack", "--local")
        assert (done.status, done.out.split()[-1]) == (1, "unmatched")
        done = await rig.command("send", "--sample", "doorbell")
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("relay-bridge: the relay's log can't be reached")
        unknown = f"{rig.relay.url}/v1/webhooks/x"
        done = await rig.command("send", "--sample", "doorbell", "--url", unknown)
        assert done.err.startswith("relay-bridge: the relay's public address can't be reached")


async def test_send_says_where_nothing_comes(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        done = await rig.command("send", "--sample", "slack")
        assert (done.status, done.err) == (1, "relay-bridge: the relay has no bucket 'slack'\n")
        unknown = f"{rig.relay.url}/v1/webhooks/x"
        done = await rig.command("send", "--sample", "doorbell", "--url", unknown, "--wait", "100ms")
        assert done.err == "relay-bridge: the relay answered 200, and no webhook came within 0.1 s\n"


async def test_replay_takes_webhooks_again_as_no_repeats(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        for number in range(1, 4):
            await rig.post("shop", f'{{"n": {number}}}')
        await rig.seen.wait(3)
        done = await rig.command("replay", "3", "1")
        assert (done.status, done.err) == (0, "2 webhooks replayed\n")
        assert done.out.count("shop POST / (replay) -> order  delivered in ") == 2
        await rig.command("replay", "--last", "1")
        await rig.command("replay", "--since", "1h", "--last", "1")
        await rig.seen.wait(7)
        assert [json.loads(one)["n"] for one in rig.seen.payloads] == [1, 2, 3, 3, 1, 1, 1]
        done = await rig.command("replay", "99")
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("relay-bridge: webhook 99 is not among the last ones; --from-relay")
        done = await rig.command("replay", "--since", "1ms")
        assert (done.status, done.err) == (0, "0 webhooks replayed\n")


async def test_replay_from_the_relays_log_needs_no_memory_of_the_daemon(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        for number in range(1, 4):
            await rig.post("shop", f'{{"n": {number}}}')
        await rig.seen.wait(3)
        lines = (await rig.command("replay", "--last", "3", "--format", "json")).out.splitlines()
        first = json.loads(lines[0])["id"].partition("~")[2]
        assert await rig.bridge.stop() == 0
        await rig.bridge.start()
        done = await rig.command("replay", "--from-relay", first)
        assert (done.status, done.err) == (0, "1 webhook replayed\n")
        assert "(replay) -> order  delivered" in done.out
        done = await rig.command("replay", "--from-relay", "--since", "1h")
        assert (done.status, done.err) == (0, "3 webhooks replayed\n")
        await rig.seen.wait(10)
        assert [json.loads(one)["n"] for one in rig.seen.payloads] == [1, 2, 3, 1, 2, 3, 1, 1, 2, 3]
        done = await rig.command("replay", "--from-relay", "no-such-id")
        assert (done.status, done.err) == (1, "relay-bridge: no-such-id is not in the relay's log\n")


async def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with running_rig(tmp_path) as rig:
        for command, request in (
            ("send", {}),
            ("send", {"frame": "{"}),
            ("send", {"frame": '{"type": "status"}'}),
            ("send-around", {"frame": '{"type": "webhook"}', "url": 5}),
            ("replay", {"numbers": ["1"]}),
            ("replay", {"last": -1}),
            ("replay", {"since": "1h"}),
            ("replay-log", {"ids": [1]}),
            ("tail", {"rute": "order"}),
            ("tail", {"past": -1}),
        ):
            assert "error" in await rig.bridge.ask(command, **request), (command, request)
        assert await rig.bridge.ask("replay", last=0) == {"webhooks": []}
        assert (await rig.bridge.ask("status"))["counters"]["webhooks"] == 0
