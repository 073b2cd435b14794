"""The lanes of one target, and which of them sends next."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count

from bridge.crashpoint import crash_at
from bridge.delivery.lane import Lane
from bridge.delivery.rates import Rates
from bridge.delivery.retry import Retry
from bridge.delivery.suspects import TURN, Suspects
from bridge.message import Delivery, MqttMessage
from bridge.targets.base import Target

BURST = 32
"""Deliveries that one lane sends before the next lane has its turn."""
OVERHEAD = 1200
"""Bytes that a held delivery takes beside its bodies, measured on CPython 3.11."""


def memory_of(delivery: Delivery) -> int:
    """Bytes that a delivery takes, about."""
    message = delivery.message
    own = message.payload if isinstance(message, MqttMessage) else message.body
    return OVERHEAD + len(delivery.webhook.raw) + len(own or b"")


class Outbox:
    """Everything that is owed to one target.

    Args:
        name: the target's.
        expired: called with a delivery whose time is over when its turn comes.
        suspects: of all targets.
        rates: of all routes.

    Attributes:
        target: None where the routing file no longer names it: nothing is sent, nothing is lost.
        retry: the target's patience.
        held_bytes: memory that its deliveries take.
        served: monotonic time at which the target last took a delivery.
        loads: lanes that are being read back.
        starving: lanes with deliveries in the journal that could be read back (an ordered set).
        retired: no route uses it any more; it is closed when nothing is owed.
        paused: an operator holds it: nothing is sent, and what is owed waits in the journal.
    """

    def __init__(
        self, name: str, expired: Callable[[Delivery, Lane], None], suspects: Suspects, rates: Rates
    ) -> None:
        self.name = name
        self.target: Target | None = None
        self.retry = Retry()
        self.held_bytes = 0
        self.served = -math.inf
        self.retired = False
        self.paused = False
        self._expired = expired
        self._suspects = suspects
        self._rates = rates
        self._lanes: dict[str | None, Lane] = {}
        self.starving: dict[Lane, None] = {}
        self.loads = 0
        self._listed: deque[Lane] = deque()
        self._sleeping: list[tuple[float, int, Lane]] = []
        self._ties = count()

    def __len__(self) -> int:
        """Deliveries that are owed."""
        return sum(len(lane) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def lane(self, order_key: str | None) -> Lane:
        """The lane of an order key, made when first asked for."""
        lane = self._lanes.get(order_key)
        if lane is None:
            lane = self._lanes[order_key] = Lane(order_key)
        return lane

    def has_room(self, lane: Lane, size: int, share: int) -> bool:
        """Whether a delivery can be held in memory: no lane takes more than a quarter of the share."""
        return self.held_bytes + size <= share and (lane.held_bytes + size <= share // 4 or not lane.held)

    def push(self, lane: Lane, delivery: Delivery) -> None:
        """Hold a delivery at the lane's tail."""
        lane.push(delivery)
        lane.held_bytes += delivery.size
        self.held_bytes += delivery.size
        self.enlist(lane)

    def enlist(self, lane: Lane) -> None:
        """Put a lane in the list of those that may send."""
        if not lane.listed:
            lane.listed = True
            self._listed.append(lane)

    def release(self, delivery: Delivery, lane: Lane) -> None:
        """A delivery is no longer held; an empty lane is forgotten."""
        lane.held_bytes -= delivery.size
        self.held_bytes -= delivery.size
        self.forget_if_empty(lane)

    def forget_if_empty(self, lane: Lane) -> None:
        """Lanes come and go with their deliveries; their keys are made of webhooks' text."""
        if not lane and not lane.loading:
            self._lanes.pop(lane.order_key, None)

    def hurry(self, now: float) -> None:
        """Have every lane ask again that waits for the rate of its route, which may be another one now."""
        for lane in self:
            if lane.hurry(now):
                self.enlist(lane)

    @property
    def at_rest(self) -> bool:
        """Whether nothing waits: neither to be sent, nor for its time, nor to be read back."""
        return not (self._listed or self._sleeping or self.starving)

    @property
    def stuck(self) -> bool:
        """Whether every lane that is held waits for time or for a result."""
        return not self._listed

    def send(self, now: float) -> float | None:
        """Send what the target takes now.

        Returns:
            The monotonic time at which a sleeping lane can go on; None where none waits for time.
        """
        while self._sleeping and self._sleeping[0][0] <= now:
            lane = heappop(self._sleeping)[2]
            lane.wakes = math.inf
            self.enlist(lane)
        target = None if self.paused else self.target
        while target is not None and self._listed and target.capacity() > 0:
            lane = self._listed.popleft()
            lane.listed = False
            self._burst(target, lane, now)
            self._put_back(target, lane, now)
        return self._sleeping[0][0] if self._sleeping else None

    def _put_back(self, target: Target, lane: Lane, now: float) -> None:
        wakes = lane.wakes_at()
        if wakes is None:
            return
        if wakes > now:
            if wakes < lane.wakes:
                lane.wakes = wakes
                heappush(self._sleeping, (wakes, next(self._ties), lane))
        elif self._may_send(target, lane):
            self.enlist(lane)

    def _burst(self, target: Target, lane: Lane, now: float) -> None:
        for _ in range(min(BURST, target.capacity())):
            if not self._may_send(target, lane):
                return
            delivery = lane.take(now)
            if delivery is None:
                return
            if delivery.deadline is not None and delivery.deadline <= now:
                self._expired(delivery, lane)
            elif self._suspects.must_wait(delivery.seq):
                delivery.not_before = now + TURN
                lane.again(delivery)
            elif self._rates.has_to_wait(delivery, now):
                lane.again(delivery)
            else:
                self._suspects.sent(delivery.seq)
                crash_at("delivery.claimed")
                target.send(delivery)

    @staticmethod
    def _may_send(target: Target, lane: Lane) -> bool:
        return lane.order_key is None or lane.in_flight < target.lane_window
