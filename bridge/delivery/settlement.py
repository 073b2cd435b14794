"""How a delivery ends: each of the four ways in one place, so that none is forgotten or counted twice."""

from bridge.complaints import Complaints
from bridge.counters import Counts
from bridge.delivery.receipts import Receipts
from bridge.delivery.repeats import Repeats
from bridge.delivery.witness import Witness
from bridge.journal.journal import Journal
from bridge.message import Delivery


class Settlement:
    """Counts an end, keeps or frees the deduplication keys, and settles with journal, relay and witness."""

    def __init__(
        self, journal: Journal, counts: Counts, repeats: Repeats, receipts: Receipts, witness: Witness
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._repeats = repeats
        self._receipts = receipts
        self._witness = witness
        self._deaths = Complaints("route %s: %d delivery(s) became dead letters; the last one: %s (%s)")

    def delivered(self, delivery: Delivery) -> None:
        """The target took it."""
        self._counts.target(delivery.target).delivered += 1
        self._counts.route(delivery.route).delivered += 1
        self._repeats.delivered(delivery)
        self._forget(delivery)
        self._witness.settled(delivery, "delivered")

    def expired(self, delivery: Delivery) -> None:
        """Its time is over."""
        self._counts.target(delivery.target).expired += 1
        self._repeats.given_up(delivery)
        self._forget(delivery)
        self._witness.settled(delivery, "expired")

    def evicted(self, delivery: Delivery) -> None:
        """It gave way in a full journal, as the user's policy says."""
        self._counts.target(delivery.target).evicted += 1
        self._repeats.given_up(delivery)
        self._forget(delivery)
        self._witness.settled(delivery, "evicted")

    def dead(self, delivery: Delivery, code: str, reason: str) -> None:
        """It becomes a dead letter."""
        delivery.done = True
        self._counts.target(delivery.target).dead += 1
        self._counts.route(delivery.route).dead += 1
        self._repeats.given_up(delivery)
        self._journal.bury(delivery, code, reason)
        self._journal.add((), lambda _: self._receipts.safe(delivery))
        self._deaths.note(delivery.route, code, reason, delivery.target)
        self._witness.settled(delivery, "dead", f"{code}: {reason}")

    def _forget(self, delivery: Delivery) -> None:
        delivery.done = True
        self._journal.remove(delivery)
        self._receipts.safe(delivery)
