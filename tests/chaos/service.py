"""An HTTP service that answers as it is told, badly for the most part, and knows what it really took."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tests.chaos.proxy import reset

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

Taken = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    takes: bool
    """Whether the service has the webhook then."""
    write: Callable[[asyncio.StreamWriter], Awaitable[None]]


def saying(data: bytes, *, takes: bool = False, then_end: bool = True) -> Answer:
    """Answers with these bytes."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if then_end:
            writer.close()

    return Answer(takes, write)


def status(code: int, *headers: str) -> Answer:
    """A whole answer with this status."""
    lines = "".join(f"{header}\r\n" for header in headers)
    data = f"HTTP/1.1 {code} So\r\nContent-Length: 0\r\n{lines}\r\n".encode()
    return saying(data, takes=200 <= code < 300, then_end=False)


def repeating(head: bytes, piece: bytes, *, takes: bool, pause: float = 0.0) -> Answer:
    """An answer that never ends."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return Answer(takes, write)


async def _hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _reset(writer: asyncio.StreamWriter) -> None:
    reset(writer.transport)


async def _late(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


FINE = status(204)
HANGS = Answer(takes=False, write=_hang)
RESETS = Answer(takes=False, write=_reset)
LATE = Answer(takes=True, write=_late)
HALF_A_STATUS = saying(b"HTTP/1.1 2")
ENDS_AFTER_STATUS = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", takes=True)
GARBAGE = saying(b"\x16\x03\x01 BLAH\r\n\r\n\x00\xff")
HUGE_HEADERS = saying(b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 300_000 + b"\r\n\r\n")
ENDLESS_BODY = repeating(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"4000\r\n" + b"x" * 0x4000 + b"\r\n",
    takes=True,
)
ENDLESS_INTERIM = repeating(b"", b"HTTP/1.1 102 Processing\r\n\r\n", takes=False, pause=0.01)
POISONED = status(400)


class HostileService:
    """Answers `/poison…` with 400, and everything else by `answer`; `taken` is called with what it took."""

    def __init__(self, taken: Taken) -> None:
        self.port = 0
        self.answer = FINE
        self.requests = 0
        self._taken = taken
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._exchange(reader, writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.requests += 1
        path = head.split(b" ", 2)[1].decode()
        answer = POISONED if path.startswith("/poison") else self.answer
        if answer.takes:
            self._taken(path, body)
        await answer.write(writer)
