"""The subscription that the routing file asks for. A change of it connects anew before the old one ends."""

import asyncio
import logging
from collections.abc import Callable

from bridge.config.model import RelaySettings
from bridge.relay.client import RelayClient, RelayState
from bridge.webhook import Webhook

log = logging.getLogger(__name__)

OVERLAP_SECONDS = 10.0
"""How long the old connection stays while the new one subscribes; what comes by both is taken once."""


class RelayLink:
    """Keeps one client running for the current settings."""

    def __init__(self, handler: Callable[[Webhook], None], failed: Callable[[BaseException], None]) -> None:
        self._handler = handler
        self._failed = failed
        self._settings: RelaySettings | None = None
        self._client: RelayClient | None = None
        self._runs: dict[RelayClient, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._held: str | None = None

    @property
    def client(self) -> RelayClient | None:
        """The client for the current settings."""
        return self._client

    def use(self, settings: RelaySettings) -> None:
        """Subscribe by these settings; nothing happens where they are the current ones."""
        if settings == self._settings:
            return
        old, self._settings = self._client, settings
        client = RelayClient(
            key=settings.key,
            secret=settings.secret,
            buckets=settings.buckets,
            url=settings.url,
            max_frame=settings.max_frame,
        )
        if self._held is not None:
            client.hold(self._held)
        self._client = client
        task = asyncio.create_task(client.run(self._handler), name="relay")
        task.add_done_callback(self._ended)
        self._runs[client] = task
        if old is not None:
            retire = asyncio.create_task(self._retire(old, client), name="relay hand-over")
            self._retiring.add(retire)
            retire.add_done_callback(self._retiring.discard)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A client runs until it is closed; an error that escapes it is a bug, and must be loud."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _retire(self, old: RelayClient, new: RelayClient) -> None:
        try:
            async with asyncio.timeout(OVERLAP_SECONDS):
                await new.subscribed()
        except TimeoutError:
            log.warning("the new subscription is not there after %g s; the old one ends", OVERLAP_SECONDS)
        await self._end(old)

    async def _end(self, client: RelayClient) -> None:
        await client.close()
        task = self._runs.pop(client, None)
        if task is not None:
            await asyncio.wait([task])

    def hold(self, reason: str) -> None:
        """Disconnect and stay away, until `release`."""
        self._held = reason
        for client in self._runs:
            client.hold(reason)

    def release(self) -> None:
        """Connect again."""
        self._held = None
        for client in self._runs:
            client.release()

    def state(self) -> RelayState | None:
        """The current client's state."""
        return None if self._client is None else self._client.state

    async def close(self) -> None:
        """End every subscription."""
        for task in list(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(self._end(client) for client in list(self._runs)))
