"""What nobody may find out: secrets by the log, and inputs by time."""

import base64
import logging
import statistics
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bridge.secret import Secret
from bridge.selfhosted import hashes
from bridge.selfhosted.resources import Auth, Bucket, Output, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.canary import forms
from tests.support.relay_clients import heard, interface, opened, post, running, say, settings_of, subscribed

DECLARED = Token("pi", Secret("canary-declared-5d1e"))
API_KEY = Token("whr", Secret("canary-api-key-8c2f"))
HOOK = "canary-hook-71b3"
PASSWORD = "canary-password-e09a"
WRONG = "canary-wrong-guess-44d6"
OUTPUT = "canary-output-header-b6f0"
KEY = base64.b64encode(b"canary-state-key-0123456789-abcd").decode()


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "COST", 4)


def settings(state: Path) -> Settings:
    output = Output("out", "http://127.0.0.1:1/in", internal=False, retries=0, headers=(("X-Key", OUTPUT),))
    guarded = replace(Bucket.named("guarded", outputs=[output]), auth=Auth(None, Secret(HOOK)))
    return replace(settings_of("a", guarded), tokens=(DECLARED, API_KEY), state=state, state_key=Secret(KEY))


async def attempt(relay: SelfHostedRelay, key: str, secret: str) -> str:
    client = await opened(relay, additional_headers={"User-Agent": "test"})
    await say(client, {"action": "auth", "key": key, "secret": secret})
    status = str((await heard(client))["status"])
    await client.close()
    return status


async def use_every_secret(relay: SelfHostedRelay) -> list[str]:
    """Right and wrong; the secrets that were made meanwhile."""
    made = []
    async with interface(relay, DECLARED) as http:
        async with http.post("/v1/tokens", json={"description": "x"}) as answer:
            made.append((await answer.json())["secret"])
        auth = {"type": "basic", "username": "u", "password": PASSWORD}
        async with http.post("/v1/buckets", json={"name": "made", "auth": auth}) as answer:
            assert answer.status == 201
        async with http.post("/v1/buckets", json={"name": PASSWORD * 40}) as answer:
            assert answer.status == 400
    basic = base64.b64encode(f"{DECLARED.key}:{WRONG}".encode()).decode()
    async with aiohttp.ClientSession(relay.url) as http:
        for credentials in (f"Bearer {API_KEY.secret.reveal()}", f"Bearer {WRONG}", f"Basic {basic}", WRONG):
            async with http.get("/v1/buckets", headers={"Authorization": credentials}):
                pass
        for name, shown in (("guarded", HOOK), ("guarded", WRONG), ("made", PASSWORD)):
            url = relay.webhook_url(name).removeprefix(relay.url)
            async with http.post(url, data=b"x", headers={"Authorization": f"Bearer {shown}"}):
                pass
    assert await attempt(relay, "pi", DECLARED.secret.reveal()) == "authenticated"
    assert await attempt(relay, "pi", WRONG) == "unauthorized"
    assert await attempt(relay, WRONG, WRONG) == "unauthorized"
    client = await subscribed(relay, token=DECLARED)
    await client.send(f'{{"action": "auth", "secret": "{WRONG}"')
    await say(client, {"action": "auth", "key": "pi", "secret": DECLARED.secret.reveal()})
    await client.close()
    return made


async def test_no_secret_is_in_a_log_or_shown_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge")
    caplog.set_level(logging.DEBUG, logger="aiohttp")
    async with running(settings(tmp_path)) as relay:
        made = await use_every_secret(relay)
        shown = ""
        async with interface(relay, DECLARED) as http:
            for path in ("buckets", "tokens", "logs", "connected-clients", "openapi.json"):
                async with http.get(f"/v1/{path}") as answer:
                    assert answer.status == 200
                    shown += await answer.text()
        text = caplog.text + repr(relay.registry.catalog.buckets) + repr(settings(tmp_path))
    assert "subscribed with the key 'pi'" in text
    hidden = [*made, DECLARED.secret.reveal(), API_KEY.secret.reveal(), HOOK, PASSWORD, WRONG, KEY]
    for secret in hidden:
        for form in forms(secret):
            assert form.decode("latin-1") not in text, secret
    # Whoever may read buckets sees the headers that their outputs set, and a sender's own in the log.
    for secret in set(hidden) - {HOOK, WRONG, PASSWORD}:
        assert secret not in shown, secret


async def test_known_and_unknown_inputs_take_the_same_time(tmp_path: Path) -> None:
    """Of the ones, webhooks are on the disk before the answer."""
    async with running(replace(settings_of("a"), state=tmp_path)) as relay, aiohttp.ClientSession() as http:
        await post(relay, "a", *map(str, range(10)))
        paths = {"known": relay.webhook_url("a"), "unknown": f"{relay.url}/v1/webhooks/nobody"}
        times: dict[str, list[float]] = {what: [] for what in paths}
        for _ in range(40):
            for what, url in paths.items():
                began = time.perf_counter()
                async with http.post(url, data=b"x" * 100) as answer:
                    assert (answer.status, await answer.read()) == (200, b"")
                times[what].append(time.perf_counter() - began)
    known, unknown = (statistics.median(one) for one in times.values())
    print(f"known {known * 1000:.2f} ms, unknown {unknown * 1000:.2f} ms")  # noqa: T201  # figures, for -rP
    assert 0.33 < known / unknown < 3
