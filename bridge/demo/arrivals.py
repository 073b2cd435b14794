"""What comes out at the other end: an MQTT subscriber and an HTTP service that tell what they get."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

Tell = Callable[[str, bytes], None]
"""Called on the event loop with `mqtt TOPIC` or `http PATH`, and the payload."""

SUBSCRIBE_SECONDS = 10.0


class Subscriber:
    """Subscribes to everything at the demo's broker."""

    def __init__(self, port: int, tell: Tell) -> None:
        self._port = port
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._subscribed = asyncio.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def _on_subscribe(self, *_: object) -> None:
        """Called on paho's thread."""
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        """Called on paho's thread."""
        self._loop.call_soon_threadsafe(self._tell, f"mqtt {message.topic}", bytes(message.payload))

    async def start(self) -> None:
        """Connect, and wait for the subscription."""
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port)
        self._client.loop_start()
        async with asyncio.timeout(SUBSCRIBE_SECONDS):
            await self._subscribed.wait()

    async def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)


class Service:
    """An HTTP service that takes everything."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free loopback port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _take(self, request: web.Request) -> web.Response:
        self._tell(f"http {request.path}", await request.read())
        return web.Response()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
