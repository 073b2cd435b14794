"""Subscribers of this process, each fed by consumers of its own or by those that it shares with its group."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from nats.aio.msg import Msg

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import EngineUnavailable, Subscription
from bridge.selfhosted.nats.places import GROUP_SECONDS, Places
from bridge.selfhosted.nats.pull import ACK, NAK, WORKING, Inbox, Pull
from bridge.selfhosted.nats.reached import Reached
from bridge.selfhosted.nats.stream import Stream, frame_of
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.subscriber import Subscriber

logger = logging.getLogger(__name__)

MOST_BUCKETS: Final = 1000
"""Of one connection: each is a consumer."""
BATCH: Final = 64
WINDOW: Final = 1000
"""Webhooks that a connection may owe before it gets more. Who doesn't acknowledge confirms every second."""
LOOK_SECONDS: Final = 2.0
_AT_ONCE: Final = 16
"""Consumers that are made at the same time for one connection."""


class Feed:
    """One subscriber, what it was given, and the consumers that this came from."""

    def __init__(self, subscription: Subscription, limits: Limits, counters: Counters) -> None:
        self.subscriber = Subscriber(
            subscription.token,
            frozenset(subscription.bucket_ids),
            backlog=(),
            limits=limits,
            wake=subscription.wake,
            cut=lambda: self._cut("too slow"),
            explicit=subscription.explicit,
            exact=subscription.exact,
        )
        self.subscriber.on_settled = self._settled
        self.is_shared: Final = bool(subscription.group)
        self.pulls: list[Pull] = []
        self._tell = subscription.cut
        self._limits = limits
        self._counters = counters
        self._owed: deque[tuple[Pull, Msg]] = deque()
        """What was given and is not confirmed, in the order in which it is handed out."""

    def add(self, inbox: Inbox, reached: Reached, consumer: str, most_bytes: int) -> None:
        """Have it fed by a consumer too."""
        self._inbox, self._reached = inbox, reached
        pull = Pull(
            inbox,
            consumer,
            take=lambda message: self._take(pull, message),
            has_room=lambda: self._has_room(most_bytes),
            broken=lambda: self.end("try again"),
            batch=BATCH,
            most_bytes=most_bytes,
            alone=not self.is_shared,
        )
        self.pulls.append(pull)

    def end(self, why: str) -> None:
        """Have the connection closed: the next one goes on where this one confirmed."""
        self.stop()
        self._tell(why)

    def stop(self) -> None:
        """Give it nothing any more."""
        for one in self.pulls:
            one.stop()

    async def hand_over(self) -> None:
        """Others of its group get what it owes, as soon as NATS knows that it is gone."""
        await asyncio.gather(*(one.drain() for one in self.pulls))
        for _, message in self._owed:
            self._inbox.sender.send(message.reply, NAK)

    def look_after(self, now: float) -> None:
        """From time to time."""
        for one in self.pulls:
            one.look_after(now)

    def keep(self) -> None:
        """Others of its group don't get what it works on."""
        if self.is_shared:
            for _, message in self._owed:
                self._inbox.sender.send(message.reply, WORKING)

    def _cut(self, why: str) -> None:
        self._counters.cut_subscribers += 1
        self.end(why)

    def _has_room(self, size: int) -> bool:
        most = self._limits.group_window if self.is_shared else WINDOW
        return len(self._owed) < most and self.subscriber.has_room(size)

    def _take(self, pull: Pull, message: Msg) -> None:
        frame = frame_of(message)
        message.data = b""
        self._owed.append((pull, message))
        self.subscriber.offer(frame)

    def _settled(self, count: int) -> None:
        last: dict[Pull, Msg] = {}
        for _ in range(min(count, len(self._owed))):
            pull, message = self._owed.popleft()
            last[pull] = message
            if self.is_shared:
                self._inbox.sender.send(message.reply, ACK)
        for message in last.values():
            if not self.is_shared:  # one says it of all before
                self._inbox.sender.send(message.reply, ACK)
            self._reached.note(message.subject, message.metadata.sequence.stream)
        for one in self.pulls:
            one.ask()


class Consumers:
    """As `Delivery`.

    Args:
        inbox: of this process.
        places: where positions are.
        stream: of webhooks.
        reached: told what was received.
        limits: of the relay.
        counters: counted in.
        most_bytes: a message is never larger.
    """

    def __init__(
        self,
        inbox: Inbox,
        places: Places,
        stream: Stream,
        reached: Reached,
        limits: Limits,
        counters: Counters,
        most_bytes: int,
    ) -> None:
        self._inbox = inbox
        self._places = places
        self._stream = stream
        self._reached = reached
        self._limits = limits
        self._counters = counters
        self._most_bytes = most_bytes
        self._feeds: dict[Subscriber, Feed] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._looking = asyncio.create_task(self._look(), name="nats consumers")

    async def close(self) -> None:
        """Look after nothing any more, once everybody who left has handed over."""
        self._looking.cancel()
        await asyncio.wait([self._looking, *self._leaving])

    async def subscribe(self, wanted: Subscription) -> Subscriber:
        """As `Delivery`."""
        if not self._inbox.is_connected:
            raise EngineUnavailable("NATS is away")
        if len(wanted.bucket_ids) > MOST_BUCKETS:
            raise EngineUnavailable(f"{len(wanted.bucket_ids)} buckets are too many for one connection")
        feed = Feed(wanted, self._limits, self._counters)
        for consumer in await self._consumers(wanted):
            feed.add(self._inbox, self._reached, consumer, self._most_bytes)
        self._feeds[feed.subscriber] = feed
        try:
            await asyncio.gather(*(one.open() for one in feed.pulls))
        except BaseException:
            self.unsubscribe(feed.subscriber)
            raise
        return feed.subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """As `Delivery`. Its consumers keep its positions."""
        feed = self._feeds.pop(subscriber)
        feed.stop()
        for one in feed.pulls:
            self._places.leave(one.consumer)
        if feed.is_shared:
            task = asyncio.create_task(feed.hand_over(), name="nats group")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def end_all(self, why: str) -> None:
        """Close every connection: nobody knows what got lost on its way."""
        for feed in list(self._feeds.values()):
            feed.end(why)

    async def _consumers(self, wanted: Subscription) -> Iterable[str]:
        turns = asyncio.Semaphore(_AT_ONCE)
        # What came of other buckets before it may still be on its way: consumers are independent.
        at_least, resumed = await self._stream.position(wanted.resume)

        async def one(bucket_id: str) -> str:
            async with turns:
                if wanted.group:
                    return await self._places.join_group(wanted.group, bucket_id)
                return await self._places.join(
                    wanted.token.key, bucket_id, at_least if bucket_id == resumed else 0
                )

        found = await asyncio.gather(*map(one, wanted.bucket_ids), return_exceptions=True)
        joined = [name for name in found if isinstance(name, str)]
        for error in found:
            if isinstance(error, BaseException):
                for name in joined:
                    self._places.leave(name)
                raise error
        return joined

    async def _look(self) -> None:
        kept_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for feed in list(self._feeds.values()):
                feed.look_after(now)
                if now - kept_at > GROUP_SECONDS / 3:
                    feed.keep()
            if now - kept_at > GROUP_SECONDS / 3:
                kept_at = now
