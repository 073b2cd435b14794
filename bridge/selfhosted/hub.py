"""Subscribers, fan-out, and who has yet to get what. No I/O.

The protocol has no acknowledgement and no resume, so the relay decides what a subscriber missed:

- Every frame has a position, a running number. A connection's position is the last frame that its peer is
  known to have received, because it answered a WebSocket ping that was sent after that frame. What was merely
  written, or waits in a queue, doesn't count. A client that acknowledges says itself what it received.
- A connection is known by its token. On each bucket, a new connection starts after the lowest position among
  the connections of the same token: those that are open, and those that ended within the history's age. Where
  there are none, it starts with all that the history holds.

So a subscriber that restarts, changes its buckets, or returns while its dead connection is not noticed yet
loses nothing of the last 10 minutes. It may get again what it received in the second before it went, or, with
several connections of one token, what another one of them missed: receivers deduplicate on `meta.id`.
Give each subscriber a token of its own.

Connections that name the same group share their webhooks: see `bridge.selfhosted.group`.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from bridge.selfhosted.attendance import Attendance
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.group import GROUP, Group
from bridge.selfhosted.history import Frame, History, Origin
from bridge.selfhosted.resources import Limits, Token
from bridge.selfhosted.subscriber import Subscriber
from bridge.selfhosted.wire import text_frame


class Hub:
    """Hands every frame of a bucket to each of the bucket's subscribers, in order."""

    def __init__(
        self, limits: Limits, counters: Counters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.history = History(limits, time.time())
        self._limits = limits
        self._counters = counters
        self._clock = clock
        self._position = 0
        self._reached: dict[str, int] = {}
        self._subscribers: defaultdict[str, set[Subscriber]] = defaultdict(set)
        self._attendance: defaultdict[tuple[Token, str], Attendance] = defaultdict(Attendance)
        self._groups: dict[str, Group] = {}
        """By GROUP and their name."""
        self._shared: dict[Subscriber, Group] = {}

    def publish(
        self,
        bucket_id: str,
        text: str,
        origin: Origin | None = None,
        *,
        exact: str = "",
        internal: bool = True,
        ephemeral: bool = False,
    ) -> Frame:
        """Send one frame's text to everybody who is subscribed to a bucket, now or in the next minutes.

        Args:
            bucket_id: of the bucket.
            text: the frame that everybody understands.
            origin: what the log says of it beside.
            exact: the frame with its body in base64; "" where `text` has every byte of it.
            internal: False for one that is merely remembered, since a public output gets it.
            ephemeral: whether it must not get onto a disk.
        """
        self._position += 1
        encoded = text_frame(exact) if exact else b""
        frame = Frame(
            self._position,
            self._clock(),
            bucket_id,
            text_frame(text),
            origin or Origin(),
            encoded,
            internal,
            ephemeral=ephemeral,
        )
        self.history.add(frame)
        if internal:
            for subscriber in self._subscribers[bucket_id]:
                subscriber.offer(frame)
            for group in self._groups.values():
                group.offer(frame)
        return frame

    def restore(
        self, frames: Iterable[Frame], readers: Iterable[tuple[Token, str, int]], position: int, wall: float
    ) -> None:
        """Take up what a relay knew that ran before this one.

        Args:
            frames: of the last minutes, oldest first.
            readers: how far each subscriber got, by its token and a bucket's ID.
            position: the highest that was used.
            wall: Unix time now, in seconds.
        """
        now = self._clock()
        for frame in frames:
            self.history.add(replace(frame, arrived=now - max(0.0, wall - frame.origin.created)))
        for token, bucket_id, reached in readers:
            if token.key.startswith(GROUP):
                group = self._groups.setdefault(token.key, Group(self._limits))
                group.left_at = now
                group.open(bucket_id, self.history.after({bucket_id: reached}))
            else:
                self._attendance[token, bucket_id].left(reached, now)
            self._reached[bucket_id] = max(reached, self._reached.get(bucket_id, 0))
        self._position = max(position, self._position)

    def readers(self) -> list[tuple[str, str, int]]:
        """How far each subscriber got, those that left lately too: key of its token, bucket, position."""
        single = [
            (token.key, bucket_id, position)
            for (token, bucket_id), attendance in self._attendance.items()
            for position in attendance.positions()
        ]
        shared = [
            (name, bucket_id, position)
            for name, group in self._groups.items()
            for bucket_id, position in group.positions(self._position)
        ]
        return sorted(single + shared)

    def reached(self, bucket_id: str) -> int:
        """Position of the last frame of a bucket that some subscriber received."""
        present = [one.confirmed for one in self._subscribers[bucket_id]]
        groups = [one for one in self._groups.values() if one.knows(bucket_id)]
        shared = [one.position(bucket_id, self._position) for one in groups]
        return max(self._reached.get(bucket_id, 0), *present, *shared, 0)

    def subscribe(
        self,
        token: Token,
        bucket_ids: Collection[str],
        *,
        wake: Callable[[], None],
        cut: Callable[[], None],
        explicit: bool = False,
        resume: str = "",
        exact: bool = False,
        group: str = "",
    ) -> Subscriber:
        """Add a subscriber, which has waiting for it what its token missed.

        Args:
            token: whose connection it is.
            bucket_ids: the buckets that it gets the webhooks of.
            wake: called when there is something to take.
            cut: called once when it took too little; it gets nothing any more and is to be closed.
            explicit: whether it acknowledges.
            resume: ID of the last frame that it acknowledged before; "" where it doesn't know.
            exact: whether it wants bodies that are not UTF-8 in base64.
            group: whose webhooks it shares; "" where it wants all of them.
        """
        now = self._clock()
        self.history.expire(now)
        starts = {} if group else self._starts(token, bucket_ids, resume, now)
        subscriber = Subscriber(
            token,
            frozenset(bucket_ids),
            backlog=self.history.after(starts),
            limits=self._limits,
            wake=wake,
            cut=lambda: self._cut(cut),
            explicit=explicit,
            exact=exact,
        )
        if group:
            self._join(GROUP + group, subscriber, now)
        for bucket_id, start in starts.items():
            self._subscribers[bucket_id].add(subscriber)
            self._attendance[token, bucket_id].join(subscriber, start)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, and remember how far it got."""
        now = self._clock()
        if (group := self._shared.pop(subscriber, None)) is not None:
            group.leave(subscriber, now)
            return
        for bucket_id in subscriber.buckets:
            self._subscribers[bucket_id].discard(subscriber)
            self._reached[bucket_id] = max(subscriber.confirmed, self._reached.get(bucket_id, 0))
            self._attendance[subscriber.token, bucket_id].leave(subscriber, now)

    def _starts(self, token: Token, bucket_ids: Collection[str], resume: str, now: float) -> dict[str, int]:
        """The positions after which a new connection starts."""
        since = now - self._limits.history_age
        resumed = self.history.find(resume) if resume else None
        at_least = resumed.position if resumed else 0
        return {one: self._attendance[token, one].start(since, at_least) for one in bucket_ids}

    def _join(self, name: str, member: Subscriber, now: float) -> None:
        since = now - self._limits.history_age
        gone = [one for one, group in self._groups.items() if group.is_deserted and group.left_at < since]
        for one in gone:
            del self._groups[one]
        group = self._shared[member] = self._groups.setdefault(name, Group(self._limits))
        for bucket_id in member.buckets:
            if not group.knows(bucket_id):
                group.open(bucket_id, self.history.after({bucket_id: 0}))
        group.join(member)

    def _cut(self, tell: Callable[[], None]) -> None:
        self._counters.cut_subscribers += 1
        tell()
