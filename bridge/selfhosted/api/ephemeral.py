"""The log of a relay with a disk: what is ephemeral is in memory, as long as the history goes back."""

from bridge.selfhosted.engine import Log
from bridge.selfhosted.history import Found, Frame, History, Outcome, Query


class PartlyEphemeral:
    """A log of both kinds of frames.

    Args:
        disk: has those that are not ephemeral.
        history: has the others, besides what it shares with the disk.
    """

    def __init__(self, disk: Log, history: History) -> None:
        self._disk = disk
        self._history = history

    @property
    def complete_since(self) -> float:
        """As `Log`, of what is not ephemeral."""
        return self._disk.complete_since

    async def select(self, query: Query) -> Found:
        """As `Log`."""
        kept = await self._disk.select(query)
        return _merged(query, kept, self._history.select(query, only_ephemeral=True))

    async def find(self, log_id: str) -> Frame | None:
        """As `Log`."""
        return self._in_memory(log_id) or await self._disk.find(log_id)

    def outcome(self, frame: Frame) -> Outcome | None:
        """As `Log`."""
        return self._history.outcome(frame.origin.id) if frame.ephemeral else self._disk.outcome(frame)

    def note(self, log_id: str, outcome: Outcome) -> None:
        """As `Log`."""
        (self._history if self._in_memory(log_id) else self._disk).note(log_id, outcome)

    def _in_memory(self, log_id: str) -> Frame | None:
        frame = self._history.find(log_id)
        return frame if frame is not None and frame.ephemeral else None


def _merged(query: Query, *parts: Found) -> Found:
    """One page of several: no further than each of them goes, since the next page begins at its end."""
    ends = [one.frames[-1].position for one in parts if one.more]
    frames = sorted((frame for one in parts for frame in one.frames), key=lambda frame: frame.position)
    found = query.taken(one for one in frames if not ends or one.position <= min(ends))
    return Found(found.frames, found.more or bool(ends))
