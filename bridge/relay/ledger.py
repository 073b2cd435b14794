"""Which webhooks of a connection may be acknowledged: those that have nothing open before them. Pure."""

from collections import deque


class Ledger:
    """Webhooks in the order in which they came, by their IDs."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._open: set[str] = set()

    def received(self, webhook_id: str) -> None:
        """One came. Without an ID there is nothing to acknowledge; the next one stands for it."""
        if webhook_id and webhook_id not in self._open:
            self._order.append(webhook_id)
            self._open.add(webhook_id)

    def accepted(self, webhook_id: str) -> str:
        """Somebody is responsible for this one.

        Returns:
            The ID to acknowledge, for it and all before it; "" where nothing new can be.
        """
        self._open.discard(webhook_id)
        last = ""
        while self._order and self._order[0] not in self._open:
            last = self._order.popleft()
        return last
