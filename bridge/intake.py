"""The intake: one webhook from the relay becomes deliveries. Synchronous, and never waits for a target."""

from collections.abc import Callable

from bridge.complaints import Complaints
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.passages import Passages
from bridge.replies import Replies
from bridge.routing.judge import NO_TIME
from bridge.routing.table import Routed, RouteTable
from bridge.verify.replay import ReplayCache
from bridge.verify.verdict import Clock
from bridge.webhook import Webhook


class Intake:
    """Routes each webhook by the table that is current when it comes.

    Args:
        dispatcher: takes what is to be sent.
        counts: of the whole path.
        table: the first one.
        generation: of that table.
        clock: by which the age of signed webhooks is judged; left out, it is not judged.
        replies: answers senders; left out, nobody is answered.
        passages: are told what comes of each webhook, for people to look at.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        counts: Counts,
        table: RouteTable,
        generation: int,
        clock: Callable[[], Clock] = lambda: NO_TIME,
        replies: Replies | None = None,
        passages: Passages | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._counts = counts
        self._table = table
        self._generation = generation
        self._clock = clock
        self._replies = replies
        self._passages = passages
        self._replays = ReplayCache()
        self._rejections = Complaints("route %s rejected %d webhook(s); the last one: %s (%s)")

    def use(self, table: RouteTable, generation: int) -> None:
        """Route by this table from the next webhook on."""
        self._table, self._generation = table, generation

    def accept(self, webhook: Webhook) -> None:
        """Take one webhook."""
        self._take(webhook, self._table.route(webhook, self._clock(), self._replays))

    def replay(self, webhook: Webhook) -> None:
        """Take one that an operator wants delivered again: no repeat, and not too old."""
        routed = self._table.route(webhook)
        # Without a scope, deduplication knows a plan neither by its identity nor by the route's key.
        again = tuple(plan._replace(scope="") for plan in routed.plans)
        self._take(webhook, routed._replace(plans=again, verified=()))

    def _take(self, webhook: Webhook, routed: Routed) -> None:
        self._counts.webhooks += 1
        webhook.forget()
        self._count(routed)
        if self._passages is not None:
            self._passages.taken(webhook, routed)
        if routed.plans:
            self._send(webhook, routed)
        for verifier, verdict in routed.verified:
            verifier.accepted(webhook, verdict, self._replays)

    def _send(self, webhook: Webhook, routed: Routed) -> None:
        waiting = None
        if routed.reply is not None and self._replies is not None:
            waiting = self._replies.answer(webhook, routed.reply)
        answered = None if waiting is None else waiting.take
        is_asked = self._dispatcher.accept(webhook, routed.plans, self._generation, answered)
        if answered is not None and not is_asked:
            answered(None)

    def _count(self, routed: Routed) -> None:
        counts = self._counts
        for name in routed.matched:
            counts.route(name).matched += 1
        for name, _error in routed.failures:
            counts.route(name).failed += 1
        for name, rejected in routed.rejected:
            route = counts.route(name)
            route.rejected += 1
            route.rejection = f"{rejected.code}: {rejected.reason}"
            self._rejections.note(name, rejected.code, rejected.reason)
        if not routed.matched:
            counts.rejected += bool(routed.rejected)
            counts.unmatched += not routed.rejected
