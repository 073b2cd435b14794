"""Webhooks seen lately, so that one that comes twice (a resend, two connections) is taken once."""

from collections.abc import Hashable

REMEMBERED = 10_000


class Recent:
    """The last identities, bounded. Two webhooks with the same body are two webhooks."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._seen: dict[Hashable, None] = {}

    def seen(self, identity: Hashable) -> bool:
        """Whether this one was there before; it is remembered from now on."""
        if identity in self._seen:
            return True
        self._seen[identity] = None
        if len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return False
