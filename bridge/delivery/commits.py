"""Handing deliveries to the journal, and holding the intake while it can't follow."""

from collections.abc import Callable, Sequence

from bridge.delivery.eviction import Eviction
from bridge.delivery.receipts import Receipts
from bridge.journal.journal import Journal
from bridge.message import Delivery


class Commits:
    """Counts what the journal was given and is not durable yet.

    Args:
        limit: bytes of that, beyond which the intake is held until half of it is durable.
        congested: called with whether the intake is to be held, when that changes.
    """

    def __init__(
        self,
        journal: Journal,
        receipts: Receipts,
        eviction: Eviction,
        limit: int,
        congested: Callable[[bool], None],
    ) -> None:
        self._journal = journal
        self._receipts = receipts
        self._eviction = eviction
        self._limit = limit
        self._congested = congested
        self._holding = False
        self._open = 0
        self._bytes = 0

    def __len__(self) -> int:
        """Deliveries that the journal was given and that are not durable yet."""
        return self._open

    def store(self, deliveries: Sequence[Delivery]) -> None:
        """Have them stored, as far as a full journal's policy has room for them."""
        deliveries = self._eviction.admitted(deliveries)
        if not deliveries:
            return
        self._open += len(deliveries)
        self._bytes += sum(d.size for d in deliveries)
        self._journal.add(deliveries, self._committed)
        self.check_room()

    def _committed(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._receipts.safe(delivery)
        self._open -= len(deliveries)
        self._bytes -= sum(d.size for d in deliveries)
        self.check_room()

    def check_room(self) -> None:
        """Hold the intake, or release it."""
        limit = self._limit // 2 if self._holding else self._limit
        holding = self._eviction.relieve() or self._bytes > limit
        if holding != self._holding:
            self._holding = holding
            self._congested(holding)
