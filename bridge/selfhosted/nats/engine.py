"""The engine on NATS JetStream, put together.

The stream holds the webhooks, durable consumers the positions, key-value buckets the resources. A process
holds nothing that another one could need: when it dies, its subscribers connect to another, and go on where
they confirmed.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from nats.aio.client import Client

from bridge.selfhosted.answers import Answer
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import Subscription
from bridge.selfhosted.history import Outcome
from bridge.selfhosted.nats import names
from bridge.selfhosted.nats.answers import SharedAnswers
from bridge.selfhosted.nats.connection import NatsMisconfigured, Watchers, connect
from bridge.selfhosted.nats.consumers import Consumers
from bridge.selfhosted.nats.log import StreamLog
from bridge.selfhosted.nats.making import key_value
from bridge.selfhosted.nats.outputs import ABANDONED, Outputs
from bridge.selfhosted.nats.places import Places
from bridge.selfhosted.nats.publisher import StreamPublisher
from bridge.selfhosted.nats.pull import Inbox, Sender
from bridge.selfhosted.nats.reached import Reached
from bridge.selfhosted.nats.resources import KvShelf
from bridge.selfhosted.nats.stream import Stream
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import KIB, Limits, NatsSettings
from bridge.selfhosted.subscriber import Subscriber

logger = logging.getLogger(__name__)

HEADERS: Final = 128 * KIB
"""Room in a message for all but a webhook's body."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is there once the engine is started."""

    sender: Sender
    reached: Reached
    consumers: Consumers
    outputs: Outputs
    log: StreamLog
    publisher: StreamPublisher


class NatsEngine:
    """As `Engine`."""

    def __init__(self, settings: NatsSettings, limits: Limits, counters: Counters) -> None:
        self.shelf = KvShelf()
        self.answers = SharedAnswers(limits, counters)
        self.limits = limits
        self._settings = settings
        self._counters = counters
        self._client: Client | None = None
        self._parts: _Parts | None = None
        self._looking: asyncio.Task[None] | None = None
        self._is_lost = False
        self._closing = False

    async def open(self, changed: Callable[[], None]) -> None:
        """As `Engine`.

        Raises:
            NatsMisconfigured: NATS takes messages that are far too small, or a file can't be used.
        """
        self._client = await connect(self._settings, Watchers(self._lost, self._back))
        self.answers.client = self._client
        self.limits = fitting(self.limits, self._client.max_payload)
        await self.shelf.open(self._client, self._settings.replicas, changed)

    async def start(self, registry: Registry, outbound: Outbound) -> None:  # noqa: ARG002  # other engines need it
        """As `Engine`."""
        client, replicas, limits = self._connected, self._settings.replicas, self.limits
        js = client.jetstream()
        stream = Stream(client, js, limits, replicas)
        await stream.open()
        places = Places(client, js, limits, replicas)
        await places.open()
        kv = await key_value(js, names.REACHED, replicas)
        sender, reached = Sender(client), Reached(kv)
        inbox = Inbox(client, sender)
        await inbox.open()
        largest = min(client.max_payload, limits.body_json + HEADERS)
        log = StreamLog(js, stream, sender, reached)
        self._parts = _Parts(
            sender,
            reached,
            Consumers(inbox, places, stream, reached, limits, self._counters, largest),
            Outputs(inbox, outbound, largest),
            log,
            StreamPublisher(stream),
        )
        await log.open(limits, replicas)
        await self._parts.outputs.open(js, limits, replicas)
        self._looking = asyncio.create_task(self._look(), name="nats outputs")

    async def close(self) -> None:
        """As `Engine`."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.outputs.close()
            await parts.consumers.close()
            await parts.reached.close()
            await parts.sender.close()
        await self.shelf.close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def log(self) -> StreamLog:
        """As `Engine`."""
        return self._started.log

    @property
    def publisher(self) -> StreamPublisher:
        """As `Engine`."""
        return self._started.publisher

    async def subscribe(self, wanted: Subscription) -> Subscriber:
        """As `Engine`."""
        return await self._started.consumers.subscribe(wanted)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """As `Engine`."""
        self._started.consumers.unsubscribe(subscriber)

    def reached(self, _bucket_id: str) -> int:
        """As `Engine`. What the log finds says it already."""
        return 0

    def complete_since(self, *, ephemeral: bool) -> float:  # noqa: ARG002  # nothing is ephemeral here
        """As `Engine`."""
        return self.log.complete_since

    async def called(self, log_id: str, outcome: Outcome, answer: Answer | None) -> None:
        """As `Engine`."""
        self.log.note(log_id, outcome)
        self._started.outputs.done(log_id)
        if answer is not None:
            await self.answers.give(log_id, answer)

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise TypeError("the engine is not open")
        return self._client

    @property
    def _started(self) -> _Parts:
        if self._parts is None:
            raise TypeError("the engine is not started")
        return self._parts

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(ABANDONED / 4)
            self._started.outputs.look_after(time.monotonic())

    async def _lost(self) -> None:
        """The connection is lost, and nobody knows what with it."""
        if self._closing or self._is_lost:
            return
        self._is_lost = True
        logger.warning("the connection to NATS is lost: nobody is served until it is back")
        if self._parts is not None:
            self._parts.consumers.end_all("try again later")

    async def _back(self) -> None:
        if self._is_lost:
            logger.info("the connection to NATS is back")
        self._is_lost = False
        await self.shelf.again()
        if self._parts is not None:
            self._parts.outputs.begin_again()


def fitting(limits: Limits, max_payload: int) -> Limits:
    """The limits of a relay whose webhooks have to fit into messages of this size.

    Raises:
        NatsMisconfigured: hardly anything does.
    """
    room = max_payload - HEADERS
    if room < HEADERS:
        raise NatsMisconfigured(f"max_payload of the NATS server is {max_payload} bytes: 1 MiB is needed")
    # Base64 makes four bytes of three.
    body, text = min(limits.body, room * 3 // 4), min(limits.body_json, room)
    if (body, text) != (limits.body, limits.body_json):
        logger.warning(
            "webhooks over %d KiB are refused, since max_payload of the NATS server is %d KiB",
            body // KIB,
            max_payload // KIB,
        )
    return replace(limits, body=body, body_json=text)
