"""Closes connections on which no request comes: aiohttp itself waits for a first one for ever."""

import asyncio
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.selfhosted.counters import Counters


class IdleConnections:
    """Looks after a server's connections. A middleware tells it which of them have sent a request.

    Args:
        seconds: for which a connection may be open without one.
        counters: counted in.
    """

    def __init__(self, seconds: float, counters: Counters) -> None:
        self._seconds = seconds
        self._counters = counters
        self._since: dict[asyncio.Transport, float] = {}
        self._busy: set[asyncio.Transport] = set()
        self._task: asyncio.Task[None] | None = None

    def watch(self, server: web.Server) -> None:
        """Look after these connections from now on."""
        self._task = asyncio.create_task(self._look(server), name="idle connections")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A request's head came. What follows on its connection, handlers and aiohttp limit themselves."""
        if request.transport is not None:
            self._busy.add(request.transport)
        return await handler(request)

    async def _look(self, server: web.Server) -> None:
        while True:
            await asyncio.sleep(self._seconds / 4)
            now = time.monotonic()
            found = {one.transport for one in server.connections if one.transport is not None}
            self._busy &= found
            self._since = {one: self._since.get(one, now) for one in found - self._busy}
            for transport, since in self._since.items():
                if now - since >= self._seconds:
                    self._counters.idle += 1
                    transport.abort()
