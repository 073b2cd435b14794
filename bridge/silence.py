"""Silence alarms: a route that expects webhooks regularly has had none for too long."""

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from bridge.config.model import Silence
from bridge.counters import Counts
from bridge.relay.cursor import Notes

log = logging.getLogger(__name__)

NOTE: Final = "silences"
NOTE_SECONDS: Final = 600.0
"""How often the note is renewed at most: each time is a write to the disk."""
START_SECONDS: Final = 120.0
"""After a start nothing is silent: what came meanwhile is still asked for."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A route is silent. Times are seconds."""

    route: str
    since: float
    """Unix time of its last webhook, or of when the bridge began to wait for the first."""
    every: float
    grace: float

    def as_dict(self) -> dict[str, object]:
        """For status."""
        return {"since": self.since, "every": self.every, "grace": self.grace}


Told = Callable[[Alarm, bool], None]
"""Takes an alarm that begins (True) or ends."""


def silent(
    silences: Mapping[str, Silence], seen: Mapping[str, float], now: float, uncertain: Container[str] = ()
) -> dict[str, Alarm]:
    """The alarms that hold now, by route.

    Args:
        silences: what the routes expect.
        seen: when each had its last webhook.
        now: of the same clock, in seconds.
        uncertain: routes whose time is an old note's: they may have had a webhook up to `NOTE_SECONDS` later.
    """
    return {
        route: Alarm(route, seen[route], expected.every, expected.grace)
        for route, expected in silences.items()
        if now - seen[route] > expected.every + expected.grace + NOTE_SECONDS * (route in uncertain)
    }


class SilenceAlarms:
    """Looks at the counts of routes now and then. Everything runs on the event loop's thread.

    Args:
        counts: of the path.
        notes: where the times of the last webhooks survive a restart.
        now: Unix time that no jump of the wall clock disturbs, and that hardly falls behind the notes.
    """

    def __init__(self, counts: Counts, notes: Notes, now: Callable[[], float]) -> None:
        self.active: Mapping[str, Alarm] = {}
        """By route."""
        self._counts = counts
        self._notes = notes
        self._now = now
        self._started = now()
        self._silences: Mapping[str, Silence] = {}
        self._matched: dict[str, int] = {}
        self._seen: dict[str, float] = {}
        self._uncertain: set[str] = set()
        """Routes of which only an earlier process' note is known."""
        self._noted: dict[str, float] = {}
        self._noted_at = self._started
        self._told: list[Told] = []

    def listen(self, told: Told) -> None:
        """Have `told` called with each alarm that begins or ends."""
        self._told.append(told)

    async def restore(self) -> None:
        """Go on from what an earlier process saw; before the first `use`."""
        note = await self._notes.get(NOTE)
        self._seen = {route: min(at, self._started) for route, at in _times(note or b"{}").items()}
        self._uncertain = set(self._seen)
        self._noted = dict(self._seen)

    def use(self, silences: Mapping[str, Silence]) -> None:
        """Watch these routes from now on; a route that stays keeps its time."""
        self._silences = silences
        self._seen = {route: self._seen.get(route, self._now()) for route in silences}
        self._matched = {route: self._matched.get(route, self._count(route)) for route in silences}
        self.check()

    def check(self) -> None:
        """Look for new webhooks, and tell of alarms that begin and end."""
        now = self._now()
        for route in self._silences:
            count = self._count(route)
            if count != self._matched[route]:
                self._matched[route], self._seen[route] = count, now
                self._uncertain.discard(route)
        if now - self._noted_at >= NOTE_SECONDS:
            self.note()
        before = self.active
        waking = now - self._started < START_SECONDS
        self.active = {} if waking else silent(self._silences, self._seen, now, self._uncertain)
        for route in self.active.keys() - before.keys():
            self._begin(self.active[route], now)
        for route in before.keys() - self.active.keys():
            self._end(before[route])

    def note(self) -> None:
        """Keep what was seen for the next start, where it is new."""
        self._noted_at = self._now()
        if self._seen != self._noted:
            self._noted = dict(self._seen)
            self._notes.put(NOTE, orjson.dumps(self._noted))

    def _count(self, route: str) -> int:
        counts = self._counts.routes.get(route)
        return counts.matched if counts else 0

    def _begin(self, alarm: Alarm, now: float) -> None:
        log.warning(
            "route %s is silent: no webhook for %d s, and it expects one every %d s",
            *(alarm.route, now - alarm.since, alarm.every),
            extra={"route": alarm.route, "state": "silent"},
        )
        for told in self._told:
            told(alarm, True)

    def _end(self, alarm: Alarm) -> None:
        log.info(
            "route %s is not silent any more", alarm.route, extra={"route": alarm.route, "state": "heard"}
        )
        for told in self._told:
            told(alarm, False)


def _times(note: bytes) -> dict[str, float]:
    """The times in a note; none where it is not one of ours."""
    try:
        said = orjson.loads(note)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {route: float(at) for route, at in said.items() if isinstance(at, int | float)}
