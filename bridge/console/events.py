"""The page's live view: server-sent events, some each second however many webhooks come."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import web

from bridge.console.history import History
from bridge.console.views import as_json, passage_view, status_view
from bridge.console.watched import Watched
from bridge.passages import KEPT, Passage

TICK: Final = 0.25
"""Seconds between two updates."""
MOST_CLIENTS: Final = 8
MOST_NUMBERS: Final = 4 * KEPT
"""Of webhooks that changed, before those are forgotten that are not shown any more."""
PATIENCE: Final = 15.0
"""Seconds that a client has to take an update."""
STATUS_TICKS, HISTORY_TICKS, ALIVE_TICKS = 2, 8, 40
"""Every how many updates the status and the history are looked at, and a silent client is tried."""


class Feed:
    """Sends each client the whole state first, and then what changed."""

    def __init__(self, daemon: Watched, history: History) -> None:
        self._daemon = daemon
        self._history = history
        self._closing = asyncio.Event()
        self._clients = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it leaves, stops reading, or the console closes."""
        if self._clients >= MOST_CLIENTS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_CLIENTS} pages are open already\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        changes = _Changes(self._daemon, self._history)
        stop = self._daemon.passages.listen(changes.note)
        self._clients += 1
        try:
            await response.prepare(request)
            await self._stream(request, response, changes)
        except ConnectionError:
            pass  # it left
        except TimeoutError:
            _cut(request)
        finally:
            self._clients -= 1
            stop()
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse, changes: "_Changes") -> None:
        for tick in itertools.count():
            if request.transport is None:  # it left
                return
            message = changes.message(tick)
            if message:
                async with asyncio.timeout(PATIENCE):
                    await response.write(message)
            if await self._closes_within(TICK):
                return

    async def _closes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End every client's stream."""
        self._closing.set()


def _cut(request: web.Request) -> None:
    """End the connection of a client that doesn't read: it would not take an orderly end either."""
    if request.transport is not None:
        request.transport.abort()


class _Changes:
    """What one client does not know yet. It holds numbers only: webhooks can be large, and a client slow."""

    def __init__(self, daemon: Watched, history: History) -> None:
        self._passages = daemon.passages
        self._changed = {passage.number for passage in daemon.passages}
        self._parts: tuple[tuple[str, int, Callable[[], object]], ...] = (
            ("status", STATUS_TICKS, lambda: status_view(daemon)),
            ("history", HISTORY_TICKS, history.minutes),
        )
        self._known: dict[str, bytes] = {}

    def note(self, passage: Passage) -> None:
        """A webhook came, or its state changed."""
        self._changed.add(passage.number)
        if len(self._changed) > MOST_NUMBERS:
            newest = max(self._changed)
            self._changed = {number for number in self._changed if number > newest - KEPT}

    def message(self, tick: int) -> bytes:
        """The event for one tick; b"" where there is nothing to say."""
        event = {}
        for name, every, view in self._parts:
            if tick % every == 0:
                said = as_json(view())
                if self._known.get(name) != said:
                    self._known[name] = said
                    event[name] = orjson.Fragment(said)
        if self._changed:
            hooks = [passage_view(one) for one in self._passages if one.number in self._changed]
            event["webhooks"] = orjson.Fragment(as_json(hooks))
            self._changed.clear()
        if event:
            kind = b"event: all\n" if tick == 0 else b""
            return kind + b"data: " + orjson.dumps(event) + b"\n\n"
        return b":\n\n" if tick % ALIVE_TICKS == 0 else b""
