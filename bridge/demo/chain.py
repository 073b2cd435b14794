"""The demo's chain: everything started in order, a real bridge process in its middle."""

import asyncio
import os
import secrets
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

import aiohttp

from bridge.demo.arrivals import Service, Subscriber, Tell
from bridge.demo.broker import DemoBroker
from bridge.demo.samples import BUCKETS, Sample
from bridge.errors import BridgeError
from bridge.folders import SOCKET_NAME
from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay

ROUTES = Path(__file__).with_name("routes.yaml")
READY_SECONDS = 20.0


class DemoFailed(BridgeError):
    """The chain could not be put together."""


class Chain:
    """Relay, broker, bridge, service and subscriber; use it as an asynchronous context manager."""

    def __init__(self, tell: Tell, port: int = 0) -> None:
        self._tell = tell
        self._port = port
        self._parts = AsyncExitStack()
        self._secret = secrets.token_urlsafe(24)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as parts:
            self.folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="relay-bridge-demo-")))
            self.service = Service(self._tell)
            self.broker = DemoBroker(self.folder)
            self.relay = self._make_relay()
            for part in (self.relay, self.service, self.broker):
                parts.push_async_callback(part.close)
                await part.start()
            subscriber = Subscriber(self.broker.port, self._tell)
            parts.push_async_callback(subscriber.close)
            await subscriber.start()
            await self._start_bridge(parts)
            self._session = await parts.enter_async_context(aiohttp.ClientSession())
            self.page = await self._find_page()
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()

    def _make_relay(self) -> SelfHostedRelay:
        buckets = tuple(Bucket.named(name) for name in dict.fromkeys(BUCKETS))
        settings = Settings(tokens=(Token("demo", Secret(self._secret)),), buckets=buckets)
        return SelfHostedRelay(settings, host="127.0.0.1", port=self._port)

    async def _start_bridge(self, parts: AsyncExitStack) -> None:
        environment = os.environ | {
            "DEMO_RELAY": self.relay.socket_url,
            "DEMO_SECRET": self._secret,
            "DEMO_BROKER": f"mqtt://127.0.0.1:{self.broker.port}",
            "DEMO_SERVICE": self.service.url,
            "STATE_DIRECTORY": str(self.folder / "state"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }
        arguments = ("-m", "bridge", "run", "--log-level", "warning", "-c", str(ROUTES))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=environment,
            start_new_session=True,  # Ctrl-C ends the demo, which then ends this in its turn
        )
        parts.push_async_callback(_end, process)
        try:
            async with asyncio.timeout(READY_SECONDS):
                while self.relay.subscribers == 0:
                    if process.returncode is not None:
                        raise DemoFailed(f"the bridge ended with exit status {process.returncode}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise DemoFailed(f"the bridge did not subscribe within {READY_SECONDS:g} s") from None

    async def _find_page(self) -> str:
        """Where the bridge's console is, as its control socket says."""
        control = aiohttp.UnixConnector(str(self.folder / "run" / SOCKET_NAME))
        async with aiohttp.ClientSession(connector=control) as session, asyncio.timeout(READY_SECONDS):
            while True:
                with suppress(aiohttp.ClientConnectorError):  # it comes after the subscription
                    async with session.post("http://localhost/status") as response:
                        status = await response.json()
                    if status["console"]["url"]:
                        return str(status["console"]["url"])
                await asyncio.sleep(0.02)

    async def post(self, sample: Sample) -> None:
        """Send a sample to its bucket's public address."""
        headers = {"Content-Type": sample.content_type, **dict(sample.headers)}
        url = self.relay.webhook_url(sample.bucket)
        async with self._session.post(url, data=sample.body.encode(), headers=headers) as response:
            response.raise_for_status()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()
