"""One subscribed connection: what waits to be written to it, and how far it has got. No I/O."""

from collections import deque
from collections.abc import Callable, Collection
from itertools import takewhile
from typing import Final

from bridge.selfhosted.history import Frame
from bridge.selfhosted.resources import Limits, Token


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
        explicit: bool = False,
        exact: bool = False,
    ) -> None:
        self.token: Final = token
        self.buckets: Final = buckets
        self.exact: Final = exact
        """Whether it gets bodies that are not UTF-8 in base64."""
        self.handed = 0
        """Frames that were handed out for writing, so far."""
        self.settled = 0
        """The first so many of these the peer is known to have received."""
        self.on_settled: Callable[[int], None] = lambda _count: None
        """Told how many more these are."""
        self.written = 0
        """Position of the last frame that was handed out."""
        self.confirmed = 0
        """Position of the last frame that the peer is known to have received."""
        self.explicit: Final = explicit
        """Whether it acknowledges; else an answer to a WebSocket ping confirms what was written before."""
        self._unacknowledged: dict[str, int] = {}
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
        if self._queue and not self.has_room(frame.size):
            self._is_cut = True
            self._queue.clear()
            self._backlog.clear()
            self._cut()
            return
        self._queue.append(frame)
        self._queued_bytes += frame.size
        self._wake()

    def take(self, enough: int) -> list[Frame]:
        """The next frames to write, about `enough` bytes of them; none where nothing waits."""
        if len(self._unacknowledged) >= self._limits.unacknowledged:
            return []
        source = self._backlog or self._queue
        batch: list[Frame] = []
        size = 0
        while source and size < enough:
            batch.append(source.popleft())
            size += batch[-1].size
        if batch:
            self.written = batch[-1].position
            self.handed += len(batch)
        if self.explicit:
            self._unacknowledged.update((one.origin.id, one.position) for one in batch)
        if source is self._queue:
            self._queued_bytes -= size
        return batch

    def acknowledge(self, log_id: str) -> bool:
        """The client is responsible for this frame and all before it; False where it wasn't waited for."""
        position = self._unacknowledged.get(log_id)
        if position is None:
            return False
        earlier = list(takewhile(lambda one: one != log_id, self._unacknowledged))
        for one in (*earlier, log_id):
            del self._unacknowledged[one]
        self.received(self.settled + len(earlier) + 1, position)
        self._wake()
        return True

    def received(self, count: int, position: int) -> None:
        """The peer has the first so many frames that were handed out; the last of these has this position."""
        self.confirmed = position
        more, self.settled = count - self.settled, count
        self.on_settled(more)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more can wait for it."""
        is_short = len(self._queue) < self._limits.queue_frames
        return is_short and not self._is_cut and self._queued_bytes + size <= self._limits.queue_bytes
