"""A lane: the deliveries of one (target, order key), in order. Pure: it decides, its owner sends.

Ordered, the head that waits for its retry holds back what is behind it, in this lane and no other.
Several deliveries of a lane may be in flight where the target keeps their order (MQTT); when one of
them fails, the lane sends nothing more until the others have their results, and then begins again
with those that failed, in their order.
"""

import math
from bisect import insort
from collections import deque

from bridge.message import Delivery


def _by_seq(delivery: Delivery) -> int:
    return delivery.seq


class Lane:
    """The deliveries of one (target, order key) that are held in memory, and how many more are stored.

    Attributes:
        stored: deliveries behind `tail` that are in the journal only.
        tail: seq of the last delivery that was held in memory; the journal is read from there on.
        held_bytes: memory that its deliveries take, those in flight too.
        loading: its next deliveries are being read back.
        not_before: monotonic time before which an ordered lane sends nothing.
        in_flight: sent, and without a result.
        wakes: monotonic time at which its owner will wake it; infinite where that isn't arranged.
        listed: whether its owner has it in the list of lanes that may send.
    """

    __slots__ = (
        "_failed",
        "_queue",
        "held_bytes",
        "in_flight",
        "listed",
        "loading",
        "not_before",
        "order_key",
        "stored",
        "tail",
        "wakes",
    )

    def __init__(self, order_key: str | None) -> None:
        self.order_key = order_key
        self._queue: deque[Delivery] = deque()
        self._failed: list[Delivery] = []
        self.in_flight = 0
        self.not_before = 0.0
        self.held_bytes = 0
        self.stored = 0
        self.tail = -1
        self.loading = False
        self.listed = False
        self.wakes = math.inf

    def __len__(self) -> int:
        """Deliveries that are owed: held, in flight and stored."""
        return len(self._queue) + len(self._failed) + self.in_flight + self.stored

    @property
    def held(self) -> int:
        """Deliveries in memory that wait to be sent."""
        return len(self._queue) + len(self._failed)

    def push(self, delivery: Delivery) -> None:
        """Append a delivery; its seq is above every earlier one's."""
        self._queue.append(delivery)
        self.tail = delivery.seq

    def take(self, now: float) -> Delivery | None:
        """The delivery to send next, counted as in flight; None while the lane has to wait."""
        if self.order_key is None:
            delivery = self._due(now) or (self._queue.popleft() if self._queue else None)
        elif self._failed or now < self.not_before or not self._queue:
            return None
        else:
            delivery = self._queue.popleft()
        if delivery is not None:
            self.in_flight += 1
        return delivery

    def _due(self, now: float) -> Delivery | None:
        """Of an unordered lane: a failed delivery whose time has come."""
        if self._failed and self._failed[0].not_before <= now:
            return self._failed.pop(0)
        return None

    def settle(self) -> None:
        """A delivery in flight is done, for good or as a dead letter."""
        self.in_flight -= 1
        self._rejoin()

    def again(self, delivery: Delivery) -> None:
        """A delivery in flight failed and is tried again at its `not_before`."""
        self.in_flight -= 1
        if self.order_key is None:
            insort(self._failed, delivery, key=lambda d: (d.not_before, d.seq))
            return
        insort(self._failed, delivery, key=_by_seq)
        self._rejoin()

    def hurry(self, now: float) -> bool:
        """Let the head go that waits and has not failed; whether this is an ordered lane with such a head."""
        head = next(iter(self._failed or self._queue), None)
        if self.order_key is None or head is None or head.trouble is not None or head.not_before <= now:
            return False
        head.not_before = self.not_before = now
        return True

    def _rejoin(self) -> None:
        if self.order_key is not None and self._failed and self.in_flight == 0:
            self.not_before = self._failed[0].not_before
            self._queue.extendleft(reversed(self._failed))
            self._failed.clear()

    def wakes_at(self) -> float | None:
        """When it can send next, as far as it knows; None: nothing waits here."""
        if self.order_key is None:
            if self._queue:
                return 0.0
            return self._failed[0].not_before if self._failed else None
        return self.not_before if self._queue and not self._failed else None

    def runs_low(self, now: float, low: int) -> bool:
        """Whether more of what is stored should be read back; not while it waits for its retry."""
        return bool(self.stored) and (not self.held or (self.held < low and self.not_before <= now))

    def waiting(self) -> list[Delivery]:
        """What is held in memory and not in flight, in order."""
        return [*self._failed, *self._queue]

    def discard_done(self) -> int:
        """Forget held deliveries that were settled elsewhere (expired, evicted); their number."""
        before = self.held
        self._queue = deque(d for d in self._queue if not d.done)
        self._failed = [d for d in self._failed if not d.done]
        return before - self.held
