"""Clients of a self-hosted relay, for tests."""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Limits, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay

TOKEN = Token("pi", Secret("s3cr3t"))
OTHER = Token("node-red", Secret("0ther"))


def settings_of(*buckets: Bucket | str, limits: Limits | None = None) -> Settings:
    """Settings with two tokens and the buckets, given whole or by name."""
    made = tuple(Bucket.named(one) if isinstance(one, str) else one for one in buckets)
    return Settings((TOKEN, OTHER), made, port=0, limits=limits or Limits(confirm=0.01))


@asynccontextmanager
async def running(settings: Settings, port: int = 0) -> AsyncIterator[SelfHostedRelay]:
    """A relay that listens."""
    relay = SelfHostedRelay(settings, port=port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()


@asynccontextmanager
async def interface(relay: SelfHostedRelay, token: Token = TOKEN) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the HTTP interface with Basic credentials."""
    credentials = base64.b64encode(f"{token.key}:{token.secret.reveal()}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    async with aiohttp.ClientSession(relay.url, headers=headers) as session:
        yield session


async def opened(relay: SelfHostedRelay, **options: Any) -> ClientConnection:
    """A connection that has said nothing yet."""
    return await connect(relay.socket_url, max_size=32 * 1024 * 1024, close_timeout=1, **options)


async def subscribed(
    relay: SelfHostedRelay,
    buckets: Sequence[str] | None = None,
    token: Token = TOKEN,
    *,
    wishes: Mapping[str, str] = MappingProxyType({}),
    **options: Any,
) -> ClientConnection:
    """A connection that is subscribed, with the wishes of a self-hosted relay's client."""
    client = await opened(relay, **options)
    await say(client, {"action": "auth", "key": token.key, "secret": token.secret.reveal()})
    assert (await heard(client))["status"] == "authenticated"
    wanted = {} if buckets is None else {"buckets": list(buckets)}
    await say(client, {"action": "subscribe", **wanted, **wishes})
    answer = await heard(client)
    assert answer["status"] == "subscribed"
    assert wishes.items() <= answer.items()
    return client


async def say(client: ClientConnection, frame: dict[str, Any]) -> None:
    """Send one frame."""
    await client.send(json.dumps(frame))


async def heard(client: ClientConnection) -> dict[str, Any]:
    """The next frame."""
    frame = json.loads(await client.recv())
    assert isinstance(frame, dict)
    return frame


async def bodies(client: ClientConnection, count: int) -> list[str]:
    """The bodies of the next webhooks."""
    return [str((await heard(client))["body"]) for _ in range(count)]


async def post(relay: SelfHostedRelay, bucket: str, *contents: str) -> None:
    """Send webhooks to a bucket's first input, one after the other."""
    async with aiohttp.ClientSession() as session:
        for content in contents:
            async with session.post(relay.webhook_url(bucket), data=content.encode()) as answer:
                assert answer.status == 200
