"""Status by MQTT, of a bridge as a user runs it, on a real broker."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import orjson
import paho.mqtt.publish
import pytest

from bridge.journal.journal import Journal
from bridge.selfhosted.server import SelfHostedRelay
from bridge.silence import NOTE
from tests.support.cli import run
from tests.support.home_assistant import SCHEMA
from tests.support.http import recording_server
from tests.support.mosquitto import Broker, Collector, Received
from tests.support.process import BridgeProcess
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually

BASE = "relay-bridge/pi"
DEVICE = "homeassistant/device/relay_bridge_pi/config"


@dataclass
class Rig:
    """A relay, a broker that is watched, and a bridge between them."""

    relay: SelfHostedRelay
    session: aiohttp.ClientSession
    broker: Broker
    seen: Collector
    bridge: BridgeProcess

    async def ring(self, body: bytes = b"{}", **headers: str) -> None:
        assert await post(self.session, self.relay.webhook_url("doorbell"), body, **headers) == 200

    async def until(self, topic: str, holds: Callable[[Any], bool] = lambda _: True, after: int = 0) -> Any:
        """What a topic said, as soon as `holds`, in a message behind the first `after` ones."""

        def found() -> list[Any]:
            said = [read(one) for one in self.seen.messages[after:] if one.topic == topic]
            return [one for one in said if holds(one)][:1]

        (value,) = await eventually(found, 20)
        return value

    async def ask(self, command: str, payload: str) -> Any:
        """The answer to a command."""
        after = len(self.seen.messages)
        await self.publish(f"{BASE}/request/{command}", payload)
        return await self.until(f"{BASE}/response/{command}", after=after)

    async def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        await asyncio.to_thread(
            paho.mqtt.publish.single,
            topic,
            payload,
            qos=1,
            retain=retain,
            hostname="127.0.0.1",
            port=self.broker.plain_port,
        )

    async def retained(self) -> dict[str, bytes]:
        """What a new subscriber gets at once, before what is published later."""
        async with Collector(self.broker.plain_port) as fresh:
            await self.publish("later", "")
            await eventually(lambda: any(one.topic == "later" for one in fresh.messages))
            return {one.topic: one.payload for one in fresh.messages if one.retain}


def read(message: Received) -> Any:
    if message.payload[:1] == b"{":
        return json.loads(message.payload)
    return message.payload.decode()


def routes(*names: str, to: str = "mqtt: home/ring") -> str:
    made = [f"  - {{name: {name}, match: {{bucket: doorbell}}, send: [{{{to}}}]}}\n" for name in names]
    return "routes:\n" + "".join(made)


@asynccontextmanager
async def rig(folder: Path, status: str = "", text: str = routes("ring")) -> AsyncIterator[Rig]:
    async with (
        running_relay("doorbell") as relay,
        sender() as session,
        Broker(folder) as broker,
        Collector(broker.plain_port) as seen,
    ):
        head = (
            f"node: pi\n{relay_section(relay)}brokers: {{home: {{url: 'mqtt://127.0.0.1:{broker.port}'}}}}\n"
        )
        head += f"status: {{broker: home, {status}}}\n"
        async with BridgeProcess(folder / "bridge", head + text) as bridge:
            yield Rig(relay, session, broker, seen, bridge)


def rewrite(bridge: BridgeProcess, old: str, new: str) -> None:
    text = bridge.file.read_text()
    assert old in text
    bridge.file.write_text(text.replace(old, new))


async def test_a_life_from_birth_to_a_clean_end(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.until(f"{BASE}/status", lambda said: said == "online")
        info = await it.until(f"{BASE}/info")
        assert (info["node"], info["generation"], info["routes"]) == ("pi", 1, ["ring"])
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"] and not said["problem"])

        await it.ring(b'{"token": "s3cret"}', X_GitHub_Event="push", Authorization="Bearer s3cret")
        event = await it.until(f"{BASE}/event/ring")
        assert (event["event_type"], event["bucket"], event["late"]) == ("push", "doorbell", False)
        health = await it.until(f"{BASE}/health", lambda said: said["counters"]["delivered"] == 1)
        assert health["counters"]["webhooks"] == 1
        assert health["last_webhook"] == event["time"]

        retained = await it.retained()
        assert set(retained) == {f"{BASE}/status", f"{BASE}/info", f"{BASE}/health"}
        assert await it.bridge.stop() == 0
        await it.until(f"{BASE}/status", lambda said: said == "offline")
        assert (await it.retained())[f"{BASE}/status"] == b"offline"
        own = [one for one in it.seen.messages if one.topic.startswith(BASE)]
        assert b"s3cret" not in b"".join(one.payload for one in own)
        kinds = {one.content_type for one in own}
        assert kinds == {"text/plain", "application/json"}


async def test_deliveries_that_nobody_is_there_for_are_counted(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell") as relay,
        sender() as session,
        Broker(tmp_path) as broker,
        Collector(broker.plain_port, f"{BASE}/#") as seen,
    ):
        text = (
            f"node: pi\n{relay_section(relay)}brokers: {{home: {{url: 'mqtt://127.0.0.1:{broker.port}'}}}}\n"
        )
        async with BridgeProcess(tmp_path / "bridge", f"{text}status: {{}}\n{routes('ring')}") as bridge:
            it = Rig(relay, session, broker, seen, bridge)
            await it.ring()
            said = await it.until(f"{BASE}/health", lambda said: said["counters"]["delivered"] == 1)
            assert said["brokers"]["home"]["no_subscriber"] == 1


async def test_the_will_tells_of_a_killed_bridge_and_the_next_one_is_online(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.until(f"{BASE}/status", lambda said: said == "online")
        await it.bridge.kill()
        await it.until(f"{BASE}/status", lambda said: said == "offline")
        after = len(it.seen.messages)
        await it.bridge.start()
        await it.until(f"{BASE}/status", lambda said: said == "online", after)


async def test_a_broker_that_forgot_is_told_again(tmp_path: Path) -> None:
    async with rig(tmp_path, "discovery: homeassistant") as it:
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        before = await it.retained()
        await it.broker.stop(signal.SIGKILL)
        await it.broker.start()
        after = len(it.seen.messages)
        for topic in before:
            await it.until(topic, after=after)
        assert set(await it.retained()) == set(before)
        assert (await it.retained())[f"{BASE}/status"] == b"online"


async def test_a_dead_letter_is_told_once_and_can_be_retried(tmp_path: Path) -> None:
    async with recording_server(status=400) as server:
        text = routes("ring", to=f"http: '{server.url}/x'")
        async with rig(tmp_path, "commands: true", text) as it:
            await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
            await it.ring()
            letter = await it.until(f"{BASE}/dead")
            assert (letter["route"], letter["code"]) == ("ring", "http-400")
            server.status = 200
            answer = await it.ask("retry", json.dumps({"ids": [letter["id"]], "transaction": "t"}))
            assert answer == {"status": "ok", "data": {"kept": []}, "transaction": "t"}
            health = await it.until(f"{BASE}/health", lambda said: said["counters"]["delivered"] == 1)
            assert health["counters"]["dead"] == 1
            await it.bridge.stop()
            await it.bridge.start()
            await it.until(f"{BASE}/health", lambda said: said["process"]["uptime_seconds"] >= 1)
            assert sum(one.topic == f"{BASE}/dead" for one in it.seen.messages) == 1


async def test_commands_are_answered_with_the_callers_mark(tmp_path: Path) -> None:
    async with rig(tmp_path, "commands: true") as it:
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        health = await it.ask("health", '{"transaction": 7}')
        assert (health["status"], health["transaction"]) == ("ok", 7)
        assert health["data"]["relay"]["connected"] is True
        assert (await it.ask("check", ""))["data"] == {"ok": True, "problems": []}

        rewrite(it.bridge, "name: ring", "nmae: ring")
        checked = (await it.ask("check", "{}"))["data"]
        assert checked["ok"] is False
        assert any("unknown key 'nmae'" in problem for problem in checked["problems"])
        assert (await it.ask("reload", "{}"))["data"]["outcome"] == "rejected"
        await it.until(f"{BASE}/health", lambda said: "the routing file was rejected" in said["problems"])

        refused = await it.ask("pause", '{"target": "mqtt:nowhere", "transaction": "a"}')
        assert (refused["status"], refused["transaction"]) == ("error", "a")
        assert (await it.ask("pause", "nonsense"))["status"] == "error"


async def test_a_paused_target_gets_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    async with rig(tmp_path, "commands: true", routes("ring")) as it:
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        assert (await it.ask("pause", '{"target": "mqtt:home"}'))["data"] == {"paused": "mqtt:home"}
        await it.until(f"{BASE}/health", lambda said: said["brokers"]["home"]["state"] == "paused")
        await it.ring()
        await it.until(f"{BASE}/health", lambda said: said["queue"]["pending"] == 1)
        assert not [one for one in it.seen.messages if one.topic == "home/ring"]
        assert (await it.ask("resume", '{"target": "mqtt:home"}'))["data"] == {"resumed": "mqtt:home"}
        await it.until("home/ring")
        await it.until(f"{BASE}/health", lambda said: said["queue"]["pending"] == 0 and not said["problem"])


@pytest.mark.parametrize("status", ["commands: false", "commands: true"])
async def test_no_command_is_obeyed_that_is_off_or_retained(tmp_path: Path, status: str) -> None:
    async with rig(tmp_path, status) as it:
        if status == "commands: true":
            await it.bridge.kill()
            await it.publish(f"{BASE}/request/pause", '{"target": "mqtt:home"}', retain=True)
            await it.bridge.start()
        else:
            await it.publish(f"{BASE}/request/pause", '{"target": "mqtt:home"}')
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        await it.ring()
        await it.until("home/ring")
        await it.until(f"{BASE}/event/ring")
        assert not [one for one in it.seen.messages if "/response/" in one.topic]


EARLY = (
    "import runpy, bridge.silence as it; it.START_SECONDS = 1; runpy.run_module('bridge', None, '__main__')"
)
"""Runs a bridge that looks for silence soon: it would wait for what the relay still has to tell."""


async def seen_an_hour_ago(bridge: BridgeProcess, route: str) -> None:
    """Have a stopped bridge believe that the last webhook came then."""
    journal = await Journal.open(bridge.folder / "state" / "journal.db", max_bytes=1 << 20)
    journal.put(NOTE, orjson.dumps({route: time.time() - 3600}))
    await journal.close()


async def test_a_route_that_falls_silent_is_told_until_it_is_heard(tmp_path: Path) -> None:
    text = routes("ring").replace("send:", "expect: {every: 2m, grace: 1m}, send:")
    async with rig(tmp_path, text=text) as it:
        assert await it.bridge.stop() == 0
        await seen_an_hour_ago(it.bridge, "ring")
        it.bridge.program = ("-c", EARLY)
        await it.bridge.start()
        alarm = await it.until(f"{BASE}/alert")
        assert (alarm["alert"], alarm["state"], alarm["route"]) == ("silence", "on", "ring")
        assert (alarm["every_seconds"], alarm["grace_seconds"]) == (120.0, 60.0)
        await it.until(f"{BASE}/health", lambda said: said["problems"] == ["route ring is silent"])
        after = len(it.seen.messages)
        await it.ring()
        assert (await it.until(f"{BASE}/alert", after=after))["state"] == "off"
        await it.until(f"{BASE}/health", lambda said: not said["problem"], after)


async def test_a_repeat_is_no_second_event(tmp_path: Path) -> None:
    text = routes("ring").replace("send:", "dedupe: '{{ body.id }}', send:")
    async with rig(tmp_path, text=text) as it:
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        await it.ring(b'{"id": 1}')
        await it.ring(b'{"id": 1}')
        await it.ring(b'{"id": 2}')
        await it.until(f"{BASE}/health", lambda said: said["counters"]["webhooks"] == 3)
        await eventually(lambda: sum(one.topic == "home/ring" for one in it.seen.messages) == 2)
        assert sum(one.topic == f"{BASE}/event/ring" for one in it.seen.messages) == 2


async def test_discovery_follows_the_routes_and_leaves_no_ghosts(tmp_path: Path) -> None:
    async with rig(tmp_path, "discovery: homeassistant", routes("ring", "bell")) as it:
        first = await it.until(DEVICE)
        jsonschema.Draft7Validator(SCHEMA).validate(first)
        assert first["availability"] == [{"t": f"{BASE}/status"}]
        assert {"event_ring", "event_bell"} <= set(first["cmps"])

        await it.ring(X_GitHub_Event="push")
        learned = await it.until(DEVICE, lambda said: "push" in said["cmps"]["event_ring"]["evt_typ"])
        assert learned["cmps"]["event_ring"]["evt_typ"] == ["push", "webhook", "other"]

        rewrite(it.bridge, "name: bell", "name: gong")
        followed = await it.until(DEVICE, lambda said: "event_gong" in said["cmps"])
        assert followed["cmps"]["event_bell"] == {"p": "event"}
        jsonschema.Draft7Validator(SCHEMA).validate(followed)

        # Also a route that goes while the bridge is away, and what was learned stays.
        assert await it.bridge.stop() == 0
        rewrite(it.bridge, "name: gong", "name: bell")
        after = len(it.seen.messages)
        await it.bridge.start()
        restarted = await it.until(DEVICE, after=after)
        assert restarted["cmps"]["event_gong"] == {"p": "event"}
        assert len(restarted["cmps"]["event_bell"]) > 1
        assert "push" in restarted["cmps"]["event_ring"]["evt_typ"]


async def test_all_of_it_is_said_again_when_home_assistant_starts(tmp_path: Path) -> None:
    async with rig(tmp_path, "discovery: homeassistant") as it:
        await it.until(f"{BASE}/health", lambda said: said["relay"]["connected"])
        await it.until(DEVICE)
        after = len(it.seen.messages)
        await it.publish("homeassistant/status", "online")
        for topic in (DEVICE, f"{BASE}/status", f"{BASE}/info", f"{BASE}/health"):
            await it.until(topic, after=after)


@pytest.mark.parametrize(
    "change", [("node: pi", "node: shed"), ("broker: home,", "broker: home, topic: other,")]
)
async def test_another_name_leaves_nothing_under_the_old_one(tmp_path: Path, change: tuple[str, str]) -> None:
    async with rig(tmp_path, "discovery: homeassistant") as it:
        await it.until(DEVICE)
        before = set(await it.retained())
        assert before >= {DEVICE, f"{BASE}/status"}
        rewrite(it.bridge, *change)
        base = "relay-bridge/shed" if "node" in change[0] else "other"
        await it.until(f"{base}/status", lambda said: said == "online")
        gone = before - ({DEVICE} if base == "other" else set())

        def cleared() -> bool:
            last = {one.topic: one.payload for one in it.seen.messages}
            return all(last[topic] == b"" for topic in gone)

        await eventually(cleared)
        assert not set(await it.retained()) & gone


async def test_status_that_is_taken_out_of_the_file_is_cleared(tmp_path: Path) -> None:
    async with rig(tmp_path, "discovery: homeassistant") as it:
        await it.until(DEVICE)
        rewrite(it.bridge, "status: {broker: home, discovery: homeassistant}\n", "")
        await it.until(DEVICE, lambda said: said == "")
        await it.until(f"{BASE}/status", lambda said: said == "")
        assert await it.retained() == {}
        await it.ring()
        await it.until("home/ring")


async def test_cleanup_clears_what_a_stopped_bridge_left(tmp_path: Path) -> None:
    async with rig(tmp_path, "discovery: homeassistant") as it:
        await it.until(DEVICE)
        await it.publish("relay-bridge/pi/mine", "kept", retain=True)
        running = await asyncio.to_thread(run, "cleanup", "-c", it.bridge.file)
        assert "still runs" in running.err
        await it.bridge.stop()
        after = len(it.seen.messages)
        await it.bridge.start()
        await it.until(f"{BASE}/health", after=after)
        await it.bridge.stop()
        done = await asyncio.to_thread(run, "cleanup", "-c", it.bridge.file)
        assert done.status == 0
        assert done.out.splitlines() == [DEVICE, f"{BASE}/health", f"{BASE}/info", f"{BASE}/status"]
        assert done.err == f"4 retained topics cleared at 127.0.0.1:{it.broker.port}\n"
        assert await it.retained() == {"relay-bridge/pi/mine": b"kept"}
        again = await asyncio.to_thread(run, "cleanup", "-c", it.bridge.file)
        assert (again.status, again.out) == (0, "")


async def test_the_path_goes_on_where_status_is_refused(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite home/#\ntopic read $SYS/#\n")
    acl.chmod(0o600)
    async with (
        running_relay("doorbell") as relay,
        sender() as session,
        Broker(tmp_path, f"acl_file {acl}") as broker,
        Collector(broker.plain_port, "home/#") as seen,
    ):
        text = f"{relay_section(relay)}brokers: {{home: {{url: 'mqtt://127.0.0.1:{broker.port}'}}}}\n"
        async with BridgeProcess(
            tmp_path / "bridge", f"{text}status: {{broker: home}}\n{routes('ring')}"
        ) as bridge:
            for _ in range(3):
                await post(session, relay.webhook_url("doorbell"), b"{}")
            await seen.wait(3)
            assert await bridge.stop() == 0
            refused = re.findall(
                r"(\w+) can't be published: Not authorized$", bridge.log_text(), re.MULTILINE
            )
            assert sorted(refused) == sorted(set(refused))
            assert "status" in refused
