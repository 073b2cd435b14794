import asyncio
import logging
import time

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from bridge.selfhosted.resources import Bucket, Input, Limits
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import bodies, opened, post, running, settings_of, subscribed
from tests.support.waiting import eventually


async def test_it_says_where_it_is() -> None:
    async with running(settings_of("a")) as relay:
        assert relay.port > 0
        assert relay.url == f"http://127.0.0.1:{relay.port}"
        assert relay.socket_url == f"ws://127.0.0.1:{relay.port}/v1/socket"
        assert relay.webhook_url("a") == f"{relay.url}/v1/webhooks/{Bucket.named('a').inputs[0].id}"
        with pytest.raises(LookupError):
            relay.webhook_url("b")


async def test_an_ipv6_address_is_written_in_brackets() -> None:
    relay = SelfHostedRelay(settings_of("a"), host="::1", port=8123)
    assert relay.url == "http://[::1]:8123"


async def test_health_and_everything_else() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        async with http.get(f"{relay.url}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
            assert "Server" not in answer.headers
        async with http.get(f"{relay.url}/v1/functions") as answer:
            assert answer.status == 404


async def test_stopping_tells_every_connection_and_frees_the_port() -> None:
    relay = SelfHostedRelay(settings_of("a"))
    await relay.start()
    clients = [await subscribed(relay), await opened(relay)]
    port = relay.port
    await relay.close()
    for client in clients:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1001, "the relay stops")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await relay.close()


async def test_what_waits_is_written_before_the_relay_stops() -> None:
    relay = SelfHostedRelay(settings_of("a"))
    await relay.start()
    client = await subscribed(relay)
    bucket = Bucket.named("a").id
    for i in range(500):
        relay.hub.publish(bucket, f'{{"body": "{i}{"x" * 1000}"}}')
    closing = asyncio.create_task(relay.close())
    received = await bodies(client, 500)
    assert [one.rstrip("x") for one in received] == [str(i) for i in range(500)]
    await closing


async def test_nobody_holds_up_the_stop() -> None:
    relay = SelfHostedRelay(settings_of("a", limits=Limits(close=0.1, stop=0.1)))
    await relay.start()
    deaf = await subscribed(relay, max_queue=1, ping_interval=None)
    deaf.transport.pause_reading()
    relay.hub.publish(Bucket.named("a").id, "x" * 10_000_000)
    _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    path = relay.webhook_url("a").removeprefix(relay.url)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf".encode())
    await eventually(lambda: relay.counters.delivered == 1)
    started = time.monotonic()
    await relay.close()
    assert time.monotonic() - started < 3.0
    assert relay.subscribers == 0
    assert relay.counters.received == 0
    writer.close()
    deaf.transport.abort()


async def test_it_starts_again_on_the_same_port_with_the_same_urls() -> None:
    async with running(settings_of("a")) as relay:
        port, url = relay.port, relay.webhook_url("a")
        client = await subscribed(relay)
    async with running(settings_of("a"), port) as relay:
        assert relay.webhook_url("a") == url
        await post(relay, "a", "before it is back")
        client = await subscribed(relay)
        assert await bodies(client, 1) == ["before it is back"]
        await client.close()


async def test_an_address_in_use_is_an_error_and_leaves_nothing_behind() -> None:
    async with running(settings_of("a")) as relay:
        second = SelfHostedRelay(settings_of("a"), port=relay.port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        await second.close()
        await post(relay, "a", "1")


@pytest.mark.parametrize(
    ("host", "input_id", "warned"),
    [("0.0.0.0", None, True), ("127.0.0.1", None, False), ("localhost", None, False), ("", "own-id", False)],  # noqa: S104  # that it is noticed is the point
)
async def test_urls_that_can_be_guessed_are_a_warning_where_others_can_reach_them(
    host: str, input_id: str | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = Bucket("a", "b", (Input("in", input_id),)) if input_id else Bucket.named("a")
    relay = SelfHostedRelay(settings_of(bucket), host=host)
    await relay.start()
    await relay.close()
    assert any(one.levelno == logging.WARNING for one in caplog.records) is warned
