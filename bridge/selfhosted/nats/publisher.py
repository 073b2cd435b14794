"""Webhooks go into the stream; their sender has its answer when NATS has them."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.history import Frame, Origin
from bridge.selfhosted.nats.stream import Stream
from bridge.selfhosted.publisher import once_more
from bridge.selfhosted.registry import NOT_EPHEMERAL
from bridge.selfhosted.webhooks import Copy
from bridge.selfhosted.wire import text_frame


class StreamPublisher:
    """As `Publishing`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waits: deque[float] = deque(maxlen=100)

    @property
    def typical_wait(self) -> float:
        """As `Publishing`."""
        return random.choice(self._waits) if self._waits else 0.0  # noqa: S311  # no secret follows from it

    async def publish(
        self, bucket_id: str, copies: Sequence[Copy], origin: Origin, *, ephemeral: bool = False
    ) -> list[Frame]:
        """As `Publishing`."""
        if ephemeral:
            raise EngineUnavailable(NOT_EPHEMERAL)
        began = time.monotonic()
        kept = await asyncio.gather(*(self._keep(bucket_id, one, origin) for one in copies))
        self._waits.append(time.monotonic() - began)
        return kept

    async def resend(self, frame: Frame, *, ephemeral: bool) -> Frame:
        """As `Publishing`."""
        copies, origin = once_more(frame, round(time.time(), 6))
        (again,) = await self.publish(frame.bucket_id, copies, origin, ephemeral=ephemeral)
        return again

    async def _keep(self, bucket_id: str, copy: Copy, origin: Origin) -> Frame:
        exact = text_frame(copy.exact) if copy.exact else b""
        own = replace(origin, id=copy.id)
        frame = Frame(0, time.monotonic(), bucket_id, text_frame(copy.text), own, exact, copy.internal)
        return replace(frame, position=await self._stream.publish(frame))
