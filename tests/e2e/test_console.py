"""The console's page in a real browser, over a real bridge."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from bridge.selfhosted.server import SelfHostedRelay
from tests.support.browser import Browser
from tests.support.http import RecordingServer, recording_server
from tests.support.mosquitto import Broker, free_port
from tests.support.page import AXE, NARROW, clean, fits, has_text
from tests.support.process import BridgeProcess
from tests.support.relay import ScriptedRelay, a_webhook, scripted_relay
from tests.support.relays import SECRET, post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

CANARY = "c4n4ry"
HOSTILE = "<img src=x onerror=document.title='owned'>"


def routing(head: str, broker: Broker, service: str) -> str:
    return f"""{head}
node: shed
brokers:
  home: {{url: "mqtt://127.0.0.1:{broker.port}", username: pi, password: {CANARY}-password}}
services:
  shop: {{url: '{service}', headers: {{Authorization: "Bearer {CANARY}-service"}}}}
routes:
  - {{name: ring, match: {{bucket: doorbell}}, send: [{{mqtt: "home/{{{{ body.door }}}}/ring"}}]}}
  - {{name: order, match: {{bucket: shop}}, send: [{{http: /orders, service: shop}}]}}
"""


@dataclass
class World:
    """Everything around one page."""

    url: str
    relay: SelfHostedRelay
    broker: Broker
    service: RecordingServer
    bridge: BridgeProcess
    session: aiohttp.ClientSession

    async def ring(self, door: str = "front") -> None:
        url = self.relay.webhook_url("doorbell")
        assert await post(self.session, url, json.dumps({"door": door}).encode()) == 200

    async def order(self) -> None:
        assert await post(self.session, self.relay.webhook_url("shop"), b'{"order": 1}') == 200

    async def edit(self, old: str, new: str) -> None:
        text = self.bridge.file.read_text()
        assert old in text
        self.bridge.file.write_text(text.replace(old, new))


@asynccontextmanager
async def running_world(folder: Path, console: str = "") -> AsyncIterator[World]:
    port = free_port()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(folder))
        service = await stack.enter_async_context(recording_server())
        relay = await stack.enter_async_context(running_relay("doorbell", "shop"))
        session = await stack.enter_async_context(sender())
        head = relay_section(relay, f'{{listen: "127.0.0.1:{port}"{console}}}')
        text = routing(head, broker, service.url)
        bridge = await stack.enter_async_context(BridgeProcess(folder / "bridge", text))
        yield World(f"http://127.0.0.1:{port}/", relay, broker, service, bridge, session)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as world:
        yield world


async def opened(browser: Browser, url: str) -> None:
    """Open the page, and wait until it is live."""
    await browser.run("await page.goto(url); await page.getByText('live', {exact: true}).waitFor()", url=url)


async def test_what_happens_is_on_the_page(world: World, tmp_path: Path) -> None:
    async with Browser(tmp_path) as browser:
        await opened(browser, world.url)

        await has_text(browser, "#verdict.good", "Everything works")

        # A webhook, within a second
        await world.ring()
        began = time.monotonic()
        await has_text(browser, "#hooks summary", "ring")
        assert time.monotonic() - began < 1.0
        await has_text(browser, "#hooks summary", "delivered")
        await browser.run("await page.locator('#hooks summary').first().press('Enter')")
        await has_text(browser, "#hooks .step", "mqtt:home ← home/front/ring")
        await has_text(browser, "#hooks .step", "mismatch order: bucket eq 'shop' - saw 'doorbell'")

        # Strangers' text stays text
        hostile = world.relay.webhook_url("doorbell") + "/%3Cimg%20src=x%20onerror=alert(1)%3E"
        await post(world.session, hostile, json.dumps({"door": HOSTILE}).encode())
        await browser.run("await page.locator('#hooks li:nth-child(2) summary').waitFor()")
        await browser.run("await page.locator('#hooks summary').first().click()")
        await has_text(browser, "#hooks .step", "onerror=document.title")
        assert await browser.run("return await page.locator('img').count()") == 0
        assert await browser.run("return await page.title()") == "Relay Bridge"

        # Dead letters, retried and discarded by a click
        world.service.status = 400
        await world.order()
        await world.order()
        await has_text(browser, "#letters", "answered 400")
        await browser.run("await page.locator('#letters li:nth-child(2)').waitFor()")
        world.service.status = 200
        await browser.run(
            "await page.getByRole('button', {name: 'Retry dead letter 1', exact: true}).click()"
        )
        await has_text(browser, "#said", "Dead letter 1 sent again.")
        await browser.run(
            "await page.waitForFunction(() => document.querySelectorAll('#letters li').length === 1)"
        )
        assert len(world.service.requests) == 3
        await browser.run(
            "page.once('dialog', (dialog) => dialog.accept());"
            "await page.getByRole('button', {name: 'Discard dead letter 2', exact: true}).click()"
        )
        await has_text(browser, "#dead-note", "None.")
        assert (await world.bridge.ask("dead-list"))["letters"] == []

        # A mistake in the routing file, and its mending
        await world.edit("name: order", "nme: order")
        line = world.bridge.file.read_text().partition("nme")[0].count("\n") + 1
        await has_text(browser, "#problems", f"line {line}, column 6")
        await has_text(browser, "#problems", "unknown key 'nme'")
        await has_text(browser, "#file", "rejected Generation 1 is in use")
        await has_text(browser, "#verdict", "The routing file was rejected, 2 mistakes")
        await world.edit("nme: order", "name: order")
        await has_text(browser, "#file", "unchanged Generation 1 is in use")
        assert await browser.run("return await page.locator('#problems li').count()") == 0
        await browser.run("await page.getByRole('button', {name: 'Read it again'}).click()")
        await has_text(browser, "#said", "The routing file was read: unchanged.")

        # The broker goes and comes back
        home = "#tiles li:has(h3:text-is('mqtt:home'))"
        assert "good" in await browser.run("return await page.locator(home).getAttribute('class')", home=home)
        await world.broker.stop()
        await browser.run("await page.locator(`${home}.bad`).waitFor()", home=home)
        await world.ring("back")
        await has_text(browser, home, "1, the oldest for")
        await has_text(browser, "#verdict.bad", "mqtt:home is down")
        await world.broker.start()
        await browser.run("await page.locator(`${home}.good`).waitFor({timeout: 40000})", home=home)
        await has_text(browser, home, "nothing")
        await has_text(browser, "#verdict.good", "Everything works")

        content = await browser.run("return await page.content()")
        assert CANARY not in content
        assert SECRET not in content
        await clean(browser, world.url)


async def test_the_bridge_goes_and_comes_back(world: World, tmp_path: Path) -> None:
    async with Browser(tmp_path) as browser:
        await opened(browser, world.url)
        await world.ring()
        await has_text(browser, "#hooks summary", "delivered")
        assert await world.bridge.stop() == 0
        await has_text(browser, "#live", "no connection to the bridge")
        await has_text(browser, "#verdict.bad", "No connection to the bridge")
        assert await browser.run(AXE) == []
        await world.bridge.start()
        await has_text(browser, "#live", "live")
        # What the page showed was of the process that is gone.
        await browser.run(
            "await page.locator('#hooks summary', {hasText: 'delivered'}).waitFor({state: 'detached'})"
        )
        await world.ring()
        await has_text(browser, "#hooks summary", "delivered")


# Under load

WATCH = """
await page.evaluate(() => {
  window.gaps = [];
  let last = performance.now();
  const frame = (now) => { window.gaps.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
});
"""


async def flood(relay: ScriptedRelay, seconds: float, rate: int) -> int:
    """Send so many webhooks a second; how many it were."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) - sent
        await relay.send(*(a_webhook(sent + n, body='{"door": "front"}') for n in range(due)))
        sent += due
        await asyncio.sleep(0.02)
    return sent


async def test_two_hundred_webhooks_a_second_do_not_freeze_it(tmp_path: Path) -> None:
    port = free_port()
    async with Broker(tmp_path) as broker, scripted_relay() as relay:
        head = f"relay: {{url: '{relay.url}', key: the-key, secret: {relay.secret}}}\n"
        console = f'console: {{listen: "127.0.0.1:{port}"}}'
        text = routing(head + console, broker, "http://127.0.0.1:1")
        async with BridgeProcess(tmp_path / "bridge", text), Browser(tmp_path) as browser:
            await opened(browser, f"http://127.0.0.1:{port}/")
            await browser.run(WATCH)
            flooding = asyncio.create_task(flood(relay, 5.0, 200))
            await browser.run("await page.locator('#all-hooks').click()")
            began = time.monotonic()
            await browser.run("await page.locator('#filter').fill('no such route')")
            await browser.run("await page.getByText('None of the last ones fits.').waitFor()")
            await browser.run("await page.locator('#filter').fill('')")
            assert time.monotonic() - began < 3.0, "it answers while they come"
            sent = await flooding
            assert sent >= 900
            await has_text(browser, "#tiles", f"webhooks{sent:,}")
            await browser.run(
                "await page.waitForFunction(() => document.querySelectorAll('#hooks li').length === 200)"
            )
            gaps = sorted(await browser.run("return await page.evaluate(() => window.gaps)"))
            assert gaps[-1] < 1000, "milliseconds between two frames"
            await clean(browser, f"http://127.0.0.1:{port}/")


# For everyone


async def filled(world: World, browser: Browser) -> None:
    """Something of everything is on the page."""
    await opened(browser, world.url)
    world.service.status = 400
    await world.ring()
    await world.order()
    await world.order()
    await world.edit("name: order", "nme: order")
    await world.broker.stop()
    await browser.run("await page.locator('#letters li:nth-child(2)').waitFor()")
    await browser.run("await page.locator('.tile.bad').waitFor()")
    await has_text(browser, "#problems", "unknown key 'nme'")
    await browser.run("await page.locator('#hooks li:nth-child(3) summary').click()")
    await browser.run("await page.locator('#hooks .step').first().waitFor()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible_and_fits_a_phone(world: World, tmp_path: Path, scheme: str) -> None:
    async with Browser(tmp_path, colorScheme=scheme) as browser:
        await opened(browser, world.url)
        await has_text(browser, "#verdict.good", "Everything works")
        assert await browser.run(AXE) == []
        await filled(world, browser)
        assert await browser.run(AXE) == []
        await browser.run("await page.setViewportSize(size)", size=NARROW)
        assert await browser.run(AXE) == []
        await fits(browser, NARROW)
        await clean(browser, world.url)


async def test_everything_can_be_reached_by_the_keyboard(world: World, tmp_path: Path) -> None:
    async with Browser(tmp_path) as browser:
        await filled(world, browser)
        reached: set[str] = set()
        await browser.run("await page.evaluate(() => document.activeElement.blur())")
        for _ in range(25):
            await browser.run("await page.keyboard.press('Tab')")
            reached.add(
                await browser.run(
                    "return await page.evaluate(() => { const one = document.activeElement;"
                    " return one.getAttribute('aria-label') || one.id || one.tagName; })"
                )
            )
        assert {"A", "reload", "filter", "pause", "SUMMARY", "retry-all"} <= reached
        assert {"Retry dead letter 1", "Discard dead letter 2"} <= reached


# Strangers


async def test_the_token_is_asked_for_once(tmp_path: Path) -> None:
    async with running_world(tmp_path, f", token: {CANARY}-token") as world, Browser(tmp_path) as browser:
        await browser.run("await page.goto(url)", url=world.url)
        assert await browser.run(AXE) == []
        await browser.run("await page.getByLabel('token').fill('wrong'); await page.keyboard.press('Enter')")
        await browser.run("await page.getByLabel('token').fill(token)", token=f"{CANARY}-token")
        await browser.run("await page.getByRole('button', {name: 'Sign in'}).click()")
        await has_text(browser, "#live", "live")
        assert await browser.run("return await page.evaluate(() => document.cookie)") == ""
        cookies = await browser.run("return await browser.cookies()")
        assert CANARY not in json.dumps(cookies)
        await opened(browser, world.url)
        await world.ring()
        await has_text(browser, "#hooks summary", "delivered")
        assert CANARY not in await browser.run("return await page.content()")


ATTACK = """
await page.goto(own);
return await page.evaluate(async ([own, target]) => {
  const purge = `${target}dead/purge`, body = '{"ids": [1]}';
  const attempts = {
    itself: () => fetch(own).then(() => "reached"),
    read: () => fetch(`${target}dead`).then((answer) => answer.text()),
    stream: () => new Promise((resolve, reject) => {
      const source = new EventSource(`${target}events`);
      source.onmessage = (event) => resolve(event.data);
      source.addEventListener("all", (event) => resolve(event.data));
      source.onerror = () => reject(new Error("refused"));
    }),
    change: () => fetch(purge, {method: "POST", headers: {"X-Relay-Bridge": "1"}, body}),
    blind: () => fetch(purge, {method: "POST", mode: "no-cors", body}),
    embed: () => new Promise((resolve, reject) => {
      const frame = document.createElement("iframe");
      frame.onload = () => (frame.contentDocument ? resolve("read") : reject(new Error("refused")));
      frame.src = target;
      document.body.append(frame);
    }),
  };
  const found = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    found[name] = await attempt().then((said) => String(said), () => "refused");
  }
  return found;
}, [own, target]);
"""


async def test_other_pages_of_the_browser_reach_nothing(world: World, tmp_path: Path) -> None:
    world.service.status = 400
    await world.order()
    port = urlsplit(world.url).port
    # The stranger's name means this machine, which the browser takes for the stranger's own.
    rules = f"--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1:{port}"
    async with Browser(tmp_path, args=[rules]) as browser, recording_server() as stranger:
        own = f"http://evil.example:{urlsplit(stranger.url).port}/"
        found = await browser.run(ATTACK, own=own, target=world.url)
        assert found.pop("itself") == "reached"
        assert set(found.values()) == {"refused"}, found
        rebound = await browser.run(
            "const answer = await page.goto(url); return [answer.status(), await page.textContent('body')]",
            url=f"http://rebound.example:{port}/",
        )
        assert rebound == [421, "this server is not known by that name\n"]
        frames: list[Any] = await browser.run("return page.frames().map((frame) => frame.url())")
        assert world.url not in frames
    assert len((await world.bridge.ask("dead-list"))["letters"]) == 1


async def test_a_reload_moves_the_console_and_takes_it_away(world: World) -> None:
    async def answers(url: str) -> bool:
        try:
            async with world.session.get(f"{url}healthz") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    port = free_port()
    elsewhere = f"http://127.0.0.1:{port}/"
    await eventually_async(lambda: answers(world.url))
    await world.edit(urlsplit(world.url).netloc, f"127.0.0.1:{port}")
    await eventually_async(lambda: answers(elsewhere))
    assert not await answers(world.url)
    await world.edit(f'{{listen: "127.0.0.1:{port}"}}', "off")

    async def is_gone() -> bool:
        return not await answers(elsewhere)

    await eventually_async(is_gone)
    await world.ring()
    assert await world.bridge.stop() == 0


async def test_a_second_bridge_goes_on_where_the_port_is_taken(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world, recording_server() as service:
        text = world.bridge.file.read_text().replace(world.service.url, service.url)
        async with BridgeProcess(tmp_path / "second", text.replace("node: shed", "node: attic")) as second:
            place = world.url.rstrip("/")
            await eventually(lambda: "there is no console" in second.log_text())
            (line,) = (line for line in second.log_text().splitlines() if "console" in line)
            assert f"WARNING bridge.console.console: there is no console at {place}: Address already" in line
            status = await second.ask("status")
            assert status["console"]["url"] == ""
            assert status["console"]["problem"].startswith(f"not at {place}: Address already in use")
            assert (await world.bridge.ask("status"))["console"] == {"url": place, "problem": ""}
            await world.order()
            await eventually(lambda: service.requests)
            assert await second.stop() == 0
