"""Dead letters over a real journal: what a retry sends, what stays, and what a request may hold."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.control import ControlError
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.exhumation import ACCEPTED_BEFORE, GONE, PAGE, PORTION, Exhumation, Selection
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Failure, FailureKind
from bridge.operations import MOST_IDS, Request
from bridge.routing.table import Routed, RouteTable
from bridge.webhook import Webhook
from tests.support.deliveries import ScriptedTarget, topic, webhook
from tests.support.routing_files import config_of
from tests.support.waiting import eventually

HOME = "mqtt:home"
FILE = """\
relay: {key: a, secret: b}
brokers: {home: {url: "mqtt://127.0.0.1:1"}}
"""
RING = "routes: [{name: ring, match: {bucket: doorbell}, send: [{mqtt: ring}]}]\n"
NO = Failure(FailureKind.PERMANENT, "http-400", "no")


class Graveyard:
    """A dispatcher with one target, and the dead letters behind it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.counts = Counts()
        self.dispatcher = Dispatcher(journal, self.counts, rand=lambda: 0.0)
        self.target = ScriptedTarget(HOME, lambda _: NO)
        self.target.listener = self.dispatcher
        self.dispatcher.use({HOME: (self.target, Retry())})
        self.letters = Exhumation(journal, self.dispatcher, self._replan)
        self.use(RING)

    def use(self, routes: str) -> None:
        self.table: RouteTable = config_of(FILE + routes).table

    def _replan(self, one: Webhook) -> tuple[Routed, int]:
        return self.table.route(one), 7

    async def take(self, *webhooks: Webhook) -> None:
        """Route and deliver them, to the end."""
        for one in webhooks:
            self.dispatcher.accept(one, self.table.route(one).plans, 1)
        await self.settled()

    async def settled(self) -> None:
        await eventually(lambda: not any(self.dispatcher.owed().values()) and not self.dispatcher.unsaved)
        for name, counts in self.counts.targets.items():
            assert counts.accepted == counts.settled, name

    async def ids(self, **wanted: Any) -> list[int]:
        page: Any = await self.letters.page(Selection(**wanted))
        return [letter["id"] for letter in page["letters"]]

    async def retry(self, *ids: int) -> dict[int, str]:
        """What stays, and why."""
        answer: Any = await self.letters.retry(ids or await self.ids())
        await self.settled()
        return {one["id"]: one["reason"] for one in answer["kept"]}

    def topics(self) -> list[str]:
        return [topic(one) for one in self.target.taken]


