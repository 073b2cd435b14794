"""The race between delivery and journal: deliveries that are not done in time are handed over."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

from bridge.message import Delivery

PATIENCE: Final = 10
"""So many times as long a delivery may take where its target keeps taking others, as in a burst of webhooks:
else the journal would be written for what is delivered a moment later, and slow the delivery down."""


class Linger:
    """Waits `seconds` for each delivery, then hands over those that are still owed, in batches.

    One timer serves all: deliveries come in the order of their deadlines.

    Args:
        seconds: to wait.
        hand_over: takes what has waited long enough.
        served: the monotonic time at which a target last took a delivery.
    """

    def __init__(
        self,
        seconds: float,
        hand_over: Callable[[Sequence[Delivery]], None],
        served: Callable[[str], float],
    ) -> None:
        self.seconds = seconds
        self._hand_over = hand_over
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._fresh: deque[tuple[float, Delivery]] = deque()
        self._patient: deque[tuple[float, Delivery]] = deque()
        """Those that have waited `seconds`, while their target took others. Times are of arrival."""
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, delivery: Delivery) -> None:
        """Hand this one over unless it is done in time."""
        now = self._loop.time()
        self._fresh.append((now, delivery))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self.seconds, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late: list[Delivery] = []
        if now >= self._looked + self.seconds:
            self._looked = now
            waiting, self._patient = self._patient, deque()
            self._sort(waiting, now, late)
        self._sort(self._due(now), now, late)
        self._timer = self._next_tick(now)
        if late:
            self._hand_over(late)

    def _due(self, now: float) -> list[tuple[float, Delivery]]:
        due = []
        while self._fresh and (self._fresh[0][0] + self.seconds <= now or self._fresh[0][1].done):
            due.append(self._fresh.popleft())
        return due

    def _sort(self, waiting: Sequence[tuple[float, Delivery]], now: float, late: list[Delivery]) -> None:
        """Keep those that may wait on, and put the others that are owed into `late`."""
        for arrival, delivery in waiting:
            if delivery.done or delivery.journaled:
                continue
            if now < arrival + PATIENCE * self.seconds and self._moves(delivery, now):
                self._patient.append((arrival, delivery))
            else:
                late.append(delivery)

    def _moves(self, delivery: Delivery, now: float) -> bool:
        """Whether its turn comes soon, as it looks."""
        return delivery.trouble is None and now - self._served(delivery.target) < self.seconds

    def _next_tick(self, now: float) -> asyncio.TimerHandle | None:
        due = [self._looked + self.seconds] if self._patient else []
        if self._fresh:
            due.append(self._fresh[0][0] + self.seconds)
        return self._loop.call_at(max(now, min(due)), self._tick) if due else None

    def _waiting(self) -> list[Delivery]:
        every = chain(self._patient, self._fresh)
        return [delivery for _, delivery in every if not (delivery.done or delivery.journaled)]

    def __len__(self) -> int:
        """Deliveries that are owed and not handed over yet."""
        return len(self._waiting())

    def flush(self) -> None:
        """Hand over everything that is owed, now."""
        late = self._waiting()
        self._fresh.clear()
        self._patient.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if late:
            self._hand_over(late)
