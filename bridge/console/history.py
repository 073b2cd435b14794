"""The last hour of each route, minute by minute. Pure: its owner says when a minute is over."""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.counters import RouteCounts

MINUTES: Final = 60
MOST_ROUTES: Final = 100


class Marks(NamedTuple):
    """What is counted."""

    matched: int
    dead: int


class _Bars:
    """One route's finished minutes, and what was counted when the current one began."""

    __slots__ = ("began", "past")

    def __init__(self) -> None:
        self.began = Marks(0, 0)
        self.past: deque[Marks] = deque(maxlen=MINUTES - 1)

    def current(self, counts: RouteCounts) -> Marks:
        return Marks(counts.matched - self.began.matched, counts.dead - self.began.dead)

    def turn(self, counts: RouteCounts) -> None:
        self.past.append(self.current(counts))
        self.began = Marks(counts.matched, counts.dead)


class History:
    """Webhooks that matched and deliveries that died, by route and minute, made of the running counts."""

    def __init__(self, counts: Mapping[str, RouteCounts]) -> None:
        self._counts = counts
        self._bars: dict[str, _Bars] = {}

    def turn(self) -> None:
        """A minute is over."""
        for name, counts in self._counts.items():
            bars = self._of(name)
            if bars is not None:
                bars.turn(counts)

    def minutes(self) -> dict[str, dict[str, list[int]]]:
        """For each route `matched` and `dead`, oldest minute first; the last one is not over yet."""
        shown = {}
        for name, counts in self._counts.items():
            bars = self._of(name)
            if bars is None:
                continue
            marks = [*bars.past, bars.current(counts)]
            missing = [0] * (MINUTES - len(marks))
            shown[name] = {
                "matched": missing + [mark.matched for mark in marks],
                "dead": missing + [mark.dead for mark in marks],
            }
        return shown

    def _of(self, name: str) -> _Bars | None:
        bars = self._bars.get(name)
        if bars is None and len(self._bars) < MOST_ROUTES:
            bars = self._bars[name] = _Bars()
        return bars
