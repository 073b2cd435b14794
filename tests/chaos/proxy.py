"""A TCP proxy that delays, slices, swallows, freezes, cuts and refuses what goes through it."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

from tests.support.mosquitto import free_port

CHUNK = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset(transport: asyncio.BaseTransport) -> None:
    """End a TCP connection with RST, as a machine that lost its memory of it does."""
    wire = transport.get_extra_info("socket")
    if wire is not None:
        with suppress(OSError):  # it ended by itself a moment ago
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


class FaultProxy:
    """Stands before one port on this machine. Its switches may be changed at any time.

    Attributes:
        port: where to connect to.
        links: connections that were made so far.
        delay: seconds that each piece waits.
        slice: bytes of a piece at most; 0: as they come.
        deaf: whether what the server says is swallowed, its acknowledgements too.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.links = 0
        self.delay = 0.0
        self.slice = 0
        self.deaf = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.admit()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()  # those whose task was cancelled before it began

    async def admit(self) -> None:
        """Listen, on the same port each time."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """End what there is; whoever connects meets a closed port."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut()

    def cut(self, *, with_reset: bool = False) -> None:
        """End every connection, politely or not; a new one is taken."""
        for writer in list(self._writers):
            if with_reset:
                reset(writer.transport)
            else:
                writer.close()
        self._flowing.set()

    def freeze(self) -> None:
        """Connections stay open, and nothing gets through any more: half-open, for both ends."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let everything through as it comes; a connection that lost bytes is no more, so it is cut."""
        if self.deaf:
            self.cut(with_reset=True)
        self.delay, self.slice, self.deaf = 0.0, 0, False
        self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        self._writers.add(writer)
        self._spawn(self._serve(reader, writer))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            reset(writer.transport)
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            answers = self._spawn(self._pump(there, writer, answers=True))
            await self._pump(reader, back, answers=False)
            await asyncio.wait([answers])
        finally:
            self._writers -= {writer, back}
            writer.close()
            back.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                if not (answers and self.deaf):
                    await self._pass_on(data, writer)
        writer.close()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        size = self.slice or len(data)
        for start in range(0, len(data), size):
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data[start : start + size])
            await writer.drain()
            if self.slice:
                await asyncio.sleep(0)  # so that the pieces are pieces on the wire
