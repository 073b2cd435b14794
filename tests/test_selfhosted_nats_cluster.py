"""A relay on three NATS servers that hold each webhook all: one of them may die."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.resources import NatsSettings
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.mosquitto import HOST, free_port
from tests.support.nats import NatsServer, on
from tests.support.relay_clients import bodies, post, subscribed
from tests.support.waiting import eventually_async


@pytest.fixture(name="servers")
async def _servers(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    routes = [free_port() for _ in range(3)]
    others = ", ".join(f"nats-route://{HOST}:{port}" for port in routes)
    servers = [
        NatsServer(
            tmp_path / str(port),
            f"server_name: n{port}",
            f"cluster {{name: c, listen: '{HOST}:{port}', routes: [{others}]}}",
        )
        for port in routes
    ]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(one) for one in servers))
        yield servers


async def started(servers: list[NatsServer]) -> SelfHostedRelay:
    """A relay, as soon as the servers have agreed on who leads."""
    engine = NatsSettings(tuple(one.url for one in servers), replicas=3)

    async def starts() -> SelfHostedRelay | None:
        relay = SelfHostedRelay(replace(on(servers[0], "a"), engine=engine))
        try:
            await relay.start()
        except EngineUnavailable:
            return None
        return relay

    found = await eventually_async(starts, 30)
    assert found is not None
    return found


async def takes(relay: SelfHostedRelay, body: bytes) -> bool:
    async with aiohttp.ClientSession() as http, http.post(relay.webhook_url("a"), data=body) as answer:
        return answer.status == 200


async def got(relay: SelfHostedRelay, count: int) -> list[str]:
    """What a new subscriber gets; nothing while the servers have not agreed."""
    try:
        return await bodies(await subscribed(relay, ["a"]), count)
    except ConnectionClosed:
        return []


async def test_a_server_dies_and_nothing_is_lost(servers: list[NatsServer]) -> None:
    relay = await started(servers)
    try:
        await post(relay, "a", "1", "2")
        await servers[0].stop(signal.SIGKILL)
        await eventually_async(lambda: takes(relay, b"3"), 30)
        assert await eventually_async(lambda: got(relay, 3), 60) == ["1", "2", "3"]
    finally:
        await relay.close()
