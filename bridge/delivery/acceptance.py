"""Making deliveries of a routed webhook: what is not a repeat is owed from here on."""

import asyncio
from collections.abc import Sequence

from bridge.counters import Counts
from bridge.delivery.rates import Rates
from bridge.delivery.receipts import Receipts
from bridge.delivery.repeats import Fresh, Keys, Repeats
from bridge.delivery.settlement import Settlement
from bridge.delivery.witness import Witness
from bridge.message import Answered, Delivery, MqttMessage
from bridge.routing.table import Plan
from bridge.webhook import Webhook

UNRENDERED = MqttMessage("")
"""What a dead letter holds whose message could not be rendered."""


class Acceptance:
    """Numbers and counts deliveries; one that could not be rendered is a dead letter at once.

    So is one that comes too soon for the rate of its route, where that says so.
    """

    def __init__(
        self,
        counts: Counts,
        repeats: Repeats,
        rates: Rates,
        receipts: Receipts,
        settlement: Settlement,
        witness: Witness,
    ) -> None:
        self._counts = counts
        self._repeats = repeats
        self._rates = rates
        self._receipts = receipts
        self._settlement = settlement
        self._witness = witness
        self._loop = asyncio.get_running_loop()
        self._seq = 0
        self._webhook_seq = 0

    def begin_at(self, seq: int) -> None:
        """Number from here on."""
        self._seq = self._webhook_seq = seq

    def deliveries(
        self, webhook: Webhook, plans: Sequence[Plan], generation: int, answered: Answered | None
    ) -> list[Delivery]:
        """What is to be sent of these plans; what was accepted before is counted as repeated."""
        fresh = self._repeats.fresh(webhook, plans)
        if len(fresh) < len(plans):
            self._tell_repeats(webhook, plans, fresh)
        made = self._made(webhook, fresh, generation, answered)
        return [delivery for delivery in made if not self._came_too_soon(delivery)]

    def _came_too_soon(self, delivery: Delivery) -> bool:
        refusal = self._rates.refusal(delivery, self._loop.time())
        if refusal is None:
            return False
        self._settlement.dead(delivery, "rate", refusal)
        return True

    def missed(
        self, webhook: Webhook, plans: Sequence[Plan], generation: int, *, again: bool
    ) -> list[Delivery]:
        """What was not accepted for these plans, or, `again`, came to nothing; nothing is a repeat."""
        return self._made(webhook, self._repeats.fresh(webhook, plans, again=again), generation, None)

    def _tell_repeats(self, webhook: Webhook, plans: Sequence[Plan], fresh: Sequence[Fresh]) -> None:
        """A route has a duplicate where nothing of it was new; the whole webhook is one where nothing was."""
        self._counts.duplicates += not fresh
        new = [plan for plan, _ in fresh]
        for route in {plan.route for plan in plans} - {plan.route for plan in new}:
            self._counts.route(route).duplicates += 1
        self._witness.repeated(webhook, [plan for plan in plans if plan not in new])

    def _made(
        self, webhook: Webhook, fresh: Sequence[Fresh], generation: int, answered: Answered | None
    ) -> list[Delivery]:
        self._webhook_seq += 1
        made: list[Delivery] = []
        for plan, keys in fresh:
            delivery = self._delivery(webhook, plan, keys, generation)
            if plan.error is None:
                delivery.answered = answered if plan.asked else None
                made.append(delivery)
            else:
                self._settlement.dead(delivery, "render", str(plan.error))
        return made

    def _delivery(self, webhook: Webhook, plan: Plan, keys: Keys, generation: int) -> Delivery:
        self._seq += 1
        self._counts.target(plan.target).accepted += 1
        expire_after = plan.expire_after
        delivery = Delivery(
            seq=self._seq,
            webhook_seq=self._webhook_seq,
            webhook=webhook,
            message=plan.message or UNRENDERED,
            target=plan.target,
            order_key=plan.order_key,
            route=plan.route,
            generation=generation,
            deadline=None if expire_after is None else self._loop.time() + expire_after,
            identity=keys.identity,
            dedupe=keys.dedupe,
        )
        self._receipts.expect(delivery)
        return delivery
