"""The log as the stream holds it, with what became of each frame."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import orjson
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from bridge.selfhosted.history import Found, Frame, Outcome, Query
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated
from bridge.selfhosted.nats.making import made
from bridge.selfhosted.nats.pull import Sender
from bridge.selfhosted.nats.reached import Reached
from bridge.selfhosted.nats.stream import SKEW, Stream, frame_of
from bridge.selfhosted.resources import MIB, Limits

OUTCOMES_BYTES: Final = 64 * MIB


class StreamLog:
    """As `Log`. Its methods raise EngineUnavailable."""

    def __init__(self, js: JetStreamContext, stream: Stream, sender: Sender, reached: Reached) -> None:
        self._js = js
        self._stream = stream
        self._sender = sender
        self._reached = reached
        self.complete_since = 0.0

    async def open(self, limits: Limits, replicas: int) -> None:
        """Get ready."""
        config = StreamConfig(
            name=names.OUTCOMES,
            subjects=[names.outcome("*")],
            max_msgs_per_subject=1,
            max_age=limits.log_age,
            max_bytes=OUTCOMES_BYTES,
            num_replicas=replicas,
        )
        await made(self._js, config)

    async def select(self, query: Query) -> Found:
        """As `Log`."""
        self.complete_since = await self._stream.complete_since()
        subject = names.all_of(*query.bucket_ids) if len(query.bucket_ids) == 1 else names.ALL
        start = {"position": query.after + 1} if query.after else {"since": query.start - SKEW}
        wanted: list[Frame] = []
        size = 0
        async with aclosing(self._stream.scan(subject, **start)) as messages:
            async for message in messages:
                if message.metadata.timestamp.timestamp() > query.end + 2 * SKEW:
                    break
                frame = frame_of(message)
                if query.wants(frame):
                    wanted.append(frame)
                    size += frame.size
                if len(wanted) > query.limit or size > query.most_bytes:
                    break
        found = query.taken(wanted)
        return Found(await self._with_outcomes(found.frames), found.more)

    async def find(self, log_id: str) -> Frame | None:
        """As `Log`."""
        position, _ = await self._stream.position(log_id)
        frame = await self._stream.at(position) if position else None
        return frame and (await self._with_outcomes([frame]))[0]

    def outcome(self, frame: Frame) -> Outcome | None:
        """As `Log`."""
        return frame.outcome

    def note(self, log_id: str, outcome: Outcome) -> None:
        """As `Log`."""
        said = [outcome.status, outcome.status_code, outcome.retries, outcome.duration_ms]
        self._sender.send(names.outcome(log_id), orjson.dumps(said))

    async def _with_outcomes(self, frames: Iterable[Frame]) -> list[Frame]:
        frames = list(frames)
        buckets = {one.bucket_id for one in frames}
        reached = dict(zip(buckets, await asyncio.gather(*map(self._reached.of, buckets)), strict=True))
        outcomes = await asyncio.gather(*(self._outcome(one, reached[one.bucket_id]) for one in frames))
        return [replace(one, outcome=outcome) for one, outcome in zip(frames, outcomes, strict=True)]

    async def _outcome(self, frame: Frame, reached: int) -> Outcome | None:
        """What was reported; else what follows from what subscribers confirmed."""
        with translated():
            try:
                said = await self._js.get_last_msg(names.OUTCOMES, names.outcome(frame.origin.id))
            except NotFoundError:
                return Outcome("sent") if frame.internal and frame.position <= reached else None
        return Outcome(*orjson.loads(said.data or b"[]"))
