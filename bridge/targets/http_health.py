"""Whether an HTTP target takes deliveries: up, down with a back-off, refused, or paused."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from bridge.message import Failure, FailureKind, Result
from bridge.targets.base import LastFailure, TargetState

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
QUIET = 600.0
"""Seconds for which a refusal that comes back is not logged again."""


class Health:
    """Follows the results of one target's deliveries.

    There is no connection to watch: the results are all there is to see. A target that can't be
    reached gets no delivery until a back-off with full jitter is over, and then one, the probe.
    """

    def __init__(
        self, target: str, on_probe: Callable[[], None], rand: Callable[[], float] = random.random
    ) -> None:
        self._target = target
        self._on_probe = on_probe
        self._random = rand
        self._failed_probes = 0
        self._down_since = 0.0
        self._refusal_logged = -QUIET
        self._timer: asyncio.TimerHandle | None = None
        self.state = TargetState("up", since=time.time())
        self.last_failure: LastFailure | None = None

    def window(self, most: int) -> int:
        """How many deliveries may be in flight, of at most `most`."""
        if self.state.name == "paused" or self._timer is not None:
            return 0
        return 1 if self.state.name == "down" else most

    def record(self, result: Result) -> None:
        """Draw the conclusion from one result."""
        if isinstance(result, Failure):
            self.last_failure = LastFailure(f"{result.code}: {result.reason}", time.time())
        if self.state.name == "paused":  # stragglers do not end a pause
            return
        match result:
            case Failure(kind=FailureKind.CONNECTION, reason=reason):
                self._unreachable(reason)
            case Failure(kind=FailureKind.GONE, reason=reason):
                self._reached("paused", reason)
                self._log(logging.WARNING, "paused", "%s is paused until it is resumed: %s", reason)
            case Failure(kind=FailureKind.REFUSED, reason=reason):
                self._reached("refused", reason)
                self._log_refusal(reason)
            case Failure(reason=reason):
                self._reached("up", reason)
            case _:
                self._reached("up", "")

    def resume(self) -> bool:
        """End a pause; False where there was none."""
        if self.state.name != "paused":
            return False
        self._enter("up", "")
        self._log(logging.INFO, "up", "%s is resumed")
        return True

    def close(self) -> None:
        """No probe any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _unreachable(self, reason: str) -> None:
        if self.state.name != "down":
            self._failed_probes = 0
            self._down_since = time.monotonic()
            self._log(logging.WARNING, "down", "%s is down: %s", reason)
        self._enter("down", reason)
        if self._timer is None:  # else it was in flight when the outage began, and is no probe
            wait = self._random() * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._failed_probes, 10))
            self._failed_probes += 1
            self._timer = asyncio.get_running_loop().call_later(wait, self._probe)

    def _probe(self) -> None:
        self._timer = None
        self._on_probe()

    def _reached(self, name: str, reason: str) -> None:
        self.close()
        if self.state.name == "down":
            seconds = time.monotonic() - self._down_since
            self._log(logging.INFO, name, "%s is back after %.1f s", seconds, seconds=seconds)
        self._enter(name, reason)

    def _enter(self, name: str, reason: str) -> None:
        since = self.state.since if self.state.name == name else time.time()
        self.state = TargetState(name, reason, since)

    def _log_refusal(self, reason: str) -> None:
        now = time.monotonic()
        if now - self._refusal_logged >= QUIET:
            self._refusal_logged = now
            self._log(logging.WARNING, "refused", "%s refuses, and needs somebody to look: %s", reason)

    def _log(self, level: int, state: str, text: str, *values: object, **fields: object) -> None:
        log.log(level, text, self._target, *values, extra={"target": self._target, "state": state, **fields})
