"""The stream of webhooks: written, read from any place, and its messages as frames."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.history import Frame, Origin
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.connection import translated
from bridge.selfhosted.nats.making import made
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.webhooks import is_exact, plain_text, time_of
from bridge.selfhosted.wire import message_frame, payload_of, text_frame

logger = logging.getLogger(__name__)

PUBLISH_SECONDS: Final = 5.0
"""For which a webhook is offered to NATS again and again, before its sender is told to come back."""
ATTEMPT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
"""For a page of messages that are there; it is asked for once, so a busy server has as long as above."""
SKEW: Final = 5.0
"""Seconds that the clocks of relays and NATS may differ."""
_INFO: Final = f"$JS.API.STREAM.INFO.{names.WEBHOOKS}"
_PAGE: Final = 10
"""Messages that are asked for at once; each may be large."""
_HEADERS_PAGE: Final = 50


class Stream:
    """The stream of webhooks."""

    def __init__(self, client: Client, js: JetStreamContext, limits: Limits, replicas: int) -> None:
        self._client = client
        self._js = js
        self._limits = limits
        self._replicas = replicas

    async def open(self) -> None:
        """Make it, or use it as it is.

        Raises:
            EngineUnavailable: NATS doesn't do that.
        """
        config = StreamConfig(
            name=names.WEBHOOKS,
            subjects=[names.ALL],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=self._limits.log_age,
            max_bytes=self._limits.log_bytes,
            num_replicas=self._replicas,
        )
        await made(self._js, config)

    async def publish(self, frame: Frame) -> int:
        """Keep a frame; its position is returned.

        Raises:
            EngineUnavailable: NATS doesn't have it, or doesn't say so.
        """
        subject = names.webhooks(frame.bucket_id, internal=frame.internal)
        payload = payload_of(frame.exact or frame.wire)
        headers = {names.ID_HEADER: frame.origin.id, names.ORIGIN_HEADER: _origin_text(frame.origin)}
        deadline = time.monotonic() + PUBLISH_SECONDS
        while True:
            try:
                self._check_connection()
                with translated():
                    acked = await self._js.publish(subject, payload, ATTEMPT_SECONDS, headers=dict(headers))
                    return acked.seq
            except EngineUnavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    def scan(
        self, subject: str, *, position: int = 0, since: float = 0.0, headers_only: bool = False
    ) -> AsyncGenerator[Msg, None]:
        """As `scan`, of webhooks."""
        return scan(
            *(self._js, names.WEBHOOKS, subject), position=position, since=since, headers_only=headers_only
        )

    def _check_connection(self) -> None:
        # nats-py would send it later, when the sender was told to come back.
        if not self._client.is_connected:
            raise EngineUnavailable("NATS is away")

    async def position(self, log_id: str) -> tuple[int, str]:
        """The position of a frame, and the ID of its bucket; 0 and "" where it isn't there."""
        made_at = time_of(log_id)
        if made_at is None:
            return 0, ""
        for since in (made_at - 0.05, made_at - SKEW):  # clocks agree, mostly
            async with aclosing(self.scan(names.ALL, since=since, headers_only=True)) as near:
                async for message in near:
                    if (message.headers or {}).get(names.ID_HEADER) == log_id:
                        return message.metadata.sequence.stream, names.bucket_of(message.subject)
                    if message.metadata.timestamp.timestamp() > made_at + PUBLISH_SECONDS + SKEW:
                        break
        return 0, ""

    async def at(self, position: int) -> Frame | None:
        """The frame at a position."""
        with translated(), suppress(NotFoundError):
            raw = await self._js.get_msg(names.WEBHOOKS, position)
            return _frame(raw.subject or "", raw.headers or {}, raw.data or b"", position)
        return None

    async def complete_since(self) -> float:
        """Unix time since which every frame is there."""
        # nats-py leaves the first message's time out.
        with translated():
            answer = await self._client.request(_INFO, timeout=READ_SECONDS)
        said = orjson.loads(answer.data)
        since = said["created"] if said["state"]["first_seq"] <= 1 else said["state"]["first_ts"]
        return datetime.fromisoformat(since).timestamp()


async def scan(
    js: JetStreamContext,
    stream: str,
    subject: str,
    *,
    position: int = 0,
    since: float = 0.0,
    headers_only: bool = False,
) -> AsyncGenerator[Msg, None]:
    """The messages of a stream that are there now, oldest first.

    Args:
        js: where the stream is.
        stream: its name.
        subject: of the messages; with wildcards.
        position: where to start; 0: see `since`.
        since: Unix time in seconds of the first one.
        headers_only: leave the bodies out.

    Raises:
        EngineUnavailable: NATS doesn't answer.
    """
    config = ConsumerConfig(
        filter_subject=subject,
        ack_policy=AckPolicy.EXPLICIT,
        max_ack_pending=-1,
        headers_only=headers_only,
        inactive_threshold=30.0,
        mem_storage=True,
        num_replicas=1,
        **starting(position=position, since=since),
    )
    with translated():
        info = await js.add_consumer(stream, config)
        pages = await js.pull_subscribe_bind(consumer=info.name, stream=stream)
    try:
        left, page = info.num_pending or 0, _HEADERS_PAGE if headers_only else _PAGE
        while left > 0:
            with translated():
                found = await pages.fetch(min(left, page), timeout=READ_SECONDS)
            left -= len(found)
            for message in found:
                yield message
    finally:
        with suppress(Error, TimeoutError):
            await pages.unsubscribe()
            await js.delete_consumer(stream, info.name)


def starting(*, position: int = 0, since: float = 0.0) -> dict[str, Any]:
    """Where a consumer starts, as its configuration says it: at a position, a Unix time, or first of all."""
    if position:
        return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": position}
    if since > 0:
        moment = datetime.fromtimestamp(since, UTC)
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": moment}
    return {"deliver_policy": DeliverPolicy.ALL}


def frame_of(message: Msg) -> Frame:
    """A message of the stream as a frame."""
    return _frame(message.subject, message.headers or {}, message.data, message.metadata.sequence.stream)


def _frame(subject: str, headers: dict[str, str], payload: bytes, position: int) -> Frame:
    wire, exact = message_frame(payload), b""
    if is_exact(payload):
        wire, exact = text_frame(plain_text(payload)), wire
    created, path, address = json.loads(headers[names.ORIGIN_HEADER])
    origin = Origin(headers[names.ID_HEADER], created, path, address)
    internal = names.is_internal(subject)
    return Frame(position, time.monotonic(), names.bucket_of(subject), wire, origin, exact, internal)


def _origin_text(origin: Origin) -> str:
    """ASCII, as a header has to be."""
    return json.dumps([origin.created, origin.path, origin.address])
