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


_Waiting = deque[tuple[float, Delivery]]
"""With the times of arrival, which ascend."""


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
        self._fresh: _Waiting = deque()
        self._patient: dict[str, _Waiting] = {}
        """By target: what has waited `seconds`, while the target took others."""
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, delivery: Delivery) -> None:
        """Hand this one over unless it is done in time; to be told again once it failed."""
        now = self._loop.time()
        self._fresh.append((now, delivery))
        if self._timer is None:
            self._timer = self._loop.call_at(now + self.seconds, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late: dict[int, Delivery] = {}
        if now >= self._looked + self.seconds:
            self._looked = now
            self._look(now, late)
        while self._fresh and (self._fresh[0][0] + self.seconds <= now or self._fresh[0][1].done):
            self._sort(*self._fresh.popleft(), now, late)
        self._timer = self._next_tick(now)
        if late:
            self._hand_over(list(late.values()))

    def _sort(self, arrival: float, delivery: Delivery, now: float, late: dict[int, Delivery]) -> None:
        """One that has waited `seconds`: it may wait on, or is late; by seq, as what failed is here twice."""
        if delivery.done or delivery.journaled:
            return
        if delivery.trouble is None and self._moves(delivery.target, now):
            self._patient.setdefault(delivery.target, deque()).append((arrival, delivery))
        else:
            late[delivery.seq] = delivery

    def _look(self, now: float, late: dict[int, Delivery]) -> None:
        """Put into `late` what is owed and can't wait any more; of a target that takes others, the oldest."""
        for target, waiting in list(self._patient.items()):
            over = now - PATIENCE * self.seconds if self._moves(target, now) else now
            while waiting and (waiting[0][0] <= over or waiting[0][1].done):
                delivery = waiting.popleft()[1]
                if not (delivery.done or delivery.journaled):
                    late[delivery.seq] = delivery
            if not waiting:
                del self._patient[target]

    def _moves(self, target: str, now: float) -> bool:
        """Whether the turn of what waits for a target comes soon, as it looks."""
        return now - self._served(target) < self.seconds

    def _next_tick(self, now: float) -> asyncio.TimerHandle | None:
        due = [self._looked + self.seconds] if self._patient else []
        if self._fresh:
            due.append(self._fresh[0][0] + self.seconds)
        return self._loop.call_at(max(now, min(due)), self._tick) if due else None

    def _waiting(self) -> list[Delivery]:
        """What is owed, once each."""
        every = chain(*self._patient.values(), self._fresh)
        owed = {one.seq: one for _, one in every if not (one.done or one.journaled)}
        return list(owed.values())

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
