"""When to connect again. Pure: no clock, and chance is injected."""

from collections.abc import Callable
from enum import Enum
from typing import Final

LONGEST: Final = 60.0
STABLE: Final = 60.0
REFUSED_FIRST: Final = 30.0
REFUSED_LONGEST: Final = 15 * 60.0
MALFORMED_REPEATS: Final = 3
RETRY_AFTER_LONGEST: Final = 24 * 3600.0


class Ending(Enum):
    """Why a connection, or the attempt at one, is over."""

    LOST = "lost"
    REFUSED = "refused"
    """The credentials are not good: asking soon again would only annoy."""
    MALFORMED = "malformed"
    """A message that is no text or over the limit; the relay may send it again at once, for ever."""


class Backoff:
    """The wait before each new attempt, in seconds.

    Full jitter, `uniform(0, min(60, 2^n))`, keeps many devices from returning to a restarted relay together.
    Only a connection that stayed subscribed for 60 s counts as a recovery: a relay that accepts and closes
    would otherwise be called again at once, for ever.

    Args:
        random: yields numbers in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._losses = 0
        self._refusals = 0
        self._malformed = 0

    @property
    def alarm(self) -> bool:
        """Whether the relay keeps sending a message that can't be taken."""
        return self._malformed >= MALFORMED_REPEATS

    def subscribed_for(self, seconds: float) -> None:
        """Note how long a connection that just ended had been subscribed."""
        self._refusals = 0
        if seconds >= STABLE:
            self._losses = self._malformed = 0

    def after(self, ending: Ending, retry_after: float | None = None) -> float:
        """The wait after one more failure; at least what the relay asked for, up to a day."""
        delay = self._refused() if ending is Ending.REFUSED else self._lost()
        if ending is Ending.MALFORMED:
            self._malformed += 1
            delay = LONGEST if self.alarm else delay
        return delay if retry_after is None else max(delay, min(retry_after, RETRY_AFTER_LONGEST))

    def _refused(self) -> float:
        delay = min(REFUSED_LONGEST, REFUSED_FIRST * 2.0 ** min(self._refusals, 10))
        self._refusals += 1
        return delay

    def _lost(self) -> float:
        delay = self._random() * min(LONGEST, 2.0 ** min(self._losses, 10))
        self._losses += 1
        return delay
