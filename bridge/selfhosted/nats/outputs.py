"""Public outputs: all processes share one consumer, and one does what another that ended has not done."""

import logging
from typing import Final

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.making import consumer
from bridge.selfhosted.nats.pull import ACK, NAK, WORKING, Inbox, Pull
from bridge.selfhosted.nats.stream import frame_of
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.wire import payload_of

logger = logging.getLogger(__name__)

CONSUMER: Final = "public-outputs"
ABANDONED: Final = 60.0
"""Seconds after which another process does what one neither did nor said that it works on."""
MOST_CALLS: Final = 256
"""Of one process, waiting ones too."""
BATCH: Final = 16


class Outputs:
    """Takes frames for public outputs out of the stream."""

    def __init__(self, inbox: Inbox, outbound: Outbound, most_bytes: int) -> None:
        self._inbox = inbox
        self._outbound = outbound
        self._most_bytes = most_bytes
        self._doing: dict[str, str] = {}
        """Where NATS is told, by frame ID."""
        self._pull: Pull | None = None

    async def open(self, js: JetStreamContext, limits: Limits, replicas: int) -> None:
        """Begin to take them.

        Raises:
            EngineUnavailable: NATS doesn't do that.
        """
        config = ConsumerConfig(
            durable_name=CONSUMER,
            filter_subject=names.webhooks("*", internal=False),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ABANDONED,
            max_ack_pending=limits.calls_frames,
            num_replicas=replicas,
        )
        await consumer(js, config)
        self._pull = Pull(
            self._inbox,
            CONSUMER,
            take=self._take,
            has_room=lambda: len(self._doing) < MOST_CALLS,
            broken=self.begin_again,
            batch=BATCH,
            most_bytes=self._most_bytes,
            alone=False,
        )
        await self._pull.open()

    def begin_again(self) -> None:
        """What was asked for is not coming."""
        if self._pull is not None:
            self._pull.restart()

    def look_after(self, now: float) -> None:
        """From time to time."""
        for reply in self._doing.values():
            self._inbox.sender.send(reply, WORKING)
        if self._pull is not None:
            self._pull.look_after(now)

    def done(self, log_id: str) -> None:
        """The call for a frame came to its end."""
        reply = self._doing.pop(log_id, None)
        if reply is not None:
            self._inbox.sender.send(reply, ACK)
        if self._pull is not None:
            self._pull.ask()

    async def close(self) -> None:
        """Leave what is not done to others."""
        if self._pull is not None:
            self._pull.stop()
            await self._pull.drain()
        for reply in self._doing.values():
            self._inbox.sender.send(reply, NAK)
        self._doing.clear()

    def _take(self, message: Msg) -> None:
        frame = frame_of(message)
        if frame.origin.id in self._doing:  # given again while it is being done
            self._doing[frame.origin.id] = message.reply
            return
        self._doing[frame.origin.id] = message.reply
        self._outbound.offer(frame, orjson.loads(payload_of(frame.wire))["meta"]["output_name"])
