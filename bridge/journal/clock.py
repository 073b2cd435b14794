"""Deadlines that outlive the process.

A machine without a clock battery starts with a wrong time and may jump by hours when the network sets it. So
deadlines run on the monotonic clock, which ends with the process (strictly: with the boot). Each start is a
session; the journal keeps, per session, the last known difference between both clocks, and for each row the
lifetime that was left when it was stored, for when the wall clock can't be believed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

PLAUSIBLE = 1_735_689_600.0
"""Unix time, 1 January 2025: a clock before that was never set."""
RESOLUTION = 2.0
"""Seconds by which the clocks may drift apart before the difference is recorded anew."""
REFRESH = 600.0
"""Seconds between records of the high-water mark; more often would only wear the card."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A deadline as it is stored, in seconds."""

    session: int
    deadline: float
    """On the monotonic clock of its session."""
    left: float
    """What was left when it was stored."""


class Clock:
    """The clocks of one session."""

    def __init__(
        self,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        session: int = 0,
        offsets: Mapping[int, float | None] | None = None,
        high_water: float = PLAUSIBLE,
    ) -> None:
        self.session = session
        self.monotonic = monotonic
        self.wall = wall
        self._offsets = offsets or {}
        self._high_water = max(high_water, PLAUSIBLE)
        self._opened = monotonic()
        self._opened_at = max(wall(), self._high_water)
        self._believed = wall() >= self._high_water
        self._recorded: tuple[float | None, float] | None = None

    def now(self) -> float:
        """Unix time that no jump of the wall clock disturbs: as it was at the start, plus what went by."""
        return self._opened_at + self.monotonic() - self._opened

    def stamp(self) -> float:
        """Unix time to show to people: the wall clock, unless it is behind what is known."""
        return max(self.wall(), self.now())

    def lifetime(self, deadline: float | None) -> Lifetime | None:
        """A deadline of this process, fit to be stored."""
        return None if deadline is None else Lifetime(self.session, deadline, deadline - self.monotonic())

    def deadline(self, stored: Lifetime | None) -> float | None:
        """A stored deadline on this process' monotonic clock.

        Where the wall clock is behind the high-water mark (not set yet), or wasn't set when the row was
        stored, the lifetime that was left starts again: late is better than lost.
        """
        if stored is None:
            return None
        if stored.session == self.session:
            return stored.deadline
        offset = self._offsets.get(stored.session)
        if offset is None or not self._believed:
            return self._opened + stored.left
        return self._opened + stored.deadline + offset - self._opened_at

    def is_plausible(self) -> bool:
        """Whether the wall clock is not behind what is known."""
        return self.wall() >= self._high_water

    def news(self) -> tuple[float | None, float] | None:
        """(offset of the clocks, high-water mark) where they have to be recorded, else None."""
        wall = self.wall()
        offset = wall - self.monotonic() if wall >= self._high_water else None
        known = self._recorded
        if known and (offset is None or not self._changed(offset, wall, known)):
            return None
        return offset, max(wall, self._high_water)

    def forget(self) -> None:
        """Tells that the journal may have lost what was recorded."""
        self._recorded = None

    def recorded(self, news: tuple[float | None, float]) -> None:
        """Tells that `news` is in the journal."""
        self._recorded = news
        self._high_water = news[1]

    @staticmethod
    def _changed(offset: float, wall: float, known: tuple[float | None, float]) -> bool:
        moved = known[0] is None or abs(offset - known[0]) > RESOLUTION
        return moved or wall - known[1] > REFRESH
