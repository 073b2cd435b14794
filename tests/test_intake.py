"""From a webhook to deliveries: a real table, a real dispatcher and journal."""

import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.intake import Intake
from bridge.journal.journal import Journal
from bridge.routing.table import RouteTable
from bridge.verify.verdict import Clock
from bridge.webhook import Webhook
from tests.support.deliveries import ScriptedTarget, topic, webhook
from tests.support.routing_files import config_of
from tests.support.signatures import VECTORS
from tests.support.waiting import eventually

HEAD = "relay: {key: a, secret: b}\nbrokers: {home: {url: 'mqtt://127.0.0.1:1'}}\nroutes:\n"
RING = "  - {name: ring, match: {bucket: doorbell}, send: [{mqtt: home/ring}]}\n"
FRONT = '  - {name: front, match: {body.door: front}, send: [{mqtt: "home/{{ body.door }}"}]}\n'
BROKEN = (
    '  - {name: broken, match: {bucket: doorbell}, when: "{{ body.nothing.at.all }}", send: [{mqtt: x}]}\n'
)
UNRENDERED = '  - {name: unrendered, match: {bucket: doorbell}, send: [{mqtt: "x/{{ body.nothing }}"}]}\n'


def table(*routes: str) -> RouteTable:
    return config_of(HEAD + "".join(routes)).table


class Rig:
    """An intake whose broker is in memory."""

    def __init__(self, journal: Journal) -> None:
        self.counts = Counts()
        self.dispatcher = Dispatcher(journal, self.counts)
        self.broker = ScriptedTarget("mqtt:home")
        self.broker.listener = self.dispatcher
        self.dispatcher.use({"mqtt:home": (self.broker, Retry())})
        self.intake = Intake(self.dispatcher, self.counts, table(RING), 1)

    async def topics(self, count: int) -> list[str]:
        await eventually(lambda: len(self.broker.taken) >= count)
        return [topic(delivery) for delivery in self.broker.taken]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=16 * 1024 * 1024)
    rig = Rig(journal)
    yield rig
    await rig.dispatcher.stop()
    await journal.close()


async def test_every_route_that_matches_delivers(rig: Rig) -> None:
    rig.intake.use(table(RING, FRONT), 7)
    rig.intake.accept(webhook(b'{"door": "front"}'))
    assert await rig.topics(2) == ["home/ring", "home/front"]
    assert {delivery.generation for delivery in rig.broker.taken} == {7}
    assert {delivery.webhook_seq for delivery in rig.broker.taken} == {1}
    assert (rig.counts.webhooks, rig.counts.unmatched) == (1, 0)
    assert [rig.counts.route(name).matched for name in ("ring", "front")] == [1, 1]


async def test_a_webhook_that_comes_twice_is_taken_once(rig: Rig) -> None:
    for one in ("log-1", "log-1", "log-2"):
        rig.intake.accept(webhook(id=one))
    assert len(await rig.topics(2)) == 2
    assert (rig.counts.webhooks, rig.counts.duplicates) == (3, 1)


async def test_without_an_id_two_equal_webhooks_are_two(rig: Rig) -> None:
    for _ in range(2):
        rig.intake.accept(webhook(id=""))
    assert len(await rig.topics(2)) == 2
    assert rig.counts.duplicates == 0


async def test_what_no_route_wants_is_counted(rig: Rig) -> None:
    rig.intake.accept(webhook(bucket="meter"))
    assert (rig.counts.unmatched, rig.dispatcher.owed()["mqtt:home"]) == (1, 0)


async def test_a_condition_that_fails_is_counted_and_costs_only_its_route(rig: Rig) -> None:
    rig.intake.use(table(BROKEN, RING), 2)
    rig.intake.accept(webhook())
    assert await rig.topics(1) == ["home/ring"]
    assert (rig.counts.route("broken").failed, rig.counts.route("broken").matched) == (1, 0)


async def test_a_template_that_fails_is_a_dead_letter_and_costs_only_its_delivery(rig: Rig) -> None:
    rig.intake.use(table(UNRENDERED, RING), 2)
    rig.intake.accept(webhook())
    assert await rig.topics(1) == ["home/ring"]
    counts = rig.counts.target("mqtt:home")
    assert (counts.accepted, counts.dead) == (2, 1)


