import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.config.model import RelaySettings
from bridge.doctor.finding import Check, Finding, State
from bridge.doctor.relay import check_relay
from bridge.relay.client import RelayClient
from bridge.secret import Secret
from bridge.selfhosted.server import SelfHostedRelay
from bridge.webhook import Webhook
from tests.support import relay as scripted
from tests.support.doctor import shifted_dates
from tests.support.mosquitto import free_port
from tests.support.relay import scripted_relay
from tests.support.relays import KEY, SECRET, post, running_relay, sender
from tests.support.tls import make_certificates
from tests.support.waiting import eventually

RUNNING = {"relay": {"state": "subscribed"}}


def settings(url: str, *, secret: str = SECRET, bucket: str = "doorbell") -> RelaySettings:
    return RelaySettings(url=url, key=KEY, secret=Secret(secret), buckets=(bucket,))


async def findings(what: RelaySettings, status: Mapping[str, Any] | None = None) -> dict[Check, Finding]:
    return {one.check: one for one in await check_relay(what, status)}


def states(found: Mapping[Check, Finding]) -> dict[Check, State]:
    return {check: one.state for check, one in found.items()}


@asynccontextmanager
async def subscribed(relay: SelfHostedRelay) -> AsyncIterator[list[Webhook]]:
    """Another subscriber, and what it gets."""
    before, got = relay.subscribers, list[Webhook]()
    client = RelayClient(key=KEY, secret=SECRET, buckets=["doorbell"], url=relay.socket_url)
    run = asyncio.create_task(client.run(got.append))
    try:
        await eventually(lambda: relay.subscribers == before + 1)
        yield got
    finally:
        await client.close()
        await run


async def test_the_wrong_secret_is_named_and_not_shown() -> None:
    async with running_relay("doorbell") as relay:
        found = await findings(settings(relay.socket_url, secret="wr0ng-canary"))
    assert states(found)[Check.RELAY_REACHED] is State.GOOD
    credentials = found[Check.RELAY_CREDENTIALS]
    assert credentials.state is State.BAD
    assert "refused the credentials" in credentials.detail
    assert "relay.secret" in credentials.remedy
    assert "wr0ng-canary" not in repr(found)


async def test_an_untrusted_certificate_is_named_and_the_stranger_told_nothing(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server_cert, made.server_key)
    async with scripted_relay(tls=tls) as relay:
        found = await findings(settings(relay.url))
        assert relay.received == []
    assert states(found)[Check.RELAY_REACHED] is State.GOOD
    assert found[Check.RELAY_TLS].state is State.BAD
    assert "not trusted" in found[Check.RELAY_TLS].detail
    assert "update-ca-certificates" in found[Check.RELAY_TLS].remedy
    assert states(found)[Check.RELAY_CREDENTIALS] is State.SKIPPED


async def test_a_trusted_certificate_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server_cert, made.server_key)
    async with scripted_relay(tls=tls) as relay:
        found = await findings(settings(relay.url, secret=scripted.SECRET))
        assert relay.subscriptions == []
    assert states(found)[Check.RELAY_TLS] is State.GOOD
    assert states(found)[Check.RELAY_CREDENTIALS] is State.GOOD


async def test_nobody_at_the_address() -> None:
    found = await findings(settings(f"ws://127.0.0.1:{free_port()}/v1/socket"))
    assert found[Check.RELAY_REACHED].state is State.BAD
    assert "relay.url" in found[Check.RELAY_REACHED].remedy
    others = states(found)
    del others[Check.RELAY_REACHED]
    assert set(others.values()) == {State.SKIPPED}


@pytest.mark.parametrize(("seconds", "said"), [(300.0, "s behind"), (-300.0, "s ahead of")])
async def test_a_clock_that_is_minutes_off(seconds: float, said: str) -> None:
    async with running_relay("doorbell") as relay, shifted_dates(relay.port, seconds) as port:
        found = await findings(settings(f"ws://127.0.0.1:{port}/v1/socket"))
    clock = found.pop(Check.RELAY_CLOCK)
    assert clock.state is State.BAD
    assert said in clock.detail
    assert "timedatectl set-ntp true" in clock.remedy
    assert State.BAD not in states(found).values()


async def test_a_bucket_that_does_not_exist() -> None:
    async with running_relay("doorbell") as relay:
        found = await findings(settings(relay.socket_url, bucket="dorbell"))
    assert found[Check.RELAY_BUCKETS].state is State.BAD
    assert "dorbell" in found[Check.RELAY_BUCKETS].detail


async def test_a_second_subscriber_is_described() -> None:
    async with running_relay("doorbell") as relay, subscribed(relay), subscribed(relay):
        found = (await findings(settings(relay.socket_url), RUNNING))[Check.RELAY_SUBSCRIBERS]
    assert found.state is State.BAD
    assert found.detail.startswith("2 are subscribed: ")
    assert found.detail.count("at 127.0.0.1 since ") == 2
    assert "stop the other subscriber" in found.remedy


async def test_the_daemon_is_no_second_subscriber() -> None:
    async with running_relay("doorbell", "other") as relay, subscribed(relay):
        assert states(await findings(settings(relay.socket_url), RUNNING))[Check.RELAY_SUBSCRIBERS] is (
            State.GOOD
        )
        stranger = (await findings(settings(relay.socket_url)))[Check.RELAY_SUBSCRIBERS]
        assert stranger.state is State.SKIPPED
        elsewhere = await findings(settings(relay.socket_url, bucket="other"))
        assert states(elsewhere)[Check.RELAY_SUBSCRIBERS] is State.GOOD


async def test_the_visit_takes_no_webhook_from_the_bridge() -> None:
    async with running_relay("doorbell") as relay, sender() as session:
        async with subscribed(relay) as got:
            await post(session, relay.webhook_url("doorbell"), b"1")
            await eventually(lambda: len(got) == 1)
        await eventually(lambda: relay.subscribers == 0)
        await post(session, relay.webhook_url("doorbell"), b"2")
        await findings(settings(relay.socket_url))
        async with subscribed(relay) as got:
            await eventually(lambda: b"2" in [one.raw for one in got])


async def test_a_relay_without_an_http_interface_is_no_fault() -> None:
    async with scripted_relay() as relay:
        found = await findings(settings(relay.url, secret=scripted.SECRET))
    assert found[Check.RELAY_CREDENTIALS].state is State.GOOD
    assert found[Check.RELAY_BUCKETS].state is found[Check.RELAY_SUBSCRIBERS].state is State.SKIPPED
    assert State.BAD not in states(found).values()


async def test_a_relay_that_answers_nonsense() -> None:
    async def nonsense(_request: web.Request) -> web.Response:
        return web.json_response({"clients": [{"client_ip": 7, "buckets": "x"}, 3]})

    app = web.Application()
    app.router.add_get("/{rest:.*}", nonsense)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        found = await findings(settings(f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/socket"))
    finally:
        await runner.cleanup()
    assert found[Check.RELAY_REACHED].state is State.BAD
    assert found[Check.RELAY_SUBSCRIBERS].state is State.SKIPPED
