"""HTTP servers on port 0, well-behaved and not, and what is needed to send to them."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.config.model import ServiceSettings
from bridge.message import Delivery, HttpRequest, Result
from bridge.targets.http import HttpTarget
from bridge.webhook import Webhook
from tests.support.waiting import eventually

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Recorder:
    """A `Listener` that remembers."""

    results: list[tuple[Delivery, Result]] = field(default_factory=list)
    available_calls: int = 0

    def finished(self, delivery: Delivery, result: Result) -> None:
        self.results.append((delivery, result))

    def available(self, _target: str) -> None:
        self.available_calls += 1


@dataclass
class Seen:
    """One request as a recording server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass
class RecordingServer:
    """A web server that remembers its requests and answers with `status`, once `gate` is open."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[Seen] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Seen(request.method, request.raw_path, headers, await request.read()))
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return web.Response(status=self.status, headers=self.headers)


@asynccontextmanager
async def recording_server(
    *, port: int = 0, tls: ssl.SSLContext | None = None, status: int = 200
) -> AsyncIterator[RecordingServer]:
    """A recording server with its gate open."""
    server = RecordingServer(status=status)
    server.gate.set()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()


@dataclass
class RawServer:
    """A TCP server that follows a script on each connection, for answers that no web server gives."""

    script: Script
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    """Each request's bytes, where the script read it by `receive`."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.create_task(self._follow(reader, writer)))

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.script(reader, writer)
        finally:
            writer.close()

    async def receive(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request, head and body, as its bytes were on the wire."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head, re.IGNORECASE)
        request = head + await reader.readexactly(int(length[1]) if length else 0)
        self.requests.append(request)
        return request


@asynccontextmanager
async def raw_server(script: Callable[[RawServer], Script]) -> AsyncIterator[RawServer]:
    """A server that follows `script`, which is given the server to receive with."""
    raw = RawServer(script=_unset)
    raw.script = script(raw)
    server = await asyncio.start_server(raw.accept, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for task in raw.tasks:
            task.cancel()
        await asyncio.gather(*raw.tasks, return_exceptions=True)
        await server.wait_closed()


async def _unset(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    raise NotImplementedError


def answering(*answers: bytes) -> Callable[[RawServer], Script]:
    """A script that gives one answer to each request of a connection in turn, and then closes it."""

    def script(raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await raw.receive(reader)
                writer.write(answer)
                await writer.drain()

        return follow

    return script


def make_delivery(
    url: str,
    *,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    raw: bytes = b'{"event": "ring"}',
    seq: int = 1,
) -> Delivery:
    """A delivery of one HTTP request."""
    webhook = Webhook(
        id=f"w{seq}",
        bucket="doorbell",
        bucket_id="b1",
        input="in",
        input_id="i1",
        output="",
        destination="",
        method=method,
        query_string="",
        headers={},
        raw=raw,
        received_at=0.0,
    )
    request = HttpRequest(method, url, headers, body)
    return Delivery(seq, seq, webhook, request, "http:test", None, "ring", 1)


async def deliver(target: HttpTarget, recorder: Recorder, delivery: Delivery) -> Result:
    """Send one delivery and wait for its result."""
    target.send(delivery)
    return await result_of(recorder, delivery)


async def result_of(recorder: Recorder, delivery: Delivery, timeout: float = 10.0) -> Result:
    """The result of a delivery that was sent."""
    found = await eventually(lambda: [r for d, r in recorder.results if d is delivery], timeout, every=0.002)
    return found[0]


@asynccontextmanager
async def running(url: str, **settings: Any) -> AsyncIterator[tuple[HttpTarget, Recorder]]:
    """A started target and what it told its listener."""
    recorder = Recorder()
    target = HttpTarget(ServiceSettings(name="test", url=url, **settings), recorder)
    await target.start()
    try:
        yield target, recorder
    finally:
        await target.close(0)
