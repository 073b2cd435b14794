"""What one client is told of the webhooks that pass, in time and without holding more than numbers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from bridge.follow import LONGEST, MOST_LEGS, PATIENCE, Follower, Line, Wanted, line_of
from bridge.message import Delivery, Failure, FailureKind, HttpRequest, MqttMessage
from bridge.passages import KEPT, Passages
from bridge.routing.table import Plan, Routed
from bridge.verify.verdict import Rejected
from tests.support.deliveries import delivery, webhook

BUSY = Failure(FailureKind.BUSY, "mqtt-0x97", "quota exceeded")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """Passages, and what happens to them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.passages = Passages(self.clock)

    def follower(self, **wanted: str) -> Follower:
        follower = Follower(self.passages, Wanted(**wanted), self.clock)
        self.passages.listen(follower.note)
        return follower

    def comes(self, number: int, *, bucket: str = "doorbell", route: str = "ring", **fields: Any) -> None:
        plan = Plan(route, "mqtt:home", route, MqttMessage("home/ring"), None, None)
        self.passages.taken(webhook(id=f"log-{number}", bucket=bucket, **fields), Routed((plan,), (route,)))

    def sent(self, number: int, route: str = "ring") -> Delivery:
        message = MqttMessage("home/ring")
        return delivery(number, message=message, webhook=webhook(id=f"log-{number}"), route=route)

    def delivered(self, number: int, route: str = "ring") -> None:
        self.passages.settled(self.sent(number, route), "delivered")


def seen(lines: list[Line]) -> list[tuple[str, str]]:
    return [(line["id"], line["outcome"]) for line in lines]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_webhook_is_told_of_once_when_it_came_to_its_end(rig: Rig) -> None:
    follower = rig.follower()
    rig.comes(1)
    assert follower.due() == []
    rig.clock.now += 0.25
    rig.delivered(1)
    (line,) = follower.due()
    assert (line["number"], line["id"], line["outcome"], line["latency"]) == (1, "log-1", "delivered", 0.25)
    assert line["deliveries"] == [
        {
            "route": "ring",
            "target": "mqtt:home",
            "where": "home/ring",
            "outcome": "delivered",
            "attempts": 1,
            "reason": "",
        }
    ]
    assert follower.due() == []


def test_one_that_is_held_up_is_told_of_before_and_after(rig: Rig) -> None:
    follower = rig.follower()
    rig.comes(1)
    rig.clock.now += PATIENCE
    assert seen(follower.due()) == [("log-1", "pending")]
    rig.passages.delayed(rig.sent(1), BUSY)
    rig.passages.delayed(rig.sent(1), BUSY)
    (line,) = follower.due()
    assert (line["outcome"], line["deliveries"][0]["reason"]) == ("retrying", "mqtt-0x97: quota exceeded")
    rig.passages.delayed(rig.sent(1), BUSY)
    assert follower.due() == [], "nothing new"
    rig.delivered(1)
    assert seen(follower.due()) == [("log-1", "delivered")]


def test_filters_must_all_fit(rig: Rig) -> None:
    by_bucket, by_route = rig.follower(bucket="shop"), rig.follower(route="order")
    by_outcome, by_both = rig.follower(outcome="dead"), rig.follower(bucket="shop", route="ring")
    rig.comes(1, bucket="shop", route="order")
    rig.comes(2)
    rig.delivered(1, "order")
    rig.passages.settled(rig.sent(2), "dead", "http-400: no")
    assert seen(by_bucket.due()) == seen(by_route.due()) == [("log-1", "delivered")]
    assert seen(by_outcome.due()) == [("log-2", "dead")]
    assert by_both.due() == []


def test_a_route_is_shown_what_it_refused(rig: Rig) -> None:
    follower = rig.follower(route="paid")
    rejected = (("paid", Rejected("bad-signature", "no secret fits")),)
    rig.passages.taken(webhook(), Routed((), (), rejected=rejected))
    (line,) = follower.due()
    assert (line["outcome"], line["routes"]) == ("rejected", ["paid"])
    assert line["rejected"] == [{"route": "paid", "code": "bad-signature", "reason": "no secret fits"}]


def test_a_client_that_is_too_slow_is_told_how_much_it_missed(rig: Rig) -> None:
    follower = rig.follower()
    for number in range(KEPT + 30):
        rig.comes(number)
        rig.delivered(number)
    first, *lines = follower.due()
    assert first == {"missed": 30}
    assert [line["number"] for line in lines] == list(range(31, KEPT + 31))
    assert follower.due() == []


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({}, "relay"),
        ({"late": True}, "log"),
        ({"id": "local-1", "late": True}, "local"),
        ({"id": "replay-1~log-1", "late": True}, "replay"),
    ],
)
def test_it_says_where_a_webhook_came_from(rig: Rig, fields: dict[str, Any], origin: str) -> None:
    rig.passages.taken(webhook(**fields), Routed((), ()))
    assert line_of(next(iter(rig.passages)))["from"] == origin


def test_a_line_holds_no_body_no_header_and_no_query_and_is_bounded(rig: Rig) -> None:
    request = HttpRequest("POST", "http://127.0.0.1:1880/x?token=s3cret")
    plans = tuple(Plan("r", f"http:{n}", "r", request, None, None) for n in range(MOST_LEGS * 2))
    long = "x" * LONGEST * 2
    hostile = webhook(b"s3cret", method=long, destination=f"/{long}", headers={"authorization": ("s3cret",)})
    rig.passages.taken(hostile, Routed(plans, tuple(f"r{n}" for n in range(MOST_LEGS * 2))))
    line = line_of(next(iter(rig.passages)))
    assert "s3cret" not in str(line)
    assert len(line["deliveries"]) == len(line["routes"]) == MOST_LEGS
    assert len(line["path"]) == len(line["method"]) == LONGEST + 1
    assert line["deliveries"][0]["where"] == "POST http://127.0.0.1:1880/x"


async def told(lines: AsyncGenerator[Line | None, None]) -> str:
    """The ID of the next webhook."""
    line = await anext(lines)
    assert line is not None
    return str(line["id"])


async def test_the_stream_begins_with_the_newest_of_the_past(rig: Rig) -> None:
    for number in range(1, 6):
        rig.comes(number)
        if number != 4:
            rig.delivered(number)
    rig.passages.settled(rig.sent(4), "dead", "x: y")
    async with aclosing(Follower(rig.passages, Wanted(outcome="delivered")).lines(past=2)) as lines:
        assert [await told(lines) for _ in range(2)] == ["log-3", "log-5"]
        rig.comes(6)
        rig.delivered(6)
        assert await told(lines) == "log-6"


async def test_a_stream_that_ended_listens_no_more(rig: Rig) -> None:
    follower = Follower(rig.passages, Wanted())
    rig.comes(1)
    rig.delivered(1)
    async with aclosing(follower.lines(past=1)) as lines:
        assert await told(lines) == "log-1"
    rig.comes(2)
    rig.delivered(2)
    assert follower.due() == []
