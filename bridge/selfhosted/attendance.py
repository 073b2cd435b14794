"""Who was there, and how far each got: what a returning subscriber missed follows from that. No I/O."""

from bridge.selfhosted.subscriber import Subscriber


class Attendance:
    """The connections of one token on one bucket: present ones, and those that left."""

    def __init__(self) -> None:
        self._present: dict[Subscriber, int] = {}
        self._left: list[tuple[int, float]] = []

    def start(self, since: float, at_least: int) -> int:
        """The position after which a new connection starts; who left before `since` is forgotten.

        A connection that knows better starts at its own position, which may belong to other buckets only:
        where nobody was here before, it doesn't count.
        """
        self._left = [(position, left_at) for position, left_at in self._left if left_at >= since]
        known = self.positions()
        return max(min(known), at_least) if known else 0

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
            self.left(max(start, subscriber.confirmed), now)

    def left(self, position: int, at: float) -> None:
        """A connection that got this far is gone since a monotonic time."""
        self._left.append((position, at))

    def positions(self) -> list[int]:
        """Of every connection, present or gone."""
        present = [max(start, subscriber.confirmed) for subscriber, start in self._present.items()]
        return present + [position for position, _ in self._left]
