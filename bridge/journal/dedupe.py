"""Deduplication keys that were seen lately, as digests. Pure."""

from collections.abc import Callable, Iterable

LIMIT = 65_536
"""Keys; some 6 MiB when full."""
MAX_AGE = 7 * 86_400.0
"""Seconds."""


class RecentKeys:
    """The last `LIMIT` keys, each for `MAX_AGE`."""

    def __init__(self, known: Iterable[tuple[int, float]], *, monotonic: Callable[[], float]) -> None:
        """`known`: digests and their ages in seconds, oldest first."""
        self._monotonic = monotonic
        now = monotonic()
        self._seen = {digest: now - age for digest, age in known}

    def add(self, digest: int) -> None:
        """Makes it the youngest, at the cost of the oldest."""
        self._seen.pop(digest, None)
        self._seen[digest] = self._monotonic()
        if len(self._seen) > LIMIT:
            del self._seen[next(iter(self._seen))]

    def __contains__(self, digest: int) -> bool:
        """Whether it was added and isn't too old."""
        seen = self._seen.get(digest)
        return seen is not None and self._monotonic() - seen < MAX_AGE
