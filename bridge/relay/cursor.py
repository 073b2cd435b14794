"""Up to when the record of a relay's webhooks is complete, kept where it survives this process."""

import hashlib
from typing import Final, Protocol

import orjson

from bridge.config.model import RelaySettings

NOTE: Final = "gaps.complete"


class Notes(Protocol):
    """Where the cursor is kept; the journal is one."""

    async def get(self, key: str) -> bytes | None:
        """What was put last."""

    def put(self, key: str, value: bytes) -> None:
        """Keep this soon."""

    async def flush(self) -> None:
        """Return once all that was put is durable."""


class Cursor:
    """The relay's time up to which nothing is missing. It belongs to one account of one relay."""

    def __init__(self, notes: Notes, relay: RelaySettings) -> None:
        self._notes = notes
        self._relay = hashlib.sha256(f"{relay.url}\0{relay.key}".encode()).hexdigest()[:16]
        self._saved_at = float("-inf")
        self.until: float | None = None

    async def load(self) -> None:
        """Take up what an earlier process noted, where there is nothing newer."""
        if self.until is not None:
            return
        try:
            note = orjson.loads(await self._notes.get(NOTE) or b"{}")
        except orjson.JSONDecodeError:
            return
        if note.get("relay") == self._relay:
            self.until = note.get("until")

    def advance(self, until: float) -> None:
        """Nothing is missing up to this time."""
        self.until = max(until, self.until or 0.0)

    def save(self, now: float, *, every: float = 0.0) -> None:
        """Note it, unless that was done less than `every` seconds before a monotonic time."""
        if self.until is not None and now - self._saved_at >= every:
            self._saved_at = now
            self._notes.put(NOTE, orjson.dumps({"relay": self._relay, "until": self.until}))

    def forget(self) -> None:
        """What follows is nobody's gap."""
        self.until = None
        self._notes.put(NOTE, b"{}")
