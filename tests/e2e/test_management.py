"""The relay's management page in a real browser, over a real relay."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Input, Output, Token
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.browser import Browser
from tests.support.http import recording_server
from tests.support.page import AXE, NARROW, clean, fits, has_text
from tests.support.relay_clients import TOKEN, heard, interface, post, running, settings_of, subscribed
from tests.support.waiting import eventually_async

HOSTILE = "<img src=x onerror=document.title='owned'>"
SECRET = TOKEN.secret.reveal()


@asynccontextmanager
async def managed(folder: Path, *buckets: Bucket | str, port: int = 0) -> AsyncIterator[SelfHostedRelay]:
    """A relay with a page."""
    settings = replace(settings_of(*buckets), manage=("127.0.0.1", port), state=folder / "state")
    async with running(settings) as relay:
        yield relay


async def opened(browser: Browser, relay: SelfHostedRelay, key: str = "pi", secret: str = SECRET) -> None:
    """Open the page and sign in."""
    await browser.run("await page.goto(url)", url=f"{relay.management_url}/")
    await sign_in(browser, key, secret)
    await has_text(browser, "#live", "live")


async def sign_in(browser: Browser, key: str, secret: str) -> None:
    await browser.run(
        "await page.getByLabel('Key of a token').fill(key); await page.getByLabel('Its secret').fill(secret);"
        "await page.keyboard.press('Enter')",
        key=key,
        secret=secret,
    )


async def click(browser: Browser, name: str) -> None:
    """Press the button of this name, and confirm what is asked then."""
    await browser.run(
        "page.once('dialog', (dialog) => dialog.accept());"
        "await page.getByRole('button', {name, exact: true}).click(); page.removeAllListeners('dialog')",
        name=name,
    )


async def add(browser: Browser, within: str, title: str, **fields: str) -> None:
    """Fill in one of the forms that open."""
    await browser.run(
        "const form = page.locator(within).locator('.add').filter({hasText: title});"
        "await form.locator('summary').click();"
        "for (const [name, value] of Object.entries(fields)) {"
        "  const field = form.locator(`[name=${name}]`);"
        "  const isList = ['bucket', 'kept', 'who'].includes(name);"
        "  await (isList ? field.selectOption({label: value}) : field.fill(value)); }"
        "await form.getByRole('button').click();"
        "await form.locator('form').waitFor({state: 'hidden'});",
        within=within,
        title=title,
        fields=fields,
    )


async def test_from_nothing_to_a_webhook_that_is_sent_again(tmp_path: Path) -> None:
    options = {"permissions": ["clipboard-read", "clipboard-write"]}
    async with managed(tmp_path) as relay, Browser(tmp_path, **options) as browser:
        await opened(browser, relay)
        await has_text(browser, "#buckets-title", "Buckets")
        await add(browser, "#new-bucket", "Add a bucket", name="doorbell", kept="in memory only")
        await has_text(browser, ".box h3", "doorbell")
        await has_text(browser, ".box", "its webhooks are in memory only")
        await add(browser, ".box", "Add an input", name="front", path_prefix="/front")
        await add(browser, ".box", "Add an output", name="shed", destination="http://shed.local/ring")

        # Its address, copied and used
        await click(browser, f"Copy the address of front: {relay.url}/front")
        url = await browser.run("return await page.evaluate(() => navigator.clipboard.readText())")
        assert url == f"{relay.url}/front"
        client = await subscribed(relay, ["doorbell"])
        await has_text(browser, "#clients", "doorbell")
        async with aiohttp.ClientSession() as http, http.post(f"{url}/gate?n=1", data="ding") as answer:
            assert answer.status == 200
        began = time.monotonic()
        await has_text(browser, "#hooks summary", "POST /gate?n=1")
        assert time.monotonic() - began < 1.0
        first = await heard(client)
        await has_text(browser, "#hooks summary", "sent")

        # Sent again
        await browser.run("await page.locator('#hooks summary').press('Enter')")
        await has_text(browser, "#hooks pre", "ding")
        await click(browser, "Send again POST /gate?n=1")
        second = await heard(client)
        assert (first["body"], second["body"]) == ("ding", "ding")
        assert first["meta"]["id"] != second["meta"]["id"]
        await browser.run("await page.locator('#hooks li:nth-child(2)').waitFor()")
        await client.close()

        # What was made, changed and removed
        await click(browser, "Switch off the output shed of doorbell")
        await has_text(browser, ".box", "switched off")
        assert relay.registry.catalog.buckets[0].outputs[0].disabled
        await click(browser, "Delete the output shed of doorbell")
        await has_text(browser, ".box", "None: each subscriber gets each webhook once.")
        await click(browser, "Delete the bucket doorbell")
        await browser.run("await page.locator('.box').waitFor({state: 'detached'})")
        assert relay.registry.catalog.buckets == ()
        await clean(browser, relay.management_url)


async def status(relay: SelfHostedRelay, token: Token) -> int:
    async with interface(relay, token) as http, http.get("/v1/buckets") as answer:
        return answer.status


async def test_a_tokens_secret_is_shown_once(tmp_path: Path) -> None:
    async with managed(tmp_path, "doorbell", "shop") as relay, Browser(tmp_path) as browser:
        await opened(browser, relay)
        await add(browser, "#new-token", "Make a token", description="shed", bucket="only doorbell")
        await browser.run("await page.locator('#made').waitFor()")
        key, secret = await browser.run(
            "return [await page.textContent('#made-key'), await page.textContent('#made-secret')]"
        )
        token = Token(key, Secret(secret))
        assert await status(relay, token) == 200
        assert relay.registry.catalog.made_tokens[key].buckets == frozenset({Bucket.named("doorbell").id})
        assert await browser.run("return await page.evaluate(() => document.activeElement.id)") == "made"
        await click(browser, "I have it")
        assert secret not in await browser.run("return await page.content()")
        await has_text(browser, "#tokens", "for doorbell")

        # It looks and changes nothing, and ends at once when it is removed
        await browser.run("await page.reload()")
        await sign_in(browser, key, secret)
        await has_text(browser, "#confined", "confined")
        buttons = await browser.run("return await page.getByRole('button').allTextContents()")
        assert not {"Delete", "Add"} & set(buttons)
        assert await browser.run("return await page.locator('.box h3').allTextContents()") == ["doorbell"]
        async with interface(relay) as http, http.delete(f"/v1/tokens/{key}") as answer:
            assert answer.status == 200
        await browser.run("await page.getByLabel('Key of a token').waitFor()")
        await opened(browser, relay)
        assert await browser.run("return await page.locator('#tokens li').count()") == 2


async def test_a_wrong_token_shows_nothing_and_a_right_one_stays_nowhere(tmp_path: Path) -> None:
    async with managed(tmp_path, "doorbell") as relay, Browser(tmp_path) as browser:
        await browser.run("await page.goto(url)", url=f"{relay.management_url}/")
        assert await browser.run(AXE) == []
        await sign_in(browser, "pi", "wrong")
        await has_text(browser, "#refused", "Not signed in: wrong key or secret.")
        assert await browser.run("return await page.locator('.box').count()") == 0
        await sign_in(browser, "pi", SECRET)
        await has_text(browser, "#live", "live")
        kept = await browser.run(
            "return [await browser.cookies(), page.url(), await page.content(),"
            " await page.evaluate(() => [{...localStorage}, {...sessionStorage}, document.cookie])]"
        )
        assert kept[0] == []
        assert SECRET not in json.dumps(kept)
        assert SECRET not in "".join((await browser.run("return seen"))["requests"])
        await browser.run("await page.reload()")
        assert await browser.run("return await page.getByLabel('Its secret').inputValue()") == ""


async def test_strangers_text_stays_text(tmp_path: Path) -> None:
    bucket = Bucket(HOSTILE, "b", (Input(HOSTILE, "i"),), (Output(HOSTILE, "http://127.0.0.1:1/"),))
    async with managed(tmp_path, bucket) as relay, Browser(tmp_path) as browser:
        await opened(browser, relay)
        url = f"{relay.url}/v1/webhooks/i/%3Cimg%20src=x%20onerror=alert(1)%3E?<script>alert(1)</script>"
        headers = {"X-Note": HOSTILE, "X-Gitlab-Token": "c4n4ry"}
        async with aiohttp.ClientSession() as http, http.post(url, data=HOSTILE, headers=headers):
            await has_text(browser, "#hooks summary", "onerror=alert(1)")
        await browser.run("await page.locator('#hooks summary').click()")
        await has_text(browser, "#hooks pre >> nth=0", f"X-Note: {HOSTILE}")
        await has_text(browser, "#hooks pre >> nth=1", HOSTILE)
        await has_text(browser, ".box h3", HOSTILE)
        assert await browser.run("return await page.locator('img').count()") == 0
        assert await browser.run("return await page.title()") == "Relay"
        assert "c4n4ry" not in await browser.run("return await page.content()")
        await clean(browser, relay.management_url)


async def test_the_newest_of_a_long_log_are_shown_and_the_rest_can_be_filtered(tmp_path: Path) -> None:
    async with managed(tmp_path, "doorbell", "shop") as relay, Browser(tmp_path) as browser:
        await post(relay, "doorbell", *map(str, range(150)))
        await post(relay, "shop", "one")
        await opened(browser, relay)
        await has_text(browser, "#hooks li:first-child summary", "shop")
        await post(relay, "doorbell", *map(str, range(150)))
        await browser.run(
            "await page.waitForFunction(() => document.querySelectorAll('#hooks li').length === 200)"
        )
        await browser.run("await page.locator('#filter').fill('shop')")
        await browser.run(
            "await page.waitForFunction(() => document.querySelectorAll('#hooks li').length === 1)"
        )
        await browser.run("await page.locator('#filter').fill('no such thing')")
        await has_text(browser, "#no-webhooks", "None of the last ones fits.")


async def test_the_relay_goes_and_comes_back(tmp_path: Path) -> None:
    async with Browser(tmp_path) as browser:
        async with managed(tmp_path, "doorbell") as relay:
            await opened(browser, relay)
            port = urlsplit(relay.management_url).port
        await has_text(browser, "#live", "the relay does not answer")
        async with managed(tmp_path, "doorbell", port=port or 0) as relay:
            await has_text(browser, "#live", "live")
            await post(relay, "doorbell", "ding")
            await has_text(browser, "#hooks summary", "doorbell")


# For everyone


async def filled(browser: Browser, relay: SelfHostedRelay) -> None:
    """Something of everything is on the page."""
    async with interface(relay) as http:
        for name in ("front", "back"):
            await http.post("/v1/buckets", json={"name": name, "description": "The one at the garden gate"})
        output = {"name": "shed", "destination": "http://shed.local/a/rather/long/address/for/a/small/phone"}
        await http.post("/v1/buckets/front/outputs", json=output)
    await post(relay, "front", '{"door": "front"}')
    await post(relay, "declared", "x" * 500)
    await opened(browser, relay)
    await add(browser, "#new-token", "Make a token", description="shed")
    await browser.run("await page.locator('.add > summary').first().click()")
    await browser.run("await page.locator('#hooks summary').first().click()")
    await browser.run("await page.locator('#hooks pre').first().waitFor()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_accessible_and_fits_a_phone(tmp_path: Path, scheme: str) -> None:
    async with managed(tmp_path, "declared") as relay, Browser(tmp_path, colorScheme=scheme) as browser:
        client = await subscribed(relay, ["declared"])
        await filled(browser, relay)
        assert await browser.run(AXE) == []
        await browser.run("await page.setViewportSize(size)", size=NARROW)
        assert await browser.run(AXE) == []
        await fits(browser, NARROW)
        await clean(browser, relay.management_url)
        await client.close()


async def test_everything_can_be_reached_by_the_keyboard(tmp_path: Path) -> None:
    async with managed(tmp_path, "declared") as relay, Browser(tmp_path) as browser:
        await filled(browser, relay)
        reached = set()
        for _ in range(50):
            await browser.run("await page.keyboard.press('Tab')")
            reached.add(
                await browser.run(
                    "return await page.evaluate(() => { const one = document.activeElement;"
                    " return one.getAttribute('aria-label') || one.id || one.name || one.textContent; })"
                )
            )
        assert {"sign-out", "filter", "pause", "Add a bucket", "Add an output", "made-copy"} <= reached
        assert {"Delete the bucket front", "Switch off the output shed of front"} <= reached
        assert {"Send again POST /", "Delete the token shed"} <= reached


# Strangers

ATTACK = """
await page.goto(own);
return await page.evaluate(async ([own, target, credentials]) => {
  const body = '{"name": "attack"}', Authorization = credentials;
  const attempts = {
    itself: () => fetch(own).then(() => "reached"),
    read: () => fetch(target).then((answer) => answer.text()),
    list: () => fetch(`${target}v1/buckets`, {headers: {Authorization}}).then((answer) => answer.text()),
    change: () => fetch(`${target}v1/buckets`,
      {method: "POST", headers: {Authorization, "X-Relay-Bridge": "1"}, body}).then((one) => one.text()),
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
}, [own, target, credentials]);
"""


async def test_other_pages_of_the_browser_reach_nothing_even_with_a_token(tmp_path: Path) -> None:
    async with managed(tmp_path, "doorbell") as relay, recording_server() as stranger:
        port = urlsplit(relay.management_url).port
        # The stranger's name means this machine, which the browser takes for the stranger's own.
        rules = f"--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1:{port}"
        async with Browser(tmp_path, args=[rules]) as browser:
            own = f"http://evil.example:{urlsplit(stranger.url).port}/"
            credentials = aiohttp.encode_basic_auth("pi", SECRET)
            found: dict[str, Any] = await browser.run(
                ATTACK, own=own, target=f"{relay.management_url}/", credentials=credentials
            )
            assert found.pop("itself") == "reached"
            assert set(found.values()) == {"refused"}, found
            rebound = await browser.run(
                "const found = await page.goto(url); return [found.status(), await page.textContent('body')]",
                url=f"http://rebound.example:{port}/",
            )
            assert rebound == [421, "this server is not known by that name\n"]
        assert [one.name for one in relay.registry.catalog.buckets] == ["doorbell"]


async def test_what_an_input_answers_can_not_touch_the_page(tmp_path: Path) -> None:
    steal = "<script>fetch(PAGE + 'v1/buckets').then(() => (document.title = 'reached'))</script>"
    async with managed(tmp_path) as relay, Browser(tmp_path) as browser:
        body = steal.replace("PAGE", f"'{relay.management_url}/'")
        async with interface(relay) as http:
            bucket = await (await http.post("/v1/buckets", json={"name": "evil"})).json()
            (entry,) = bucket["inputs"]
            answer = {"body": f"<title>mine</title>{body}", "headers": {"Content-Type": "text/html"}}
            changed = await http.put(f"/v1/buckets/evil/inputs/{entry['id']}", json=answer)
            assert changed.status == 200
        await browser.run("await page.goto(url)", url=f"{relay.url}/v1/webhooks/{entry['id']}")

        async def is_refused() -> bool:
            return bool((await browser.run("return seen"))["complaints"])

        await eventually_async(is_refused)
        assert await browser.run("return await page.title()") == "mine"
