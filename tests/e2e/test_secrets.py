"""One canary for each secret of the routing file, and nothing that the bridge tells may hold one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from bridge.relay.frames import encode_webhook
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.browser import Browser
from tests.support.cli import call
from tests.support.deliveries import webhook
from tests.support.http import RecordingServer, recording_server
from tests.support.mosquitto import Broker, Collector, free_port
from tests.support.process import BridgeProcess
from tests.support.relays import SECRET, post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

CANARY = "c4n4ry"
TOKEN = f"{CANARY}-token"
ADDRESSES = ("", "metrics", "readyz", "healthz", "dead", "webhooks/1", "webhooks/2", "events")
COMMANDS = ("status", "dead list", "check", "explain", "schema", "test")


def routing(head: str, home: Broker, attic: Broker, service: str) -> str:
    return f"""node: shed
{head}brokers:
  home: {{url: "mqtt://127.0.0.1:{home.port}", username: pi, password: {CANARY}-home}}
  attic: {{url: "mqtt://127.0.0.1:{attic.port}", username: pi, password: {CANARY}-attic}}
services:
  shop: {{url: "{service}", headers: {{Authorization: "Bearer ${{SERVICE_TOKEN}}"}}}}
verifiers:
  gh: {{scheme: github, secrets: [{CANARY}-verifier]}}
status: {{broker: home, discovery: homeassistant, commands: true}}
routes:
  - name: ring
    match: {{bucket: doorbell}}
    send:
      - {{mqtt: home/ring, broker: home}}
      - {{mqtt: attic/ring, broker: attic}}
      - {{http: /ring, service: shop}}
  - {{name: signed, match: {{bucket: github}}, verify: gh, send: [{{mqtt: ci/push, broker: home}}]}}
"""


@dataclass
class World:
    """A bridge that was given the canaries, and everything that it was heard to say."""

    url: str
    relay: SelfHostedRelay
    service: RecordingServer
    bridge: BridgeProcess
    session: aiohttp.ClientSession
    seen: Collector
    told: dict[str, str] = field(default_factory=dict)

    async def command(self, *arguments: str) -> None:
        """Keep what a command says, for people and for programs."""
        file, frame = str(self.bridge.file), self.bridge.folder / "frame.json"
        frame.write_text(encode_webhook(webhook()))
        given = {"check": ("-c", file), "test": ("-c", file), "explain": ("-c", file, str(frame))}
        line = [*arguments, *given.get(arguments[0], ())]
        for form in ("text", "json"):
            formatted = line if arguments[0] in {"schema", "test"} else [*line, "--format", form]
            done = await asyncio.to_thread(call, *formatted)
            self.told[f"{' '.join(arguments)} ({form}, {len(self.told)})"] = done.out + done.err

    async def ask(self, path: str) -> None:
        """Keep what an address of the console answers."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.session.get(self.url + path, headers=headers) as response:
            assert response.status == 200, path
            content = response.content
            body = await (content.readuntil(b"\n\n") if path == "events" else content.read())
            self.told[f"GET /{path}"] = str(response.headers) + body.decode()


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    port = free_port()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        home = await enter(Broker(folder))
        attic = await enter(Broker(folder, "allow_anonymous false"))
        seen = await enter(Collector(home.port))
        service = await enter(recording_server(status=400))
        relay = await enter(running_relay("doorbell", "github"))
        session = await enter(sender())
        head = relay_section(relay, f'{{listen: "127.0.0.1:{port}", token: {TOKEN}, bodies: true}}')
        text = routing(head, home, attic, service.url)
        bridge = await enter(BridgeProcess(folder, text, SERVICE_TOKEN=f"{CANARY}-service"))
        await bridge.ask("log-level", level="debug")
        yield World(f"http://127.0.0.1:{port}/", relay, service, bridge, session, seen)


async def look_at_the_page(world: World, folder: Path) -> None:
    async with Browser(folder) as browser:
        await browser.run("await page.goto(url)", url=world.url)
        await browser.run(
            "await page.getByLabel('token').fill(token); await page.keyboard.press('Enter')", token=TOKEN
        )
        await browser.run("await page.locator('#hooks .outcome').filter({hasText: 'dead'}).first().waitFor()")
        await browser.run("for (const one of await page.locator('#hooks summary').all()) await one.click()")
        await browser.run("await page.locator('#hooks .step').first().waitFor()")
        await browser.run("await page.locator('#letters li').first().waitFor()")
        world.told["page"] = await browser.run("return await page.content()")
        world.told["cookies"] = json.dumps(await browser.run("return await browser.cookies()"))


async def test_no_secret_is_told_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_world(tmp_path) as world:
        told, file = world.told, world.bridge.file
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "SERVICE_TOKEN"):
            monkeypatch.setenv(name, world.bridge.environment[name])
        for bucket in ("doorbell", "github", "doorbell"):
            await post(world.session, world.relay.webhook_url(bucket), b'{"door": "front"}')
        await eventually(lambda: len(world.service.requests) == 2)
        assert world.service.requests[0].headers["authorization"] == f"Bearer {CANARY}-service"
        await eventually_async(lambda: has_letters(world, 2))
        told["tail"] = await first_lines_of_tail(world.bridge, 3)
        for one in COMMANDS:
            await world.command(*one.split())
        await world.command("dead", "show", "1")
        for address in ADDRESSES:
            await world.ask(address)
        await look_at_the_page(world, tmp_path)

        # Mistakes are told with the line that they are in, and refusals with their reason.
        text = file.read_text()
        refused = text.replace(SECRET, f"{CANARY}-relay")
        for content in (text.replace("name: ring", f"nme: ring\n    secret: {CANARY}-stray"), refused):
            file.write_text(content)
            for one in ("reload", "status", "check", "explain"):
                await world.command(one)
            await world.ask("events")
        await eventually(lambda: "relay: unauthorized" in world.bridge.log_text())
        assert await world.bridge.stop() == 0

        told["log"] = world.bridge.log_text()
        told["mqtt"] = "\n".join(map(repr, world.seen.messages))
        told["journal"] = "".join(
            path.read_bytes().decode("latin-1") for path in (tmp_path / "state").glob("journal.db*")
        )
        # What was looked at is what there is to see.
        assert "mqtt:attic: refused" in told["log"]
        assert "DEBUG" in told["log"]
        assert "relay-bridge/shed" in told["mqtt"]
        assert "homeassistant/" in told["mqtt"]
        assert "http-400" in told["page"]
        assert "home/ring" in told["tail"]
        assert "relay_bridge_deliveries_dead_total" in told["GET /metrics"]
        assert any("unknown key 'nme'" in said for said in told.values())
        assert urlsplit(world.url).netloc in told["log"]
        leaks = [name for name, said in told.items() if CANARY in said or SECRET in said]
        assert not leaks


async def first_lines_of_tail(bridge: BridgeProcess, count: int) -> str:
    """What `relay-bridge tail` is made of."""
    control = aiohttp.UnixConnector(str(bridge.folder / "run" / "control.sock"))
    async with (
        aiohttp.ClientSession(connector=control) as session,
        session.post("http://localhost/tail", json={"past": count}) as response,
    ):
        return "".join([(await response.content.readline()).decode() for _ in range(count)])


async def has_letters(world: World, count: int) -> bool:
    return len((await world.bridge.ask("dead-list"))["letters"]) == count
