"""A relay's side of the faults: what it writes between good frames, and how it leaves its clients."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.relay.frames import encode_webhook
from bridge.webhook import Webhook
from tests.chaos.proxy import reset
from tests.support.relay import ScriptedRelay
from tests.support.waiting import eventually

DEEP = 20_000

BAD_FRAMES: tuple[str | bytes, ...] = (
    "",
    "{",
    "[]",
    "null",
    "\x00",
    "NaN",
    b"\x00\xff binary",
    b'{"type":"webhook"}',
    "[" * DEEP,
    '{"type":"webhook","body":' * DEEP,
    '{"type":"webhook","x":' + "[" * 600 + "]" * 600 + "}",
    '{"type":"webhook", "x":' + "[" * 1000 + "]" * 1000 + "}",
    '{"type":"webhook","type":"webhook","meta":{"id":"twice"}}',
    '{"type":"webhook","meta":{"id":"x","id":"y"},"body":"{}"}',
    '{"type":"webhook","meta":{"id":7},"body":"{}"}',
    '{"type":"webhook","meta":[],"body":"{}"}',
    '{"type":"webhook","body":NaN}',
    '{"type":"webhook","body":1e400}',
    '{"type":"webhook","body":"\\ud800"}',
    '{"type":"webhook","headers":{"x":5}}',
    '{"type":"webhook","query":' + "9" * 5000 + "}",
    '{"type":"status","status":"on-holiday"}',
    '{"type":"status","status":null}',
    '{"type":"from-the-future","data":{"a":[1,2,3]}}',
)
"""Nothing of this is a webhook, and none of it may cost the connection."""


class Pusher:
    """Writes webhooks to whoever is subscribed, and knows how many it wrote."""

    def __init__(self, relay: ScriptedRelay) -> None:
        self.relay = relay

    @property
    def subscriber(self) -> ServerConnection | None:
        """The newest subscriber, while it is connected."""
        return self.relay.subscribers[-1] if self.relay.subscribers else None

    async def push(self, webhooks: Sequence[Webhook]) -> int:
        """Write them to the subscriber; how many may have reached its socket before the connection ended."""
        subscriber = self.subscriber
        if subscriber is None:
            return 0
        for index, webhook in enumerate(webhooks):
            try:
                await subscriber.send(encode_webhook(webhook))
            except ConnectionClosed:
                return index + 1  # the last one may have been written before the end was seen
        return len(webhooks)

    async def say(self, frame: str | bytes) -> None:
        """Write something that is no webhook."""
        subscriber = self.subscriber
        if subscriber is not None:
            with suppress(ConnectionClosed):
                await subscriber.send(frame)

    async def ping(self) -> None:
        """The protocol's own keepalive."""
        await self.say('{"type":"status","status":"ping"}')

    async def leave(self, code: int) -> None:
        """Close as a server does that goes away (1001), broke (1011) or restarts (1012)."""
        subscriber = self.subscriber
        if subscriber is not None:
            await subscriber.close(code)

    def reset(self) -> None:
        """End every connection with RST."""
        for connection in list(self.relay.subscribers):
            reset(connection.transport)

    def stall(self) -> None:
        """Neither read nor answer any more, keepalive pings included."""
        for connection in self.relay.subscribers:
            connection.transport.pause_reading()

    def go_on(self) -> None:
        """End a `stall`."""
        for connection in self.relay.subscribers:
            connection.transport.resume_reading()

    def answer_next(self, status: HTTPStatus, *, times: int = 1, retry_after: str | None = None) -> None:
        """Answer the next handshakes like this."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        self.relay.http_answers += [(status, headers)] * times

    def accept_and_close(self, times: int) -> None:
        """Take the next connections, say nothing, and close them."""
        left = times

        async def converse(connection: ServerConnection) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                self.relay.conversation = None
            await connection.close(1000)

        self.relay.conversation = converse

    async def gone(self) -> None:
        """Returns once nobody is subscribed."""
        await eventually(lambda: not self.relay.subscribers)

    async def cut(self) -> None:
        """RST, and wait until nobody is subscribed."""
        self.reset()
        await self.gone()
        await asyncio.sleep(0)
