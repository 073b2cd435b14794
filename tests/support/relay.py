"""A scripted relay on port 0: speaks the protocol as documented, and misbehaves on request."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bridge.relay.frames import encode_webhook
from bridge.relay.protocol import AuthRequested, Refused, ServerProtocol, SubscribeRequested
from bridge.webhook import Webhook
from tests.support.waiting import eventually

Conversation = Callable[[ServerConnection], Awaitable[None]]
HttpAnswer = tuple[HTTPStatus, dict[str, str]]

# A test that looks for secrets in the log means the client's, not this server's.
_quiet = logging.getLogger("tests.relay")
_quiet.setLevel(logging.ERROR)

KEY, SECRET = "the-key", "the-s3cr3t"


def a_webhook(number: int = 0, *, body: str = "{}", bucket: str = "doorbell") -> Webhook:
    """A webhook as the relay would send it; its id is its number."""
    return Webhook(
        id=str(number),
        bucket=bucket,
        bucket_id=f"{bucket}-id",
        input="Default public endpoint",
        input_id="input-id",
        output="",
        destination="/",
        method="POST",
        query_string="",
        headers={"content-type": ("application/json",)},
        raw=body.encode(),
        received_at=0.0,
    )


@dataclass
class ScriptedRelay:
    """What a test sees of a relay, and its switches."""

    secret: str = SECRET
    names: Sequence[str] = ("doorbell",)
    """Bucket names that it confirms where a client asks for every bucket."""
    http_answers: list[HttpAnswer] = field(default_factory=list)
    """Answers to the next handshakes, instead of a WebSocket."""
    conversation: Conversation | None = None
    """Replaces the whole conversation of each new connection."""
    handshakes: int = 0
    attempts: list[float] = field(default_factory=list)
    """Loop times of the handshakes."""
    connections: list[ServerConnection] = field(default_factory=list)
    """Every one that finished the handshake, in order."""
    subscribers: list[ServerConnection] = field(default_factory=list)
    subscriptions: list[SubscribeRequested] = field(default_factory=list)
    credentials: list[tuple[str, str]] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    close_codes: list[int | None] = field(default_factory=list)
    port: int = 0
    secure: bool = False

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}/v1/socket"

    async def send(self, *messages: Webhook | str | bytes) -> None:
        """Send to everyone who is subscribed."""
        for message in messages:
            data = encode_webhook(message) if isinstance(message, Webhook) else message
            for subscriber in self.subscribers:
                await subscriber.send(data)

    async def converse(self, connection: ServerConnection) -> None:
        """The documented conversation."""
        protocol = ServerProtocol()
        async for message in connection:
            self.received.append(message)
            match protocol.receive(message):
                case AuthRequested(key, secret):
                    self.credentials.append((key, secret.reveal()))
                    good = secret.reveal() == self.secret
                    await connection.send(
                        protocol.authenticated() if good else protocol.refused("no such key")
                    )
                case SubscribeRequested(buckets) as request:
                    self.subscriptions.append(request)
                    await connection.send(protocol.subscribed(buckets or self.names))
                    self.subscribers.append(connection)
                case Refused(reason):
                    await connection.send(protocol.refused(reason))

    async def greet_and_close(self, connection: ServerConnection) -> None:
        """A conversation that ends as soon as the subscription is confirmed."""
        conversation = asyncio.create_task(self.converse(connection))
        await eventually(lambda: connection in self.subscribers or conversation.done())
        await connection.close(1011, "\x1b[31mred")
        await conversation

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        try:
            await (self.conversation or self.converse)(connection)
        except ConnectionClosed:
            pass
        finally:
            if connection in self.subscribers:
                self.subscribers.remove(connection)
            await connection.close()
            self.close_codes.append(connection.close_code)

    def answer(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.handshakes += 1
        self.attempts.append(connection.loop.time())
        if not self.http_answers:
            return None
        status, headers = self.http_answers.pop(0)
        return Response(status.value, status.phrase, Headers({**headers, "Content-Length": "0"}))


@asynccontextmanager
async def scripted_relay(port: int = 0, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedRelay]:
    """A relay that runs; its connections are cut at the end."""
    relay = ScriptedRelay(secure=tls is not None)
    server: Server = await serve(
        relay.serve,
        "127.0.0.1",
        port,
        process_request=relay.answer,
        max_size=None,
        close_timeout=1,
        logger=_quiet,
        ssl=tls,
    )
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        for connection in relay.connections:
            connection.transport.abort()
        server.close()
        await server.wait_closed()
