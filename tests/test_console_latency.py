from bridge.console.latency import BOUNDS, Latencies
from bridge.passages import Passages
from bridge.routing.table import Routed
from tests.support.deliveries import delivery, webhook


def test_deliveries_are_counted_by_their_time_since_the_webhook_came() -> None:
    now = 1000.0
    latencies = Latencies(Passages(), wall=lambda: now)
    for age in (0.001, 0.005, 0.2, 5000.0, -20.0):
        latencies.settled(delivery(1, webhook=webhook(received_at=now - age)), "delivered")
    for outcome in ("dead", "expired", "evicted"):
        latencies.settled(delivery(2), outcome)
    counts = dict(zip((*BOUNDS, "+Inf"), latencies.cumulative(), strict=True))
    # The clock was set back for one of them.
    assert (counts[0.005], counts[0.1], counts[0.25], counts[3600.0], counts["+Inf"]) == (3, 3, 4, 4, 5)
    assert round(latencies.sum, 3) == 5000.206


def test_what_it_is_told_is_passed_on() -> None:
    passages = Passages()
    told: list[int] = []
    passages.listen(lambda passage: told.append(passage.number))
    latencies = Latencies(passages)
    one = delivery(1)
    passages.taken(one.webhook, Routed((), ("route",)))
    latencies.settled(one, "delivered")
    latencies.repeated(one.webhook, ())
    assert told == [1, 1, 1]