@asynccontextmanager
async def graveyard(path: Path, max_bytes: int = 64 << 20) -> AsyncIterator[Graveyard]:
    journal = await Journal.open(path, max_bytes=max_bytes)
    made = Graveyard(journal)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def test_a_letter_is_accepted_anew_and_is_no_repeat(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(webhook(b"1"))
        made.target.answer = lambda _: DELIVERED
        assert await made.retry() == {}
        assert await made.ids() == []
        assert [(one.webhook.raw, one.generation, one.attempts) for one in made.target.taken] == [
            (b"1", 7, 0)
        ]
        counts = made.counts.target(HOME)
        assert (counts.accepted, counts.dead, counts.delivered) == (2, 1, 1)
        assert made.counts.duplicates == 0


async def test_a_letter_that_fails_again_is_a_new_one(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(webhook(b"1"))
        (before,) = await made.ids()
        assert await made.retry() == {}
        (after,) = await made.ids()
        assert after > before


async def test_what_is_no_letter_is_named_and_nothing_is_sent_twice(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(webhook(b"1"))
        made.target.answer = lambda _: DELIVERED
        (one,) = await made.ids()
        first, second = await asyncio.gather(made.retry(one, one, 99), made.retry(one))
        assert first == {99: GONE}
        assert second == {one: GONE}
        assert len(made.target.taken) == 1


async def test_of_two_items_only_the_letters_own_is_sent(path: Path) -> None:
    both = RING.replace("{mqtt: ring}", "{mqtt: ring}, {mqtt: bell}")
    async with graveyard(path) as made:
        made.use(both)
        made.target.answer = lambda one: NO if topic(one) == "bell" else DELIVERED
        await made.take(webhook(b"1"))
        made.target.answer = lambda _: DELIVERED
        made.use(both.replace("mqtt: ring", "mqtt: hall"))
        assert await made.retry() == {}
        assert made.topics() == ["ring", "bell"], "the item that stands where the letter was to go"


async def test_of_two_items_the_one_that_was_edited_is_sent(path: Path) -> None:
    both = RING.replace("{mqtt: ring}", "{mqtt: ring}, {mqtt: bell}")
    async with graveyard(path) as made:
        made.use(both)
        made.target.answer = lambda one: NO if topic(one) == "bell" else DELIVERED
        await made.take(webhook(b"1"))
        made.target.answer = lambda _: DELIVERED
        made.use(both.replace("mqtt: bell", "mqtt: hall"))
        assert await made.retry() == {}
        assert made.topics() == ["ring", "hall"]


async def test_of_two_items_the_one_that_was_mended_is_sent(path: Path) -> None:
    payload = ', {mqtt: bell, payload: "{{ body.x.y }}"}'
    async with graveyard(path) as made:
        made.target.answer = lambda _: DELIVERED
        made.use(RING.replace("{mqtt: ring}", "{mqtt: ring}" + payload))
        await made.take(webhook(b"{}"))
        made.use(RING.replace("{mqtt: ring}", "{mqtt: ring}" + payload.replace(".x.y", "")))
        assert await made.retry() == {}
        assert made.topics() == ["ring", "bell"]


async def test_a_delivered_sibling_is_not_sent_for_an_item_that_is_gone(path: Path) -> None:
    async with graveyard(path) as made:
        made.use(RING.replace("{mqtt: ring}", "{mqtt: ring}, {mqtt: bell}"))
        made.target.answer = lambda one: NO if topic(one) == "bell" else DELIVERED
        await made.take(webhook(b"1"))
        (one,) = await made.ids()
        made.target.answer = lambda _: DELIVERED
        made.use(RING)
        assert await made.retry() == {one: ACCEPTED_BEFORE}
        assert made.topics() == ["ring"]
        assert await made.ids() == [one]


async def test_a_webhook_without_an_id_goes_where_its_letter_was_to_go(path: Path) -> None:
    both = RING.replace("{mqtt: ring}", "{mqtt: ring}, {mqtt: bell}")
    async with graveyard(path) as made:
        made.use(both)
        made.target.answer = lambda one: NO if topic(one) == "bell" else DELIVERED
        await made.take(webhook(b"1", id=""))
        made.target.answer = lambda _: DELIVERED
        assert await made.retry() == {}
        assert made.topics() == ["ring", "bell"]


async def test_a_retry_takes_the_key_of_its_route_and_finds_it_taken(path: Path) -> None:
    once = 'routes: [{name: once, dedupe: "{{ body.k }}", match: {bucket: doorbell}, send: [{mqtt: once}]}]\n'
    event = b'{"k": 1}'
    async with graveyard(path) as made:
        made.use(once)
        await made.take(webhook(event, id="log-1"))
        await made.take(webhook(event, id="log-2"))
        first, second = await made.ids()
        made.target.answer = lambda _: DELIVERED
        assert await made.retry(first) == {}
        await made.take(webhook(event, id="log-3"))
        assert await made.retry(second) == {second: ACCEPTED_BEFORE}
        assert made.topics() == ["once"]
        assert made.counts.duplicates == 1


async def test_what_no_route_took_goes_by_the_routes_of_today(path: Path) -> None:
    none = "routes: []\nunmatched: dead\n"
    async with graveyard(path) as made:
        made.use(none)
        await made.take(webhook(b"1"))
        (one,) = await made.ids(target="unmatched")
        assert await made.retry() == {one: "still no route takes it"}
        made.target.answer = lambda _: DELIVERED
        made.use(RING)
        assert await made.retry() == {}
        assert made.topics() == ["ring"]
        assert await made.ids() == []


async def test_why_a_letter_stays_is_told(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(webhook(b"{}"))
        (one,) = await made.ids()
        made.use("routes: []\n")
        assert await made.retry() == {one: "route ring sends it no more to mqtt:home"}
        made.use(RING.replace("mqtt: ring", 'mqtt: "ring/{{ body.door }}"'))
        assert await made.retry() == {one: "it can still not be rendered: body.door is missing"}
        made.use(
            "verifiers: {gh: {scheme: github, secrets: [s3cret]}}\n"
            + RING.replace("send:", "verify: gh, send:")
        )
        (reason,) = (await made.retry()).values()
        assert reason.startswith("the verifier of route ring says missing-header")
        assert "s3cret" not in reason
        assert await made.ids() == [one]


async def test_a_listing_is_paged_and_filtered(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(*(webhook(b"%d" % n, id=f"log-{n}") for n in range(PAGE + 3)))
        first: Any = await made.letters.page(Selection())
        second: Any = await made.letters.page(Selection(after=first["after"]))
        assert [len(page["letters"]) for page in (first, second)] == [PAGE, 3]
        assert second["after"] is None
        assert await made.ids(route="other") == await made.ids(target="x") == await made.ids(code="x") == []
        assert await made.ids(older_than=3600.0) == []
        assert len(await made.ids(older_than=0.0, route="ring", target=HOME, code="http-400")) == PAGE


async def test_large_letters_are_retried_a_few_at_a_time(path: Path) -> None:
    async with graveyard(path) as made:
        body = b"x" * (PORTION // 3)
        await made.take(*(webhook(body, id=f"log-{n}") for n in range(8)))
        made.target.answer = lambda _: DELIVERED
        ids = await made.ids()
        portion = await made.journal.exhume_all(ids, PORTION)
        assert list(portion) == ids[:3]
        assert await made.retry() == {}
        assert len(made.target.taken) == 8


async def test_nothing_is_retried_into_a_full_journal(path: Path) -> None:
    async with graveyard(path, max_bytes=1 << 20) as made:
        await made.take(webhook(b"1"))
        ids = await made.ids()
        made.target.up = False
        made.dispatcher.accept(webhook(b"x" * (1 << 20), id="big"), made.table.route(webhook()).plans, 1)
        await eventually(lambda: made.journal.full)
        with pytest.raises(ControlError, match="nothing more can be retried now"):
            await made.letters.retry(ids)
        assert await made.ids() == ids


async def test_show_holds_no_header_value(path: Path) -> None:
    async with graveyard(path) as made:
        one = webhook(b"\xff{}", headers={"authorization": ("Bearer s3cret",)}, query_string="token=s3cret")
        await made.take(one)
        shown: Any = await made.letters.show((await made.ids())[0])
        assert "s3cret" not in str(shown)
        assert shown["letter"]["webhook"]["headers"] == ["authorization"]
        assert shown["letter"]["webhook"]["body"] == "\ufffd{}"
        with pytest.raises(ControlError, match=GONE):
            await made.letters.show(99)


async def test_purged_is_gone(path: Path) -> None:
    async with graveyard(path) as made:
        await made.take(webhook(b"1"), webhook(b"2", id="log-2"))
        ids = await made.ids()
        assert await made.letters.purge([ids[0], 99]) == {"purged": 1}
        assert await made.ids() == ids[1:]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"rute": "x"}, "unknown field 'rute'"),
        ({"route": 5}, "route is not a text"),
        ({"route": "x" * 1001}, "route is not a text"),
        ({"route": "\ud800"}, "route is not a text"),
        ({"older_than": "1h"}, "older_than is not a number of seconds"),
        ({"older_than": True}, "older_than is not a number of seconds"),
        ({"older_than": float("nan")}, "older_than is not a number of seconds"),
        ({"older_than": -1}, "older_than is not a number of seconds"),
        ({"older_than": 10**400}, "older_than is not a number of seconds"),
        ({"id": None}, "id: not an ID"),
        ({"id": "1"}, "id: not an ID"),
        ({"id": True}, "id: not an ID"),
        ({"id": -1}, "id: not an ID"),
        ({"id": 1 << 63}, "id: not an ID"),
        ({"ids": 5}, "ids is not a list"),
        ({"ids": [1, "2"]}, "ids: not an ID"),
        ({"ids": [1] * (MOST_IDS + 1)}, "ids is not a list of at most"),
    ],
)
def test_a_request_is_checked(fields: Mapping[str, object], complaint: str) -> None:
    def read() -> None:
        request = Request(fields, "route", "older_than", "id", "ids")
        request.text("route")
        request.seconds("older_than")
        if "ids" in fields:
            request.numbers("ids")
        request.number("id")

    with pytest.raises(ControlError, match=complaint):
        read()
