"""The endpoint `/v1/socket`: lets connections in, as many as there is room for."""

import asyncio
import logging
import math
import time
from typing import Final

from aiohttp import WSCloseCode, web

from bridge.selfhosted.gate import TooManyAttempts
from bridge.selfhosted.session import House, Session

logger = logging.getLogger(__name__)

_QUIET: Final = 60.0
"""Seconds between two lines about refused clients: some of them try again every 3 s for ever."""


class Sockets:
    """All connections of subscribers."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._counters = house.counters
        self._sessions: set[Session] = set()
        self._all_closed = asyncio.Event()
        self._stopping = False
        self._refused_told = 0
        self._quiet_until = 0.0

    @property
    def subscribers(self) -> int:
        """Connections that are subscribed."""
        return sum(one.subscriber is not None for one in self._sessions)

    @property
    def sessions(self) -> list[Session]:
        """The conversations of those that are subscribed."""
        return [one for one in self._sessions if one.subscriber is not None]

    def reconcile(self) -> None:
        """Resources changed: who would get other buckets now has to connect anew. Nothing is lost by that."""
        for session in self.sessions:
            session.reconcile()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its handshake to its end."""
        address = request.remote or ""
        if self._stopping or not self._has_room(address):
            return web.Response(status=503, headers={"Retry-After": "5"})
        try:
            self._house.gate.check(address)
        except TooManyAttempts as error:
            return web.Response(status=429, headers={"Retry-After": str(math.ceil(error.retry_after))})
        limits = self._house.limits
        # Without compression, a frame is the same bytes for everybody: see `bridge.selfhosted.wire`.
        socket = web.WebSocketResponse(
            timeout=limits.close, autoping=False, compress=False, max_msg_size=limits.client_frame
        )
        writer = await socket.prepare(request)
        session = Session(request, socket, writer, self._house)
        self._sessions.add(session)
        if self._stopping:  # meanwhile
            session.end(WSCloseCode.GOING_AWAY, "the relay stops")
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._all_closed.set()
        self._tell_refused(request.remote)
        return socket

    async def close(self) -> None:
        """End every conversation and wait until they are over: not longer than `limits.close` and a bit."""
        self._stopping = True
        for session in self._sessions:
            session.end(WSCloseCode.GOING_AWAY, "the relay stops")
        self._all_closed.clear()
        if self._sessions:
            await self._all_closed.wait()

    def _tell_refused(self, remote: str | None) -> None:
        new = self._counters.refused - self._refused_told
        if new and time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET
            self._refused_told += new
            logger.warning("wrong credentials: %d, the last ones from %s", new, remote)

    def _has_room(self, address: str) -> bool:
        limits = self._house.limits
        strangers = [one.address for one in self._sessions if one.subscriber is None]
        return (
            len(self._sessions) < limits.connections
            and len(strangers) < limits.strangers
            and strangers.count(address) < limits.strangers_of_one
        )
