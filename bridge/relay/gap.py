"""Which part of a relay's log was missed, told in the relay's own time. Pure: clocks are arguments.

Ours may be years off (a board without a clock battery boots in 1970), so it never meets the relay's: what
the relay says of its own time is an anchor, and from there our monotonic clock counts on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

OVERLAP: Final = 60.0
"""Seconds asked for again before each gap; what was received is taken once, whatever it is offered."""
DRIFT: Final = 1e-3
"""How wrong a monotonic clock may run. Twice what a time daemon may slew it by."""
LEAST_SLICE: Final = 3600.0
MOST_SLICES: Final = 24


@dataclass(frozen=True, slots=True)
class RelayClock:
    """What the relay's clock said, and when on our monotonic clock. Seconds; the first is Unix time."""

    said: float
    at: float

    def now(self, monotonic: float) -> float:
        """The relay's time now, about."""
        return self.said + monotonic - self.at

    def complete(self, monotonic: float, silence: float) -> float:
        """The relay's time up to which a live subscription surely brought everything.

        Args:
            monotonic: now.
            silence: seconds since the relay's last message.
        """
        return self.now(monotonic) - silence - OVERLAP - DRIFT * (monotonic - self.at)


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the relay's log. Unix times of the relay's clock, in seconds."""

    start: float
    end: float
    beyond: float
    """Seconds before `start` that were missed too, and are not asked for."""

    def slices(self) -> Iterator[tuple[float, float]]:
        """The gap in a few consecutive parts, oldest first."""
        count = min(MOST_SLICES, max(1, int((self.end - self.start) / LEAST_SLICE)))
        step = (self.end - self.start) / count
        for number in range(count):
            last = number == count - 1
            yield self.start + number * step, self.end if last else self.start + (number + 1) * step


def gap_between(complete: float, now: float, horizon: float) -> Gap:
    """What was missed.

    Args:
        complete: time up to which nothing is missing.
        now: the relay's time at which webhooks come live again.
        horizon: seconds before `now` that are asked for at most.
    """
    wanted = min(complete, now - OVERLAP)  # also where the relay's clock was set back
    start = max(wanted, now - max(horizon, OVERLAP))
    return Gap(start, now, start - wanted)
