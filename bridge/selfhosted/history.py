"""The frames of the last minutes, for subscribers that were away."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.selfhosted.resources import Limits


@dataclass(frozen=True, slots=True)
class Origin:
    """What the log says of a frame's request beside the frame."""

    id: str = ""
    """The frame's own ID, `meta.id`."""
    created: float = 0.0
    """Unix time in seconds."""
    path: str = "/"
    """What followed the input's ID in the request's path."""
    address: str = ""
    """Of the sender."""


_UNKNOWN = Origin()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a frame, as its subscriber or the relay's own call reported it."""

    status: str
    """`sent` or `failed`."""
    status_code: int = 0
    """HTTP's; 0 where there was no answer."""
    retries: int = 0
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as it goes over the wire, the same for every subscriber."""

    position: int
    """Counts from 1, over all buckets."""
    arrived: float
    """Monotonic time in seconds."""
    bucket_id: str
    wire: bytes
    origin: Origin = _UNKNOWN
    exact: bytes = b""
    """The frame with its body in base64, for who asked for that; empty where `wire` has every byte of it."""
    internal: bool = True
    """Whether it goes to subscribers; else the relay delivers it itself."""
    outcome: Outcome | None = None
    """As far as it was known when the frame was read from the disk."""
    ephemeral: bool = False
    """Whether it must not get onto a disk."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.wire) + len(self.exact)


@dataclass(frozen=True, slots=True)
class Query:
    """Which frames are asked for. Unix times in seconds, both inclusive."""

    bucket_ids: frozenset[str]
    start: float
    end: float
    after: int
    """A position."""
    limit: int
    most_bytes: int
    """Of frames; one is found in any case."""

    def taken(self, frames: Iterable[Frame]) -> "Found":
        """As many as are asked for of the frames that are wanted, which come in their order."""
        found: list[Frame] = []
        size = 0
        for one in frames:
            size += one.size
            if len(found) == self.limit or (found and size > self.most_bytes):
                return Found(found, more=True)
            found.append(one)
        return Found(found, more=False)

    def wants(self, frame: Frame) -> bool:
        """Whether a frame is one of those."""
        is_in_time = self.start <= frame.origin.created <= self.end
        return frame.position > self.after and is_in_time and frame.bucket_id in self.bucket_ids


@dataclass(frozen=True, slots=True)
class Found:
    """Frames that were asked for, oldest first."""

    frames: list[Frame]
    more: bool
    """Whether some were left out."""


class History:
    """The newest frames, bounded in age, number and bytes."""

    def __init__(self, limits: Limits, began: float = 0.0) -> None:
        self.complete_since = began
        """Unix time since which every frame is here."""
        self._limits = limits
        self._frames: deque[Frame] = deque()
        self._by_id: dict[str, Frame] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._bytes = 0

    def add(self, frame: Frame) -> None:
        """Keep a frame, and let go of what there is no room for."""
        self._frames.append(frame)
        self._by_id[frame.origin.id] = frame
        self._bytes += frame.size
        while len(self._frames) > self._limits.history_frames or self._bytes > self._limits.history_bytes:
            self._forget()
        self.expire(frame.arrived)

    def expire(self, now: float) -> None:
        """Let go of what is too old at a monotonic time."""
        while self._frames and self._frames[0].arrived < now - self._limits.history_age:
            self._forget()

    def after(self, positions: Mapping[str, int]) -> list[Frame]:
        """The frames that follow a position, given by bucket ID, oldest first."""
        return [
            one
            for one in self._frames
            if one.internal and one.position > positions.get(one.bucket_id, one.position)
        ]

    def find(self, log_id: str) -> Frame | None:
        """A frame by its ID."""
        return self._by_id.get(log_id)

    def note(self, log_id: str, outcome: Outcome) -> None:
        """Keep what became of a frame, as long as the frame is there."""
        if log_id in self._by_id:
            self._outcomes[log_id] = outcome

    def outcome(self, log_id: str) -> Outcome | None:
        """What became of a frame; None where nobody said so."""
        return self._outcomes.get(log_id)

    def select(self, query: Query, *, only_ephemeral: bool = False) -> Found:
        """The frames that are asked for."""
        found = (one for one in self._frames if one.ephemeral or not only_ephemeral)
        return query.taken(one for one in found if query.wants(one))

    def _forget(self) -> None:
        gone = self._frames.popleft()
        self._bytes -= gone.size
        self._by_id.pop(gone.origin.id, None)
        self._outcomes.pop(gone.origin.id, None)
        self.complete_since = max(self.complete_since, gone.origin.created)
