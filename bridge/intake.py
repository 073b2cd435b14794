"""The intake: one webhook from the relay becomes deliveries. Synchronous, and never waits for a target."""

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.recent import Recent
from bridge.routing.table import RouteTable
from bridge.webhook import Webhook


class Intake:
    """Routes each webhook by the table that is current when it comes."""

    def __init__(self, dispatcher: Dispatcher, counts: Counts, table: RouteTable, generation: int) -> None:
        self._dispatcher = dispatcher
        self._counts = counts
        self._recent = Recent()
        self._table = table
        self._generation = generation

    def use(self, table: RouteTable, generation: int) -> None:
        """Route by this table from the next webhook on."""
        self._table, self._generation = table, generation

    def accept(self, webhook: Webhook) -> None:
        """Take one webhook."""
        counts = self._counts
        counts.webhooks += 1
        identity = webhook.identity
        if identity is not None and self._recent.seen(identity):
            counts.duplicates += 1
            return
        routed = self._table.route(webhook)
        webhook.forget()
        for name in routed.matched:
            counts.route(name).matched += 1
        for name, _error in routed.failures:
            counts.route(name).failed += 1
        if not routed.matched:
            counts.unmatched += 1
        if routed.plans:
            self._dispatcher.accept(webhook, routed.plans, self._generation)
