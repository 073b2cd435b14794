"""The race between delivery and journal: deliveries that are not done in time are handed over."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from bridge.message import Delivery


class Linger:
    """Waits `seconds` for each delivery, then hands over those that are still owed, in batches.

    One timer serves all: deliveries come in the order of their deadlines.
    """

    def __init__(self, seconds: float, hand_over: Callable[[Sequence[Delivery]], None]) -> None:
        self.seconds = seconds
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._fresh: deque[tuple[float, Delivery]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, delivery: Delivery) -> None:
        """Hand this one over unless it is done in time."""
        due = self._loop.time() + self.seconds
        self._fresh.append((due, delivery))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        late = []
        while self._fresh and (self._fresh[0][0] <= now or self._fresh[0][1].done):
            delivery = self._fresh.popleft()[1]
            if not delivery.done and not delivery.journaled:
                late.append(delivery)
        if self._fresh:
            self._timer = self._loop.call_at(self._fresh[0][0], self._tick)
        if late:
            self._hand_over(late)

    def __len__(self) -> int:
        """Deliveries that are owed and not handed over yet."""
        return sum(not (d.done or d.journaled) for _, d in self._fresh)

    def flush(self) -> None:
        """Hand over everything that is owed, now."""
        late = [d for _, d in self._fresh if not d.done and not d.journaled]
        self._fresh.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if late:
            self._hand_over(late)
