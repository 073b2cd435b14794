"""Webhooks that wait for a consumer which may be slower than the relay."""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.webhook import Webhook

OVERHEAD: Final = 1024
"""Bytes that a webhook holds in memory beside its body, roughly."""


class Inbox:
    """A queue, bounded in number and bytes by asking the source to pause.

    The source may still put what was on its way; it is asked to resume when half of the room is free.

    Args:
        most: webhooks.
        most_bytes: bytes.
        pause: called when the room is used up.
        resume: called when half of it is free again.
    """

    def __init__(
        self, most: int, most_bytes: int, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._pause = pause
        self._resume = resume
        self._queue: asyncio.Queue[Webhook | None] = asyncio.Queue()
        self._bytes = 0
        self._paused = False
        self._error: BaseException | None = None

    def put(self, webhook: Webhook) -> None:
        """Take one in."""
        self._queue.put_nowait(webhook)
        self._bytes += len(webhook.raw) + OVERHEAD
        if not self._paused and self._holds(self._most, self._most_bytes):
            self._paused = True
            self._pause()

    async def get(self) -> Webhook:
        """The next one.

        Raises:
            StopAsyncIteration: it was the last; the error given to `end` instead, where there was one.
        """
        webhook = await self._queue.get()
        if webhook is None:
            self._queue.put_nowait(None)  # for the next who asks
            raise self._error or StopAsyncIteration
        self._bytes -= len(webhook.raw) + OVERHEAD
        if self._paused and not self._holds(self._most // 2 + 1, self._most_bytes // 2):
            self._paused = False
            self._resume()
        return webhook

    def end(self, error: BaseException | None) -> None:
        """No more will be put."""
        self._error = error
        self._queue.put_nowait(None)

    def _holds(self, webhooks: int, size: int) -> bool:
        return self._queue.qsize() >= webhooks or self._bytes >= size
