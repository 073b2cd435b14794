"""How often a route may send: a limit with bursts. Pure; whoever asks tells the time."""

import math
from dataclasses import dataclass
from enum import Enum


class Excess(Enum):
    """What becomes of a webhook that comes too soon."""

    WAIT = "wait"
    """It waits in its lane."""
    DEAD = "dead"
    """It is a dead letter."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate` of a route."""

    limit: int
    """Webhooks in the time `per`."""
    per: float
    """Seconds."""
    burst: int
    """Webhooks that may go at once after a pause."""
    excess: Excess = Excess.WAIT

    def __str__(self) -> str:
        """In words."""
        return f"at most {self.limit} in {self.per:g} s, {self.burst} at once"


class Bucket:
    """A token bucket: never more than `burst + limit / per * t` are let through in a time `t`.

    It keeps one number, the time at which it would be full again (the generic cell rate algorithm, ITU-T
    I.371), so that a wait is compared with the very number that was told before, and no rounding adds up.
    """

    def __init__(self, rate: Rate) -> None:
        self._interval = rate.per / rate.limit
        self._slack = (rate.burst - 1) * self._interval
        self._full = -math.inf
        self._last_turn = -math.inf

    def take(self, now: float) -> bool:
        """Whether one may go now. Times are seconds, and never run backwards."""
        if now < self._full - self._slack:
            return False
        self._full = max(self._full, now) + self._interval
        return True

    def turn(self, now: float) -> float:
        """A time after `now` to ask again for one that may not go now.

        Each that waits is told another time: else all of them would ask whenever one may go.
        """
        earliest = max(self._full - self._slack, math.nextafter(now, math.inf))
        self._last_turn = max(earliest, self._last_turn + self._interval)
        return self._last_turn
