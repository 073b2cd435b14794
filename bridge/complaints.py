"""What goes wrong with a route's webhooks, in the log: each route speaks now and then only."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

QUIET = 300.0
"""Seconds after a line about a route until the next one."""


class Complaints:
    """Tells of a route's first one, and then of how many there were meanwhile.

    Args:
        text: with places for the route, the number, the last one's reason and its code.
        monotonic: seconds.
    """

    def __init__(self, text: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._text = text
        self._monotonic = monotonic
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, route: str, code: str, reason: str, target: str | None = None) -> None:
        """One more for a route; `reason` holds no secret."""
        count = self._untold.get(route, 0) + 1
        now = self._monotonic()
        if now < self._quiet_until.get(route, 0.0):
            self._untold[route] = count
            return
        self._untold[route], self._quiet_until[route] = 0, now + QUIET
        fields = {"route": route, "code": code, "target": target}
        log.warning(self._text, route, count, reason, code, extra=fields)
