"""Frames that are no messages: counted, kept for a look, and reported without flooding the log."""

import logging
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger(__name__)

KEPT_FRAMES: Final = 8
KEPT_BYTES: Final = 64 * 1024
REPORT_EVERY: Final = 3600.0


@dataclass(frozen=True, slots=True)
class BadFrame:
    """One frame as it came."""

    code: str
    reason: str
    size: int
    data: str | bytes
    """Its beginning. It may hold what a sender meant to be secret: not for a log."""


class Quarantine:
    """The last few bad frames, and how many came of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.frames: deque[BadFrame] = deque(maxlen=KEPT_FRAMES)
        self._reported: dict[str, float] = {}

    def add(self, code: str, reason: str, data: str | bytes, now: float) -> None:
        """Take in one frame.

        Args:
            code: its kind, of a small set.
            reason: for people; escaped.
            data: the frame.
            now: monotonic time in seconds.
        """
        self.counts[code] += 1
        self.frames.append(BadFrame(code, reason, len(data), data[:KEPT_BYTES]))
        if now >= self._reported.get(code, now):
            self._reported[code] = now + REPORT_EVERY
            logger.warning(
                "the relay sent a frame that is not understood (%s, %d so far): %s",
                code,
                self.counts[code],
                reason,
            )
