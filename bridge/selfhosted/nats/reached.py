"""Up to where each bucket's webhooks were received by somebody, on whichever process."""

import asyncio
import logging
from typing import Final

from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated

logger = logging.getLogger(__name__)

EVERY: Final = 2.0
"""Seconds between two notes."""


class Reached:
    """Keeps the highest position of each bucket in NATS."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv
        self._here: dict[str, int] = {}
        """By bucket ID, what is not noted yet."""
        self._task = asyncio.create_task(self._run(), name="nats reached")

    def note(self, subject: str, position: int) -> None:
        """Somebody received a frame that had this subject."""
        bucket_id = names.bucket_of(subject)
        self._here[bucket_id] = max(position, self._here.get(bucket_id, 0))

    async def of(self, bucket_id: str) -> int:
        """Position of the last frame of a bucket that somebody received."""
        with translated():
            return max((await self._read(bucket_id))[0], self._here.get(bucket_id, 0))

    async def close(self) -> None:
        """Note what is left."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._flush()

    async def _flush(self) -> None:
        here, self._here = self._here, {}
        for bucket_id, position in here.items():
            try:
                with translated():
                    await self._raise(bucket_id, position)
            except EngineUnavailable as error:
                logger.debug("not noted what was received: %s", error)

    async def _raise(self, bucket_id: str, position: int) -> None:
        known, revision = await self._read(bucket_id)
        if position <= known:
            return
        try:
            await self._kv.update(bucket_id, b"%d" % position, revision)
        except KeyWrongLastSequenceError:  # another process was faster; it may have known less
            self._here[bucket_id] = max(position, self._here.get(bucket_id, 0))

    async def _read(self, bucket_id: str) -> tuple[int, int]:
        try:
            entry = await self._kv.get(bucket_id)
        except KeyNotFoundError:
            return 0, 0
        return int(entry.value or b"0"), entry.revision or 0
