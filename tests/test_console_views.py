"""One webhook as the page shows it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.config.model import ConsoleSettings
from bridge.console.views import HIDDEN, LONGEST, as_json, passage_view, status_view, way_view
from bridge.message import Failure, FailureKind
from bridge.passages import Passage
from bridge.webhook import Webhook
from tests.support.console import CANARY, Parts, asking, running_console, running_parts
from tests.support.deliveries import webhook
from tests.support.waiting import eventually


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


def taken(parts: Parts, one: Webhook) -> Passage:
    parts.intake.accept(one)
    return next(iter(parts.passages))


def order(**headers: str) -> Webhook:
    return webhook(
        b'{"sum": "diary"}',
        id="o1",
        bucket="shop",
        headers={name: (value,) for name, value in headers.items()},
    )


def steps(way: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["route"]: step for step in way["steps"]}


async def test_a_webhook_that_was_delivered(parts: Parts) -> None:
    passage = taken(parts, webhook(b'{"door": "front"}', id="r1"))
    await eventually(lambda: passage.outcome == "delivered")
    view = passage_view(passage)
    assert (view["number"], view["bucket"], view["routes"]) == (1, "doorbell", ["ring"])
    assert (view["outcome"], view["retries"]) == ("delivered", 0)
    way = way_view(passage, parts.config, bodies=False)
    (leg,) = way["legs"]
    assert (leg["target"], leg["where"], leg["outcome"]) == ("mqtt:home", "home/front", "delivered")
    ring = steps(way)["ring"]
    assert ring["verdict"] == "matched"
    assert ring["sends"] == [{"address": "mqtt:home ← home/front", "payload": HIDDEN}]
    assert steps(way)["order"]["why"].startswith("bucket eq 'shop' - saw 'doorbell'")


async def test_what_a_header_or_the_body_holds_is_shown_only_where_the_user_wants_it(parts: Parts) -> None:
    passage = taken(parts, order(**{"x-kind": "t0p-secret"}))
    hidden = way_view(passage, parts.config, bodies=False)
    assert "t0p-secret" not in json.dumps(hidden)
    assert "diary" not in json.dumps(hidden)
    assert steps(hidden)["order"]["why"] == f"header.x-kind eq 'order' - saw {HIDDEN}"
    shown = way_view(passage, parts.config, bodies=True)
    assert steps(shown)["order"]["why"] == "header.x-kind eq 'order' - saw 't0p-secret'"
    assert shown["body"] == '{"sum": "diary"}'


async def test_retries_are_counted_and_the_last_reason_is_there(parts: Parts) -> None:
    parts.targets["http:shop"].answer = lambda _: Failure(FailureKind.BUSY, "http-503", "later")
    passage = taken(parts, order(**{"x-kind": "order"}))
    await eventually(lambda: passage.outcome == "retrying")
    (leg,) = way_view(passage, parts.config, bodies=False)["legs"]
    assert leg["retries"] >= 1
    assert leg["reason"] == "http-503: later"
    assert leg["where"] == "POST /orders"


async def test_a_webhook_whose_content_is_gone_still_shows_what_became_of_it(parts: Parts) -> None:
    passage = taken(parts, webhook(b'{"door": "front"}', id="r1"))
    await eventually(lambda: passage.outcome == "delivered")
    passage.shrink()
    way = way_view(passage, parts.config, bodies=True)
    assert way["kept"] is False
    assert "body" not in way
    assert "steps" not in way
    assert way["legs"][0]["outcome"] == "delivered"


async def test_long_texts_are_cut_and_half_characters_survive(parts: Parts) -> None:
    passage = taken(
        parts, webhook(b"{}", id="x" * 5000, bucket="b" * 5000, destination="/\ud800" + "p" * 5000)
    )
    way = way_view(passage, parts.config, bodies=True)
    said = json.loads(as_json(way))
    assert len(said["id"]) == len(said["bucket"]) == len(said["path"]) == LONGEST + 1


async def test_the_way_is_served_and_bodies_only_where_they_are_wanted(parts: Parts) -> None:
    taken(parts, webhook(b'{"door": "front", "note": "diary"}', id="r1"))
    for bodies in (False, True):
        settings = ConsoleSettings(("127.0.0.1", 0), bodies=bodies)
        async with running_console(parts, settings) as url, asking(url) as session:
            async with session.get("/webhooks/1") as response:
                assert ("diary" in await response.text()) == bodies
            async with session.get("/webhooks/2") as response:
                assert response.status == 404


async def test_the_status_holds_no_secret_and_stands_still_where_nothing_happens(parts: Parts) -> None:
    first = as_json(status_view(parts))
    assert CANARY.encode() not in first
    assert as_json(status_view(parts)) == first
    status = status_view(parts)
    assert status["clock_synchronised"] is True
    parts.targets["mqtt:home"].set_up(False)
    taken(parts, webhook(b'{"door": "front"}', id="r1", received_at=0.0))
    assert status_view(parts)["targets"]["mqtt:home"]["oldest"] > 1_000_000


# Operations


async def test_dead_letters_are_listed_retried_and_discarded(parts: Parts) -> None:
    shop = parts.targets["http:shop"]
    shop.answer = lambda _: Failure(FailureKind.PERMANENT, "http-400", "no")
    for number in range(2):
        parts.intake.accept(webhook(b"{}", id=f"o{number}", bucket="shop", headers={"x-kind": ("order",)}))
    await eventually(lambda: parts.counts.target("http:shop").dead == 2)
    await parts.dispatcher.save()
    ours = {"X-Relay-Bridge": "1"}
    async with running_console(parts) as url, asking(url) as session:
        async with session.get("/dead") as response:
            first, second = (await response.json())["letters"]
        assert (first["code"], first["place"], first["route"]) == ("http-400", "/orders", "order")
        async with session.get("/dead", params={"after": str(first["id"])}) as response:
            assert [letter["id"] for letter in (await response.json())["letters"]] == [second["id"]]
        shop.answer = lambda _: Failure(FailureKind.BUSY, "http-503", "later")
        async with session.post("/dead/retry", json={"ids": [first["id"]]}, headers=ours) as response:
            assert await response.json() == {"kept": []}
        async with session.post("/dead/purge", json={"ids": [second["id"]]}, headers=ours) as response:
            assert await response.json() == {"purged": 1}
        async with session.get("/dead") as response:
            assert (await response.json())["letters"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[1]", 400), (b"{", 400), (b"\xff", 400), (b'{"ids": "all"}', 409), (b'{"ids": [1], "x": 1}', 409)],
)
async def test_what_can_not_be_done_is_said(parts: Parts, body: bytes, status: int) -> None:
    async with running_console(parts) as url, asking(url) as session:
        async with session.post("/dead/retry", data=body, headers={"X-Relay-Bridge": "1"}) as response:
            assert response.status == status
            assert (await response.json())["error"]
        async with session.get("/dead?after=x") as response:
            assert response.status == 409
