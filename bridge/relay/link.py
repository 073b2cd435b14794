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
    """Keeps one client running for the current settings.

    Args:
        handler: called with each webhook, by two clients in turn while one replaces the other.
        failed: called with an error that ended a client, which is a bug.
        told: called with each new state of the current client.
        overlap: seconds for which a replaced client waits for its successor's subscription.
    """

    def __init__(
        self,
        handler: Callable[[Webhook], None],
        failed: Callable[[BaseException], None],
        *,
        told: Callable[[RelayState], None] = lambda _: None,
        overlap: float = OVERLAP_SECONDS,
    ) -> None:
        self._handler = handler
        self._failed = failed
        self._told = told
        self._overlap = overlap
        self._settings: RelaySettings | None = None
        self._client: RelayClient | None = None
        self._runs: dict[RelayClient, asyncio.Task[None]] = {}
        self._hand_over: asyncio.Task[None] | None = None
        self._held: str | None = None

    @property
    def client(self) -> RelayClient | None:
        """The client for the current settings."""
        return self._client

    def use(self, settings: RelaySettings) -> None:
        """Subscribe by these settings; nothing happens where they are the current ones.

        Raises:
            ConfigError: they can't be used; nothing has changed then.
        """
        if settings == self._settings:
            return
        client = RelayClient(
            key=settings.key,
            secret=settings.secret,
            buckets=settings.buckets,
            url=settings.url,
            ack=settings.ack,
            group=settings.group,
            max_frame=settings.max_frame,
            on_state=lambda state: self._told(state) if self._client is client else None,
        )
        self._settings, self._client = settings, client
        if self._held is not None:
            client.hold(self._held)
        run = self._runs[client] = asyncio.create_task(client.run(self._handler), name="relay")
        run.add_done_callback(self._ended)
        if self._hand_over is not None:
            self._hand_over.cancel()
        self._hand_over = asyncio.create_task(self._replace_by(client), name="relay hand-over")

    def _ended(self, run: asyncio.Task[None]) -> None:
        """A client runs until it is closed; an error that escapes it is a bug, and must be loud."""
        if not run.cancelled() and (error := run.exception()) is not None:
            self._failed(error)

    async def _replace_by(self, client: RelayClient) -> None:
        """End every other client once this one is subscribed."""
        if len(self._runs) == 1:
            return
        try:
            async with asyncio.timeout(self._overlap):
                await client.subscribed()
        except TimeoutError:
            log.warning("the new subscription is not there after %g s; the old one ends", self._overlap)
        await asyncio.gather(*(self._end(other) for other in list(self._runs) if other is not client))

    async def _end(self, client: RelayClient) -> None:
        await client.close()
        run = self._runs.pop(client, None)
        if run is not None:
            await asyncio.wait([run])

    def accepted(self, webhook_id: str) -> None:
        """The relay need not send the webhook with this ID again."""
        for client in self._runs:
            client.accepted(webhook_id)

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
        if self._hand_over is not None:
            self._hand_over.cancel()
            await asyncio.wait([self._hand_over])
        await asyncio.gather(*(self._end(client) for client in list(self._runs)))
