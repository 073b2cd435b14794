"""The last webhooks and what became of each."""

from typing import Any

import pytest

from bridge.message import Delivery, Failure, FailureKind, HttpRequest, MqttMessage
from bridge.passages import BYTES, KEPT, Passage, Passages
from bridge.routing.table import Plan, Routed
from bridge.verify.verdict import Rejected
from tests.support.deliveries import delivery, webhook


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(topic: str, *, route: str = "route", target: str = "mqtt:home") -> Plan:
    return Plan(route, target, "route", MqttMessage(topic), None, None)


def routed(*plans: Plan, **fields: Any) -> Routed:
    return Routed(plans, tuple(dict.fromkeys(one.route for one in plans)), **fields)


def sent(seq: int, topic: str, **fields: Any) -> Delivery:
    return delivery(seq, message=MqttMessage(topic), webhook=webhook(id="log-1"), **fields)


def only(passages: Passages) -> Passage:
    (passage,) = passages
    return passage


def test_a_webhook_is_delivered() -> None:
    clock = Clock()
    passages = Passages(clock)
    passages.taken(webhook(b"12345"), routed(plan("a"), plan("b")))
    passage = only(passages)
    assert (passage.number, passage.id, passage.facts["bucket"], passage.size) == (1, "log-1", "doorbell", 15)
    assert (passage.outcome, passage.latency) == ("pending", None)
    clock.now += 0.25
    passages.settled(sent(8, "b"), "delivered")
    assert [leg.outcome for leg in passage.legs] == ["pending", "delivered"]
    assert passage.outcome == "pending"
    clock.now += 0.25
    passages.settled(sent(7, "a", attempts=2), "delivered")
    assert (passage.outcome, passage.latency) == ("delivered", 0.5)
    assert [leg.attempts for leg in passage.legs] == [3, 1]


def test_two_deliveries_of_the_same_looks_are_told_apart_by_their_numbers() -> None:
    passages = Passages()
    passages.taken(webhook(), routed(plan("a"), plan("a")))
    failure = Failure(FailureKind.BUSY, "mqtt-0x97", "quota")
    passages.delayed(sent(1, "a"), failure)
    passages.settled(sent(2, "a"), "delivered")
    passages.settled(sent(1, "a", attempts=1), "dead", "mqtt-0x97: quota")
    passage = only(passages)
    assert [leg.outcome for leg in passage.legs] == ["dead", "delivered"]
    assert passage.legs[0].reason == "mqtt-0x97: quota"
    assert passage.outcome == "dead"


def test_what_could_not_be_rendered_is_dead_at_once() -> None:
    passages = Passages()
    broken = plan("a")._replace(message=None)
    passages.taken(webhook(), routed(broken))
    dead = sent(1, "", route="route")
    passages.settled(dead, "dead", "render: no such name")
    assert only(passages).outcome == "dead"


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (Routed((), ()), "unmatched"),
        (Routed((), ("quiet",)), "matched"),
        (Routed((), (), rejected=(("route", Rejected("bad-signature", "no")),)), "rejected"),
    ],
)
def test_what_is_sent_nowhere(made: Routed, outcome: str) -> None:
    passages = Passages()
    passages.taken(webhook(), made)
    assert only(passages).outcome == outcome


def test_a_repeat_is_a_passage_of_its_own() -> None:
    passages = Passages()
    passages.taken(webhook(), routed(plan("a")))
    passages.settled(sent(1, "a"), "delivered")
    passages.taken(webhook(), routed(plan("a")))
    passages.repeated(webhook(), [plan("a")])
    assert [one.outcome for one in passages] == ["duplicate", "delivered"]


def test_strangers_are_ignored() -> None:
    passages = Passages()
    passages.settled(sent(1, "a"), "delivered")
    passages.repeated(webhook(), [plan("a")])
    passages.taken(webhook(), routed(plan("a")))
    passages.settled(sent(1, "other", route="other"), "delivered")
    passages.repeated(webhook(), [plan("b")])
    assert only(passages).outcome == "pending"


def test_an_http_request_is_named_by_method_and_url() -> None:
    passages = Passages()
    request = HttpRequest("POST", "http://127.0.0.1:1880/x")
    passages.taken(webhook(), routed(Plan("route", "http:n", "route", request, None, None)))
    assert only(passages).legs[0].where == "POST http://127.0.0.1:1880/x"


def test_listeners_hear_of_every_change_until_they_stop() -> None:
    passages = Passages()
    heard: list[str] = []
    stop = passages.listen(lambda passage: heard.append(passage.outcome))
    passages.taken(webhook(), routed(plan("a")))
    passages.settled(sent(1, "a"), "delivered")
    stop()
    passages.taken(webhook(), routed(plan("a")))
    assert heard == ["pending", "delivered"]


def test_only_the_newest_are_kept() -> None:
    passages = Passages()
    for number in range(KEPT + 50):
        passages.taken(webhook(id=f"log-{number}"), routed(plan("a")))
    assert [one.number for one in passages] == list(range(KEPT + 50, 50, -1))
    assert passages.find(50) is None
    found = passages.find(51)
    assert found is not None
    assert found.webhook is not None
    passages.settled(delivery(1, webhook=webhook(id="log-0"), message=MqttMessage("a")), "delivered")
    assert all(one.outcome == "pending" for one in passages)


def test_large_webhooks_are_not_all_kept() -> None:
    passages = Passages()
    large = b"x" * (BYTES // 8)
    for number in range(KEPT * 2):
        passages.taken(webhook(large if number % 3 else b"", id=f"log-{number}"), routed(plan("a")))
        assert sum(one.size for one in passages) <= BYTES
        newest = next(iter(passages))
        assert newest.is_whole
        assert newest.legs[0].where == "a"
    kept = [one.number for one in passages if one.webhook is not None]
    assert kept == list(range(KEPT * 2, KEPT * 2 - len(kept), -1))
    assert 2 <= len(kept) <= 8
    assert {one.legs[0].where for one in passages} == {"a"}


def test_what_becomes_of_each_is_logged_for_those_who_ask_for_it(caplog: pytest.LogCaptureFixture) -> None:
    passages = Passages()
    with caplog.at_level("INFO", "bridge.passages"):
        passages.taken(webhook(), Routed((), ()))
        passages.settled(sent(1, "a"), "delivered")
    assert not caplog.records
    with caplog.at_level("DEBUG", "bridge.passages"):
        passages.taken(webhook(), Routed((), ()))
        passages.settled(sent(1, "a", route="ring"), "dead", "http-400: it said\\x1b no")
    assert [record.getMessage() for record in caplog.records] == [
        "webhook log-1 of bucket doorbell: unmatched",
        "webhook log-1 by route ring to a: dead (http-400: it said\\x1b no)",
    ]
    last = caplog.records[-1].__dict__
    assert (last["webhook"], last["bucket"], last["route"]) == ("log-1", "doorbell", "ring")
