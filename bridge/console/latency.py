"""How long deliveries take, in a histogram."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

from bridge.delivery.witness import Witness
from bridge.message import Delivery, Failure
from bridge.routing.table import Plan
from bridge.webhook import Webhook

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 3600.0)
"""Upper bounds of the buckets, in seconds: a healthy target is in the first ones, an outage in the last."""


class Latencies:
    """Counts each delivery by its time from the webhook's arrival, and passes on what it is told.

    The time is the wall clock's: it is the only one that a restart leaves comparable.
    """

    def __init__(self, then: Witness, wall: Callable[[], float] = time.time) -> None:
        self._then = then
        self._wall = wall
        self._counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0
        """Seconds."""

    def cumulative(self) -> list[int]:
        """Deliveries up to each bound, then all of them."""
        return list(accumulate(self._counts))

    def settled(self, delivery: Delivery, outcome: str, reason: str = "") -> None:
        """A delivery came to its end."""
        if outcome == "delivered":
            seconds = max(0.0, self._wall() - delivery.webhook.received_at)  # the clock may be set back
            self._counts[bisect_left(BOUNDS, seconds)] += 1
            self.sum += seconds
        self._then.settled(delivery, outcome, reason)

    def delayed(self, delivery: Delivery, failure: Failure) -> None:
        """A try failed and will be repeated."""
        self._then.delayed(delivery, failure)

    def repeated(self, webhook: Webhook, plans: Sequence[Plan]) -> None:
        """These plans are not carried out."""
        self._then.repeated(webhook, plans)
