"""Deduplication keys that were seen lately, as digests. Pure."""

import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

LIMIT = 65_536
"""Keys; some 6 MiB when full."""
SPARE = 1024
"""Keys above that, before so many of the oldest go at once: to find the first one of a dictionary means to
walk over the gaps that those before it left, which took 15 µs for each key."""
MAX_AGE = 7 * 86_400.0
"""Seconds."""


PER_ROW = 400
"""Keys: a row fits well into a page."""


def portions(digests: Collection[int]) -> Iterator[list[int]]:
    """Digests as the journal's rows hold them."""
    every = list(digests)
    return (every[start : start + PER_ROW] for start in range(0, len(every), PER_ROW))


def encode(digests: Sequence[int]) -> bytes:
    """Digests as bytes."""
    return struct.pack(f">{len(digests)}q", *digests)


def decode(content: bytes) -> tuple[int, ...]:
    """Digests from `encode`."""
    return struct.unpack(f">{len(content) // 8}q", content)


class RecentKeys:
    """The last `LIMIT` keys and some more, each for `MAX_AGE`."""

    def __init__(self, known: Sequence[tuple[int, float]], *, monotonic: Callable[[], float]) -> None:
        """`known`: digests and their ages in seconds, oldest first."""
        self._monotonic = monotonic
        now = monotonic()
        self._seen = {digest: now - age for digest, age in known[-LIMIT:]}

    def add(self, digest: int) -> None:
        """Makes it the youngest, at the cost of the oldest."""
        self._seen.pop(digest, None)
        self._seen[digest] = self._monotonic()
        if len(self._seen) >= LIMIT + SPARE:
            for oldest in list(islice(self._seen, SPARE)):
                del self._seen[oldest]

    def discard(self, digest: int) -> None:
        """Forgets it."""
        self._seen.pop(digest, None)

    def __contains__(self, digest: int | None) -> bool:
        """Whether it was added and isn't too old; None never was."""
        seen = None if digest is None else self._seen.get(digest)
        return seen is not None and self._monotonic() - seen < MAX_AGE
