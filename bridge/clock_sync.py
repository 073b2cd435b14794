"""Whether this machine knows what time it is: one without a clock battery starts somewhere in the past."""

import time
from collections.abc import Callable
from pathlib import Path

from bridge.verify.verdict import Clock

TIMESYNCD = Path("/run/systemd/timesync")
"""There while systemd's time service runs; it makes the file `synchronized` in it (systemd-timesyncd(8)).

The kernel's own flag would say it for every time service, but a service with ProtectClock= can't read it.
"""
CHECKED_EVERY = 5.0
"""Seconds."""


class ClockSync:
    """The time, and whether it can be believed.

    Args:
        plausible: whether the clock is not behind what is known; it decides where no time service is seen.
        folder: of systemd's time service.
        wall: Unix time in seconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        plausible: Callable[[], bool],
        *,
        folder: Path = TIMESYNCD,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plausible = plausible
        self._folder = folder
        self._wall = wall
        self._monotonic = monotonic
        self._synchronised = False
        self._check_at = 0.0

    def clock(self) -> Clock:
        """The clock now. Whether it is synchronised is looked up again every few seconds."""
        now = self._monotonic()
        if now >= self._check_at:
            self._check_at = now + CHECKED_EVERY
            self._synchronised = self._look()
        return Clock(self._wall(), self._synchronised)

    def _look(self) -> bool:
        if self._folder.is_dir():
            return (self._folder / "synchronized").exists()
        return self._plausible()
