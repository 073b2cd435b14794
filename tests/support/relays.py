"""A self-hosted relay inside the test, and a sender for its public addresses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Limits, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay

KEY, SECRET = "pi", "correct horse"


@asynccontextmanager
async def running_relay(
    *buckets: str, port: int = 0, limits: Limits | None = None
) -> AsyncIterator[SelfHostedRelay]:
    settings = Settings(
        tokens=(Token(KEY, Secret(SECRET)),),
        buckets=tuple(Bucket.named(name) for name in buckets),
        limits=limits or Limits(),
    )
    relay = SelfHostedRelay(settings, host="127.0.0.1", port=port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()


def relay_section(relay: SelfHostedRelay, console: str = "off") -> str:
    """The routing file's first lines for this relay.

    Bridges of tests that run side by side would all want the console's port.
    """
    relay_line = f"relay: {{url: '{relay.socket_url}', key: {KEY}, secret: {SECRET}}}"
    return f"{relay_line}\nconsole: {console}\n"


@asynccontextmanager
async def sender() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
        yield session


async def post(session: aiohttp.ClientSession, url: str, body: bytes, **headers: str) -> int:
    """Send one webhook; header names with _ for -."""
    named = {"Content-Type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.post(url, data=body, headers=named) as response:
        await response.read()
        return response.status
