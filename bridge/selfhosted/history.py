"""The frames of the last minutes, for subscribers that were away."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.selfhosted.resources import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as it goes over the wire, the same for every subscriber."""

    position: int
    """Counts from 1, over all buckets."""
    arrived: float
    """Monotonic time in seconds."""
    bucket_id: str
    wire: bytes


class History:
    """The newest frames, bounded in age, number and bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def add(self, frame: Frame) -> None:
        """Keep a frame, and let go of what there is no room for."""
        self._frames.append(frame)
        self._bytes += len(frame.wire)
        while len(self._frames) > self._limits.history_frames or self._bytes > self._limits.history_bytes:
            self._forget()
        self.expire(frame.arrived)

    def expire(self, now: float) -> None:
        """Let go of what is too old at a monotonic time."""
        while self._frames and self._frames[0].arrived < now - self._limits.history_age:
            self._forget()

    def after(self, positions: Mapping[str, int]) -> list[Frame]:
        """The frames that follow a position, given by bucket ID, oldest first."""
        return [one for one in self._frames if one.position > positions.get(one.bucket_id, one.position)]

    def _forget(self) -> None:
        self._bytes -= len(self._frames.popleft().wire)
