"""Where a webhook goes once it is a frame: to subscribers, to public outputs, and onto the disk."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import orjson

from bridge.relay.frames import encode
from bridge.selfhosted.history import Frame, Origin
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.store import Store
from bridge.selfhosted.webhooks import Copy, new_id
from bridge.selfhosted.wire import payload_of


class Publisher:
    """Publishes copies of requests; with a store, it returns when they are on the disk."""

    def __init__(self, hub: Hub, store: Store | None, outbound: Outbound) -> None:
        self._hub = hub
        self._store = store
        self._outbound = outbound

    @property
    def typical_wait(self) -> float:
        """Seconds that one of the last webhooks waited for the disk; 0.0 where there is none."""
        return 0.0 if self._store is None else self._store.typical_wait

    async def publish(
        self, bucket_id: str, copies: Sequence[Copy], origin: Origin, *, ephemeral: bool = False
    ) -> list[Frame]:
        """Publish what the outputs of a bucket get of one request.

        Args:
            bucket_id: of the bucket.
            copies: what its outputs get.
            origin: of all copies; it needs no ID.
            ephemeral: whether none of it may get onto the disk.
        """
        published = []
        for one in copies:
            own = replace(origin, id=one.id)
            frame = self._hub.publish(
                bucket_id, one.text, own, exact=one.exact, internal=one.internal, ephemeral=ephemeral
            )
            if not one.internal:
                self._outbound.offer(frame, one.output)
            published.append(frame)
        if self._store is not None:
            await self._keep(self._store, [] if ephemeral else published)
        return published

    async def resend(self, frame: Frame, *, ephemeral: bool) -> Frame:
        """Publish a frame once more, with an ID of its own."""
        copies, origin = once_more(frame, round(time.time(), 6))
        (again,) = await self.publish(frame.bucket_id, copies, origin, ephemeral=ephemeral or frame.ephemeral)
        return again

    @staticmethod
    async def _keep(store: Store, frames: Sequence[Frame]) -> None:
        """Takes as long where there is nothing to keep: time shall not tell one input from another."""
        if frames:
            await store.keep(frames)
        else:
            await asyncio.sleep(store.typical_wait)


def once_more(frame: Frame, now: float) -> tuple[list[Copy], Origin]:
    """What a frame's output gets again, under an ID of its own."""
    log_id = new_id(now)
    text, exact = (_renamed(one, log_id) if one else "" for one in (frame.wire, frame.exact))
    output = orjson.loads(payload_of(frame.wire))["meta"]["output_name"]
    return [Copy(log_id, output, frame.internal, text, exact)], replace(frame.origin, created=now)


def _renamed(wire: bytes, log_id: str) -> str:
    sent = orjson.loads(payload_of(wire))
    sent["meta"]["id"] = log_id
    return encode(sent)
