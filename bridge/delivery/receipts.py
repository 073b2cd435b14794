"""When a webhook is accepted: each of its deliveries is done, or durable. Then the relay may forget it."""

from collections.abc import Callable

from bridge.message import Delivery


class Receipts:
    """Counts what is open of each webhook, by the relay's ID; one without an ID is nobody's question.

    Args:
        accepted: called with the ID when nothing is open any more.
    """

    def __init__(self, accepted: Callable[[str], None]) -> None:
        self._accepted = accepted
        self._open: dict[str, set[int]] = {}

    def owes(self, webhook_id: str) -> bool:
        """Whether something of this webhook would be lost with this process."""
        return webhook_id in self._open

    def expect(self, delivery: Delivery) -> None:
        """A delivery is neither done nor durable."""
        if delivery.webhook.id:
            self._open.setdefault(delivery.webhook.id, set()).add(delivery.seq)

    def safe(self, delivery: Delivery) -> None:
        """A delivery is done or durable; it may be told more than once."""
        webhook_id = delivery.webhook.id
        seqs = self._open.get(webhook_id)
        if seqs is None:
            return
        seqs.discard(delivery.seq)
        if not seqs:
            del self._open[webhook_id]
            self._accepted(webhook_id)
