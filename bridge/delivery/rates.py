"""The rates of routes, and how much of them is used up."""

from collections.abc import Mapping

from bridge.counters import Counts
from bridge.message import Delivery
from bridge.routing.rate import Bucket, Excess, Rate


class Rates:
    """Says which deliveries come too soon for their route, and counts them.

    What waits is asked about when it could be sent, so that a target that was down gets no flood when it is
    back, nor after a restart. What must not wait is asked about when it comes: a target that is down must
    not make dead letters of webhooks that came slowly. What a route sends for one webhook counts once; where
    it waits, once for each target.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._rates: Mapping[str, Rate] = {}
        self._used: dict[tuple[str, str], _Used] = {}

    def use(self, rates: Mapping[str, Rate]) -> None:
        """The rates by route from now on; what is used up of an unchanged one stays so."""
        self._used = {key: used for key, used in self._used.items() if rates.get(key[0]) == used.rate}
        self._rates = rates

    def refusal(self, delivery: Delivery, now: float) -> str | None:
        """Why a delivery that just came is a dead letter; None: it is none."""
        rate = self._rates.get(delivery.route)
        if rate is None or rate.excess is not Excess.DEAD:
            return None
        used = self._of(delivery.route, "", rate)
        if used.refused != delivery.webhook_seq and used.may_go(delivery.webhook_seq, now):
            return None
        used.refused = delivery.webhook_seq
        self._counts.route(delivery.route).limited += 1
        return f"its route sends {rate}"

    def has_to_wait(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery that could be sent has to wait: until its `not_before`, which is set then.

        What keeps no order doesn't wait: its route had no rate when it came.
        """
        rate = self._rates.get(delivery.route)
        if rate is None or rate.excess is not Excess.WAIT or delivery.order_key is None:
            return False
        used = self._of(delivery.route, delivery.target, rate)
        if used.may_go(delivery.webhook_seq, now):
            return False
        self._counts.route(delivery.route).limited += not delivery.not_before
        turn = used.bucket.turn(now)
        delivery.not_before = turn if delivery.deadline is None else min(turn, delivery.deadline)
        return True

    def _of(self, route: str, target: str, rate: Rate) -> "_Used":
        used = self._used.get((route, target))
        if used is None:
            used = self._used[route, target] = _Used(rate)
        return used


class _Used:
    """How much of one rate is used up, and by which webhooks (their sequence numbers) it was asked last."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.bucket = Bucket(rate)
        self.granted = -1
        self.refused = -1

    def may_go(self, webhook: int, now: float) -> bool:
        """Whether a webhook may go; once it may, it still may when it is asked about again."""
        if webhook != self.granted and self.bucket.take(now):
            self.granted = webhook
        return webhook == self.granted
