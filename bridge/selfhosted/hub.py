"""Subscribers, fan-out, and who has yet to get what. No I/O.

The protocol has no acknowledgement and no resume, so the relay decides what a subscriber missed:

- Every frame has a position, a running number. A connection's position is the last frame that its peer is
  known to have received, because it answered a WebSocket ping that was sent after that frame. What was merely
  written, or waits in a queue, doesn't count.
- A connection is known by its token. On each bucket, a new connection starts after the lowest position among
  the connections of the same token: those that are open, and those that ended within the history's age. Where
  there are none, it starts with all that the history holds.

So a subscriber that restarts, changes its buckets, or returns while its dead connection is not noticed yet
loses nothing of the last 10 minutes. It may get again what it received in the second before it went, or, with
several connections of one token, what another one of them missed: receivers deduplicate on `meta.id`.
Give each subscriber a token of its own.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from typing import Final

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Frame, History
from bridge.selfhosted.resources import Limits, Token
from bridge.selfhosted.wire import text_frame


class Subscriber:
    """One subscribed connection: what waits to be written to it, and how far it has got."""

    def __init__(
        self,
        token: Token,
        buckets: frozenset[str],
        *,
        backlog: Collection[Frame],
        limits: Limits,
        wake: Callable[[], None],
        cut: Callable[[], None],
    ) -> None:
        self.token: Final = token
        self.buckets: Final = buckets
        self.written = 0
        """Position of the last frame that was handed out for writing."""
        self.confirmed = 0
        """Position of the last frame that the peer is known to have received."""
        self._limits = limits
        self._wake = wake
        self._cut = cut
        self._is_cut = False
        # Bounded by the history, and not the subscriber's fault: doesn't count towards its limit.
        self._backlog = deque(backlog)
        self._queue: deque[Frame] = deque()
        self._queued_bytes = 0

    def offer(self, frame: Frame) -> None:
        """Queue a live frame; a subscriber that has no room for it is cut."""
        if self._is_cut:
            return
        if self._queue and self._has_no_room(len(frame.wire)):
            self._is_cut = True
            self._queue.clear()
            self._backlog.clear()
            self._cut()
            return
        self._queue.append(frame)
        self._queued_bytes += len(frame.wire)
        self._wake()

    def take(self, enough: int) -> list[Frame]:
        """The next frames to write, about `enough` bytes of them; none where nothing waits."""
        source = self._backlog or self._queue
        batch: list[Frame] = []
        size = 0
        while source and size < enough:
            batch.append(source.popleft())
            size += len(batch[-1].wire)
        if batch:
            self.written = batch[-1].position
        if source is self._queue:
            self._queued_bytes -= size
        return batch

    def _has_no_room(self, size: int) -> bool:
        too_many = len(self._queue) >= self._limits.queue_frames
        return too_many or self._queued_bytes + size > self._limits.queue_bytes


class Hub:
    """Hands every frame of a bucket to each of the bucket's subscribers, in order."""

    def __init__(
        self, limits: Limits, counters: Counters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._counters = counters
        self._clock = clock
        self._position = 0
        self._history = History(limits)
        self._subscribers: defaultdict[str, set[Subscriber]] = defaultdict(set)
        self._attendance: defaultdict[tuple[Token, str], _Attendance] = defaultdict(_Attendance)

    def publish(self, bucket_id: str, text: str) -> None:
        """Send one frame's text to everybody who is subscribed to a bucket, now or in the next minutes."""
        self._position += 1
        frame = Frame(self._position, self._clock(), bucket_id, text_frame(text))
        self._history.add(frame)
        for subscriber in self._subscribers[bucket_id]:
            subscriber.offer(frame)

    def subscribe(
        self,
        token: Token,
        bucket_ids: Collection[str],
        *,
        wake: Callable[[], None],
        cut: Callable[[], None],
    ) -> Subscriber:
        """Add a subscriber, which has waiting for it what its token missed.

        Args:
            token: whose connection it is.
            bucket_ids: the buckets that it gets the webhooks of.
            wake: called when there is something to take.
            cut: called once when it took too little; it gets nothing any more and is to be closed.
        """
        now = self._clock()
        self._history.expire(now)
        since = now - self._limits.history_age
        starts = {one: self._attendance[token, one].start(since) for one in bucket_ids}
        subscriber = Subscriber(
            token,
            frozenset(bucket_ids),
            backlog=self._history.after(starts),
            limits=self._limits,
            wake=wake,
            cut=lambda: self._cut(cut),
        )
        for bucket_id, start in starts.items():
            self._subscribers[bucket_id].add(subscriber)
            self._attendance[token, bucket_id].join(subscriber, start)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, and remember how far it got."""
        now = self._clock()
        for bucket_id in subscriber.buckets:
            self._subscribers[bucket_id].discard(subscriber)
            self._attendance[subscriber.token, bucket_id].leave(subscriber, now)

    def _cut(self, tell: Callable[[], None]) -> None:
        self._counters.cut_subscribers += 1
        tell()


class _Attendance:
    """The connections of one token on one bucket: present ones, and those that left."""

    def __init__(self) -> None:
        self._present: dict[Subscriber, int] = {}
        self._left: list[tuple[int, float]] = []

    def start(self, since: float) -> int:
        """The position after which a new connection starts; who left before `since` is forgotten."""
        self._left = [(position, left_at) for position, left_at in self._left if left_at >= since]
        present = [max(start, subscriber.confirmed) for subscriber, start in self._present.items()]
        return min(present + [position for position, _ in self._left], default=0)

    def join(self, subscriber: Subscriber, start: int) -> None:
        """A connection is there; one that left is taken to be back.

        Nobody can know which one. It starts where the one that is furthest behind left, and the one that is
        furthest ahead is forgotten: so the others find their place too when they return.
        """
        if self._left:
            self._left.remove(max(self._left))
        self._present[subscriber] = start

    def leave(self, subscriber: Subscriber, now: float) -> None:
        """A connection is gone."""
        start = self._present.pop(subscriber, None)
        if start is not None:
            self._left.append((max(start, subscriber.confirmed), now))