async def test_the_table_is_the_one_of_the_moment(rig: Rig) -> None:
    rig.intake.accept(webhook(id="log-1"))
    rig.intake.use(table(RING.replace("home/ring", "home/bell")), 2)
    rig.intake.accept(webhook(id="log-2"))
    assert await rig.topics(2) == ["home/ring", "home/bell"]
    assert [delivery.generation for delivery in rig.broker.taken] == [1, 2]


# Verifiers

GATE = "verifiers: {gh: {scheme: github, secrets: s3cr3t, replay: reject}}\n"
GATED = "  - {name: gated, match: {bucket: doorbell}, verify: gh, send: [{mqtt: gated}]}\n"


def gated(*routes: str, unmatched: str = "dead") -> RouteTable:
    return config_of(GATE + HEAD + "".join(routes) + f"unmatched: {unmatched}\n").table


def signed(secret: bytes = b"s3cr3t", id: str = "log-1") -> Webhook:  # noqa: A002  # the field's name
    signature = f"sha256={hmac.new(secret, b'{}', 'sha256').hexdigest()}"
    return webhook(headers={"x-hub-signature-256": (signature,), "x-github-delivery": ("d-1",)}, id=id)


async def test_a_wrong_signature_is_counted_told_and_not_delivered_and_hinders_no_other_route(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.intake.use(gated(GATED, RING), 2)
    rig.intake.accept(signed(b"wrong", id="log-1"))
    assert await rig.topics(1) == ["home/ring"]
    counts = rig.counts.route("gated")
    assert (counts.rejected, counts.matched) == (1, 0)
    assert counts.rejection == "bad-signature: it was made with none of the secrets"
    assert (rig.counts.rejected, rig.counts.unmatched) == (0, 0)
    rig.intake.accept(signed(id="log-2"))
    assert await rig.topics(3) == ["home/ring", "gated", "home/ring"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("unmatched", ["dead", "[{mqtt: lost}]"])
async def test_what_is_rejected_and_nothing_else_is_not_unmatched(rig: Rig, unmatched: str) -> None:
    rig.intake.use(gated(GATED, unmatched=unmatched), 2)
    rig.intake.accept(signed(b"wrong"))
    assert (rig.counts.rejected, rig.counts.unmatched) == (1, 0)
    assert not any(target.accepted for target in rig.counts.targets.values())
    rig.intake.accept(webhook(bucket="meter", id="log-2"))
    assert (rig.counts.rejected, rig.counts.unmatched) == (1, 1)
    assert sum(target.accepted for target in rig.counts.targets.values()) == 1


async def test_a_copy_of_what_was_accepted_is_rejected_and_the_frame_itself_a_duplicate(rig: Rig) -> None:
    rig.intake.use(gated(GATED), 2)
    for one in ("log-1", "log-2", "log-1"):
        rig.intake.accept(signed(id=one))
    assert await rig.topics(1) == ["gated"]
    counts = rig.counts.route("gated")
    assert (counts.matched, counts.rejected, counts.duplicates) == (2, 1, 1)
    assert counts.rejection.startswith("replayed: ")


async def test_what_no_route_delivered_is_no_replay_later(rig: Rig) -> None:
    rig.intake.use(gated(GATED.replace("verify", 'when: "{{ body == 1 }}", verify')), 2)
    rig.intake.accept(signed(id="log-1"))
    rig.intake.use(gated(GATED), 3)
    rig.intake.accept(signed(id="log-2"))
    assert await rig.topics(1) == ["gated"]


async def test_a_route_that_is_added_takes_the_frame_that_another_route_was_sent(rig: Rig) -> None:
    rig.intake.use(gated(GATED), 2)
    rig.intake.accept(signed(id="log-1"))
    rig.intake.use(gated(GATED, GATED.replace("gated", "added")), 3)
    rig.intake.accept(signed(id="log-1"))
    assert await rig.topics(2) == ["gated", "added"]


async def test_the_clock_judges_the_age_of_what_is_signed(rig: Rig) -> None:
    vector = VECTORS["slack"]
    file = GATE.replace("github, secrets: s3cr3t", f"slack, secrets: {vector.secret}")
    moment = vector.clock(301.0)
    intake = Intake(rig.dispatcher, rig.counts, config_of(file + HEAD + GATED).table, 1, lambda: moment)
    intake.accept(vector.webhook(id="log-1"))
    assert rig.counts.route("gated").rejection.startswith("too-old: ")
    moment = Clock(0.0, synchronised=False)
    intake.accept(vector.webhook(id="log-2"))
    assert await rig.topics(1) == ["gated"]
