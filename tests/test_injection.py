"""Webhooks that an operator has the bridge take: the real parts, but for targets that do as told."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.control import ControlError
from bridge.injection import MOST, PROBE_HEADER, Injection
from bridge.message import DELIVERED, Failure, FailureKind
from bridge.passages import BYTES
from bridge.webhook import Webhook
from tests.support.console import Parts, running_parts
from tests.support.deliveries import topic, webhook
from tests.support.waiting import eventually

ROUTING = """\
relay: {key: a, secret: b}
brokers: {home: {url: "mqtt://127.0.0.1:1"}}
services: {shop: {url: "http://127.0.0.1:1"}}
verifiers: {paid: {scheme: stripe, secrets: [s3cret]}}
routes:
  - {name: ring, match: {bucket: doorbell}, send: [{mqtt: "home/{{ body.door }}"}]}
  - {name: order, match: {bucket: shop}, dedupe: "{{ body.n }}", send: [{http: /orders, service: shop}]}
  - {name: charge, match: {bucket: bank}, verify: paid, send: [{mqtt: bank/charge}]}
"""
RING = webhook(b'{"door": "front"}')
ORDER = webhook(b'{"n": 1}', bucket="shop")


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path, ROUTING) as parts:
        yield parts


@pytest.fixture
def injection(parts: Parts) -> Injection:
    return Injection(parts.passages, parts.intake)


async def test_what_is_sent_goes_to_the_routes_and_its_end_is_told(
    parts: Parts, injection: Injection
) -> None:
    (line,) = await injection.send(RING, 5.0)
    assert (line["outcome"], line["from"], line["routes"]) == ("delivered", "local", ["ring"])
    (sent,) = parts.targets["mqtt:home"].taken
    assert topic(sent) == "home/front"
    assert sent.webhook.id.startswith("local-")
    assert not sent.webhook.can_be_answered


async def test_the_same_webhook_sent_twice_is_no_repeat_but_for_the_routes_own_key(
    injection: Injection,
) -> None:
    for _ in range(2):
        assert [one["outcome"] for one in await injection.send(RING, 5.0)] == ["delivered"]
    outcomes = [(await injection.send(ORDER, 5.0))[0]["outcome"] for _ in range(2)]
    assert outcomes == ["delivered", "duplicate"]


async def test_a_verifier_refuses_what_is_not_signed(injection: Injection) -> None:
    (line,) = await injection.send(webhook(bucket="bank"), 5.0)
    assert (line["outcome"], line["rejected"][0]["route"]) == ("rejected", "charge")


async def test_what_has_no_end_in_time_is_told_as_it_stands(parts: Parts, injection: Injection) -> None:
    parts.targets["mqtt:home"].set_up(False)
    assert [one["outcome"] for one in await injection.send(RING, 0.01)] == ["pending"]
    parts.targets["http:shop"].answer = lambda _: Failure(FailureKind.BUSY, "http-503", "busy")
    (line,) = await injection.send(ORDER, 0.05)
    assert line["outcome"] == "retrying"
    assert line["deliveries"][0]["reason"] == "http-503: busy"


async def test_an_end_that_takes_its_time_is_waited_for(parts: Parts, injection: Injection) -> None:
    parts.targets["mqtt:home"].set_up(False)
    sending = asyncio.create_task(injection.send(RING, 10.0))
    await eventually(lambda: list(parts.passages))
    parts.targets["mqtt:home"].set_up(True)
    assert [one["outcome"] for one in await sending] == ["delivered"]


async def test_a_webhook_that_went_around_is_known_by_its_probe(parts: Parts, injection: Injection) -> None:
    async def post(made: Webhook) -> int:
        assert made.raw == RING.raw
        parts.intake.accept(webhook(b'{"door": "back"}', id="another"))
        copies = [webhook(made.raw, id=f"log-{n}", headers=made.headers, output=str(n)) for n in (1, 2)]
        asyncio.get_running_loop().call_later(0.01, parts.intake.accept, copies[0])
        asyncio.get_running_loop().call_later(0.02, parts.intake.accept, copies[1])
        return 202

    status, lines = await injection.send_around(RING, post, 5.0)
    assert status == 202
    assert [(one["id"], one["outcome"], one["from"]) for one in lines] == [
        ("log-1", "delivered", "relay"),
        ("log-2", "delivered", "relay"),
    ]
    assert PROBE_HEADER not in RING.headers


async def test_a_copy_that_has_no_end_does_not_double_the_wait(parts: Parts, injection: Injection) -> None:
    async def post(made: Webhook) -> int:
        parts.intake.accept(made)
        return 200

    parts.targets["mqtt:home"].set_up(False)
    began = time.monotonic()
    _, (line,) = await injection.send_around(RING, post, 1.5)
    assert line["outcome"] == "pending"
    assert time.monotonic() - began < 2.9


async def test_one_that_does_not_come_is_said(injection: Injection) -> None:
    async def post(_: Webhook) -> int:
        return 404

    with pytest.raises(ControlError, match="the relay answered 404, and no webhook came"):
        await injection.send_around(RING, post, 0.01)


async def test_a_replay_is_no_repeat_and_not_too_old(parts: Parts, injection: Injection) -> None:
    parts.intake.accept(ORDER)
    await eventually(lambda: parts.targets["http:shop"].taken)
    (first,) = injection.kept()
    (line,) = await injection.replay([first], 5.0)
    assert (line["outcome"], line["from"], line["number"]) == ("delivered", "replay", 2)
    (again,) = injection.numbered([2])
    assert [one["outcome"] for one in await injection.replay([again], 5.0)] == ["delivered"]
    ids = [one.webhook.id for one in parts.targets["http:shop"].taken]
    assert len(set(ids)) == 3
    assert [one.rpartition("~")[2] for one in ids] == ["log-1"] * 3
    assert parts.counts.duplicates == 0


async def test_replays_keep_their_order_and_let_live_ones_in(parts: Parts, injection: Injection) -> None:
    hooks = [webhook(b'{"door": "%d"}' % n, id=f"log-{n}") for n in range(MOST)]
    replaying = asyncio.create_task(injection.replay(hooks, 10.0))
    await eventually(lambda: list(parts.passages), every=0)
    parts.intake.accept(webhook(b'{"door": "live"}', id="live"))
    lines = await replaying
    assert [one["outcome"] for one in lines] == ["delivered"] * MOST
    topics = [topic(one) for one in parts.targets["mqtt:home"].taken]
    assert topics.index("home/live") < MOST // 2
    topics.remove("home/live")
    assert topics == [f"home/{n}" for n in range(MOST)]


async def test_too_many_at_once_are_refused(parts: Parts, injection: Injection) -> None:
    with pytest.raises(ControlError, match="201 webhooks, and 200 go at once"):
        await injection.replay([RING] * (MOST + 1), 1.0)
    assert list(parts.passages) == []
    assert await injection.replay([], 60.0) == []


async def test_only_what_is_kept_with_its_body_can_be_replayed(parts: Parts, injection: Injection) -> None:
    for target in parts.targets.values():
        target.answer = lambda _: DELIVERED
    large = b'{"door": "%s"}' % (b"x" * (BYTES // 4))
    for number in range(4):
        parts.intake.accept(webhook(large, id=f"log-{number}", received_at=time.time() - 100 + number))
    kept = injection.kept()
    assert kept
    assert [one.id for one in kept] == [f"log-{n}" for n in range(4 - len(kept), 4)]
    assert injection.kept(since=time.time() - 50) == []
    with pytest.raises(ControlError, match="the body of webhook 1 is not kept any more"):
        injection.numbered([1])
    with pytest.raises(ControlError, match="webhook 99 is not among the last ones"):
        injection.numbered([4, 99])
