"""Subscribers that share their webhooks, each webhook going to one of them. No I/O.

A webhook goes to the members in turn, as long as they keep up. What a member that leaves did not confirm goes
to another one, so a webhook may come twice, but to all members together never less than once. While nobody is
there it waits, within the history's bounds.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Final

from bridge.selfhosted.history import Frame
from bridge.selfhosted.resources import Limits
from bridge.selfhosted.subscriber import Subscriber

GROUP: Final = "\0group\0"
"""What a group's name begins with where a token's key is expected, which can't hold this."""


class Group:
    """The members, what each was given, and what waits for one that is ready."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: defaultdict[str, deque[Frame]] = defaultdict(deque)
        """By bucket ID, for every bucket that some member ever asked for."""
        self._size = 0
        self._count = 0
        self._given: dict[Subscriber, deque[Frame]] = {}
        """What each member has not confirmed, as it was given. The next one in turn comes first."""
        self.left_at = 0.0
        """Monotonic time at which the last member left."""

    @property
    def is_deserted(self) -> bool:
        """Whether nobody is there."""
        return not self._given

    def knows(self, bucket_id: str) -> bool:
        """Whether a bucket's webhooks are kept for it."""
        return bucket_id in self._waiting

    def open(self, bucket_id: str, frames: Iterable[Frame]) -> None:
        """Keep a bucket's webhooks from now on, after the ones that came before."""
        self._waiting.setdefault(bucket_id, deque())
        self._put_back(frames)

    def offer(self, frame: Frame) -> None:
        """A webhook came."""
        if frame.bucket_id in self._waiting:
            self._count += 1
            self._size += frame.size
            self._waiting[frame.bucket_id].append(frame)
            self._deal(frame.bucket_id)
            self._forget(frame)

    def join(self, member: Subscriber) -> None:
        """Somebody is there, who takes part in the buckets that it asked for."""
        self._given[member] = deque()
        member.on_settled = lambda count: self._settled(member, count)
        for bucket_id in member.buckets:
            self._deal(bucket_id)

    def leave(self, member: Subscriber, now: float) -> None:
        """Somebody is gone; others get what it did not confirm."""
        self.left_at = now
        member.on_settled = lambda _count: None
        self._put_back(self._given.pop(member, ()))
        for bucket_id in member.buckets:
            self._deal(bucket_id)

    def position(self, bucket_id: str, last: int) -> int:
        """All of a bucket's webhooks up to this position are confirmed; `last` is the highest there is."""
        given = (frame for frames in self._given.values() for frame in frames if frame.bucket_id == bucket_id)
        waiting = self._waiting.get(bucket_id)
        first = [waiting[0].position] if waiting else []
        return min([*first, *(frame.position for frame in given), last + 1]) - 1

    def positions(self, last: int) -> list[tuple[str, int]]:
        """The same of every bucket."""
        return [(one, self.position(one, last)) for one in self._waiting]

    def _deal(self, bucket_id: str) -> None:
        waiting = self._waiting[bucket_id]
        while waiting and (member := self._next(waiting[0])) is not None:
            frame = waiting.popleft()
            self._count -= 1
            self._size -= frame.size
            self._given[member].append(frame)
            member.offer(frame)

    def _next(self, frame: Frame) -> Subscriber | None:
        """The member whose turn it is, among those that keep up; it goes to the end of the row."""
        for member, given in self._given.items():
            keeps_up = len(given) < self._limits.group_window and member.has_room(frame.size)
            if frame.bucket_id in member.buckets and keeps_up:
                self._given[member] = self._given.pop(member)
                return member
        return None

    def _settled(self, member: Subscriber, count: int) -> None:
        given = self._given[member]
        for _ in range(min(count, len(given))):
            given.popleft()
        for bucket_id in member.buckets:
            self._deal(bucket_id)

    def _put_back(self, frames: Iterable[Frame]) -> None:
        """Let frames wait at their places among those that came before and after them."""
        by_bucket: defaultdict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            by_bucket[frame.bucket_id].append(frame)
            self._count += 1
            self._size += frame.size
        for bucket_id, found in by_bucket.items():
            waiting = [*found, *self._waiting[bucket_id]]
            self._waiting[bucket_id] = deque(sorted(waiting, key=lambda one: one.position))

    def _forget(self, newest: Frame) -> None:
        """Let go of what there is no room for; where nobody is there, of what is too old too."""
        since = newest.arrived - self._limits.history_age if self.is_deserted else 0.0
        waiting = self._waiting[newest.bucket_id]
        while waiting and (self._is_over() or waiting[0].arrived < since):
            gone = waiting.popleft()
            self._count -= 1
            self._size -= gone.size

    def _is_over(self) -> bool:
        return self._count > self._limits.history_frames or self._size > self._limits.history_bytes
