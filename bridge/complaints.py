"""Rejected webhooks in the log: anyone can send them, so a route speaks of them now and then only."""

import logging
import time
from collections.abc import Callable

from bridge.verify.verdict import Rejected

log = logging.getLogger(__name__)

QUIET = 300.0
"""Seconds after a line about a route until the next one."""


class Rejections:
    """Tells of the first rejected webhook of a route, and then of how many there were meanwhile."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, route: str, rejected: Rejected) -> None:
        """One more for a route."""
        count = self._untold.get(route, 0) + 1
        now = self._monotonic()
        if now < self._quiet_until.get(route, 0.0):
            self._untold[route] = count
            return
        self._untold[route], self._quiet_until[route] = 0, now + QUIET
        log.warning(
            "route %s rejected %d webhook(s); the last one: %s (%s)",
            *(route, count, rejected.reason, rejected.code),
        )
