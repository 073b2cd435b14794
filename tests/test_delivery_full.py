"""A journal that holds all that it may: what gives way, and that nothing is lost uncounted."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.delivery.retry import Retry
from bridge.errors import JournalFull
from bridge.journal.journal import MOST_REMOVALS, Journal
from bridge.journal.writer import DELAYS, Haste
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import KEY, SECRET, a_webhook, scripted_relay
from tests.support.waiting import eventually, eventually_async

MIB = 1024 * 1024
BODY = b"x" * 8000
HOME, SHOP = "mqtt:home", "http:shop"


class Full:
    """A dispatcher over a small journal; its targets are down until they are told otherwise."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self.journal = journal
        self.counts = Counts()
        self.congestion: list[bool] = []
        self.dispatcher = Dispatcher(
            journal, self.counts, limits=limits, congested=self.congestion.append, rand=lambda: 0.0
        )
        journal.listen(on_full=lambda _: self.dispatcher.check_room(), on_room=self.dispatcher.check_room)
        self.targets = {name: ScriptedTarget(name) for name in (HOME, SHOP)}
        for target in self.targets.values():
            target.listener = self.dispatcher
            target.up = False
        retry = Retry(attempts=100, first=0.01, longest=0.02)
        self.dispatcher.use({name: (target, retry) for name, target in self.targets.items()})
        self._accepted = 0

    def accept(self, count: int, target: str = HOME, key: str | None = "route", body: bytes = BODY) -> None:
        plan = Plan("route", target, key, MqttMessage("a/b"), None, None, scope="route")
        for _ in range(count):
            number = b"%d " % self._accepted
            self.dispatcher.accept(webhook(number + body, id=f"log-{self._accepted}"), [plan], 1)
            self._accepted += 1

    async def flood(self, count: int, target: str = HOME, key: str | None = "route") -> None:
        """Accept many, no faster than the journal takes them in."""
        for _ in range(0, count, 10):
            self.accept(10, target, key)
            await asyncio.sleep(0)
            await self.settled()

    async def settled(self) -> None:
        await eventually(lambda: self.dispatcher.unsaved == 0)
        self.conserved()

    def conserved(self) -> None:
        owed = self.dispatcher.owed()
        for name, counts in self.counts.targets.items():
            assert counts.accepted == counts.settled + owed[name], (name, counts, owed)
        for outbox in self.dispatcher.outboxes():
            assert outbox.held_bytes == sum(lane.held_bytes for lane in outbox)
            assert all(lane.stored >= 0 for lane in outbox)

    async def delivered(self, name: str = HOME) -> list[int]:
        """What arrives once the target is up, by number."""
        target = self.targets[name]
        target.set_up(True)
        await eventually(lambda: not self.dispatcher.owed()[name])
        self.conserved()
        return [int(body.partition(" ")[0]) for body in target.bodies()]

    def evicted(self, name: str = HOME) -> int:
        return self.counts.target(name).evicted


@asynccontextmanager
async def full(path: Path, policy: str, *, held_bytes: int = 16 * MIB) -> AsyncIterator[Full]:
    journal = await Journal.open(path, max_bytes=MIB)
    made = Full(journal, Limits(held_bytes=held_bytes))
    made.dispatcher.when_full(policy)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        made.conserved()
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


HELD = pytest.mark.parametrize("held_bytes", [16 * MIB, 100_000], ids=["in memory", "in the journal"])


@HELD
async def test_the_oldest_give_way_and_the_rest_arrives_in_order(path: Path, held_bytes: int) -> None:
    async with full(path, "drop_oldest", held_bytes=held_bytes) as made:
        await made.flood(400)
        assert made.evicted() > 200
        assert made.journal.size < 1.3 * MIB
        assert True not in made.congestion, "the relay is not held"
        await eventually(lambda: not made.journal.full)
        left = made.dispatcher.owed()[HOME]
        assert left > 50
        assert await made.delivered() == list(range(400 - left, 400))


@HELD
async def test_the_newest_give_way_and_the_first_arrive_in_order(path: Path, held_bytes: int) -> None:
    async with full(path, "drop_newest", held_bytes=held_bytes) as made:
        await made.flood(400)
        assert made.evicted() > 200
        assert made.journal.size < 1.3 * MIB
        assert True not in made.congestion
        left = made.dispatcher.owed()[HOME]
        assert left > 50
        assert await made.delivered() == list(range(left))
        await eventually(lambda: not made.journal.full)
        made.accept(1)
        assert (await made.delivered())[-1] == 400


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_a_burst_that_fits_no_journal_costs_no_more_than_it_has_to(path: Path, policy: str) -> None:
    async with full(path, policy) as made:
        made.accept(400)
        await made.settled()
        left = made.dispatcher.owed()[HOME]
        assert left > 50
        assert made.evicted() == 400 - left
        assert True not in made.congestion
        arrived = await made.delivered()
        assert len(arrived) == left
        assert arrived == sorted(arrived)
        if policy == "drop_oldest":
            assert arrived[-1] == 399


async def test_what_is_queued_gives_way_though_something_newer_did_already(path: Path) -> None:
    async with full(path, "drop_newest", held_bytes=100_000) as made:

        def comes_before_the_news(_reason: str) -> None:
            made.accept(1)
            made.dispatcher.check_room()

        made.journal.listen(on_full=comes_before_the_news, on_room=made.dispatcher.check_room)
        made.accept(340)
        await made.settled()
        left = made.dispatcher.owed()[HOME]
        assert left > 50
        assert await made.delivered() == list(range(left))


async def test_the_relay_is_held_where_nothing_may_give_way(path: Path) -> None:
    async with full(path, "disconnect") as made:
        await made.flood(150)
        await eventually(lambda: made.congestion == [True])
        assert made.evicted() == 0
        made.dispatcher.when_full("drop_oldest")
        await eventually(lambda: made.congestion == [True, False])
        await eventually(lambda: made.evicted() > 0)


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_other_lanes_and_targets_are_told_apart(path: Path, policy: str) -> None:
    async with full(path, policy, held_bytes=200_000) as made:
        for number in range(40):
            await made.flood(10, (HOME, SHOP)[number % 2], (None, "a", "b")[number % 3])
        assert made.evicted(HOME) > 50
        assert made.evicted(SHOP) > 50
        arrived = [await made.delivered(name) for name in (HOME, SHOP)]
        numbers = sorted(arrived[0] + arrived[1])
        left = 400 - made.evicted(HOME) - made.evicted(SHOP)
        assert numbers == list(range(400 - left, 400) if policy == "drop_oldest" else range(left))


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_what_is_in_flight_does_not_give_way(path: Path, policy: str) -> None:
    async with full(path, policy) as made:
        if policy == "drop_newest":
            await made.flood(150)
            assert made.journal.full
        slow = made.targets[SHOP]
        slow.lane_window = slow.window = 5
        sent: list[Delivery] = []

        def send(delivery: Delivery) -> None:
            slow.in_flight += 1
            sent.append(delivery)

        slow.send = send  # type: ignore[method-assign]  # a target that takes its time
        slow.set_up(True)
        made.accept(5, SHOP)
        await eventually(lambda: len(sent) == 5)
        await asyncio.sleep(0)
        await made.flood(400)
        assert made.evicted() > 0
        assert made.evicted(SHOP) == 0
        for delivery in sent:
            slow.in_flight -= 1
            made.dispatcher.finished(delivery, DELIVERED)
        assert made.counts.target(SHOP).delivered == 5
        made.conserved()


async def test_evictions_while_a_busy_target_is_read_back_for_add_up(path: Path) -> None:
    refusals = iter(range(10_000))

    def answer(_: Delivery) -> Result:
        return Failure(FailureKind.BUSY, "http-503") if next(refusals) % 3 == 0 else DELIVERED

    async with full(path, "drop_oldest", held_bytes=100_000) as made:
        await made.flood(120, key=None)
        home = made.targets[HOME]
        home.answer = answer
        home.window = 2
        home.set_up(True)
        for _ in range(60):
            made.accept(20, key=None)
            await asyncio.sleep(0.002)
            made.conserved()
        await eventually(lambda: not made.dispatcher.owed()[HOME], 30)
        counts = made.counts.target(HOME)
        assert counts.evicted > 0
        assert counts.delivered + counts.evicted == counts.accepted == 1320
        assert len({one.seq for one in home.taken}) == len(home.taken)


async def test_an_episode_is_one_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bridge.delivery"):
        async with full(path, "drop_oldest") as made:
            await made.flood(600)
    (told,) = [record for record in caplog.records if record.name == "bridge.delivery.eviction"]
    assert (
        told.getMessage() == "the journal is full: the oldest deliveries are given up, and counted as evicted"
    )


async def test_a_webhook_that_gave_way_is_not_taken_again(path: Path) -> None:
    async with full(path, "drop_newest") as made:
        await made.flood(150)
        assert made.evicted() > 0
        before = made.counts.target(HOME).accepted
        made._accepted -= 1
        made.accept(1)
        assert made.counts.target(HOME).accepted == before
        assert made.counts.duplicates == 1


async def test_what_gave_way_leaves_its_deduplication_key_to_another(path: Path) -> None:
    async with full(path, "drop_newest") as made:
        await made.flood(150)
        plan = Plan("route", HOME, "route", MqttMessage("a/b"), None, None, scope="route", dedupe="once")
        for number in (1, 2):
            made.dispatcher.accept(webhook(BODY, id=f"twin-{number}"), [plan], 1)
            await made.settled()
        assert made.counts.duplicates == 0


async def test_what_a_full_disk_keeps_out_at_the_stop_is_told_and_no_error(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with full(path, "disconnect") as made:
        made.accept(400)
        with pytest.raises(JournalFull):
            await made.dispatcher.save()
    assert "deliveries could not be stored" in caplog.text


async def test_a_dead_letter_that_is_in_memory_only_is_not_saved_yet(path: Path) -> None:
    async with full(path, "disconnect") as made:
        target = made.targets[HOME]
        target.answer = lambda _: Failure(FailureKind.PERMANENT, "http-400")
        target.set_up(True)
        made.accept(3)
        await eventually(lambda: made.counts.target(HOME).dead == 3, every=0.0)
        assert made.dispatcher.unsaved == 3
        await made.settled()
        assert made.journal.state.dead == 3


async def test_many_removals_wait_for_no_company(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DELAYS, Haste.LATER, 60.0)
    journal = await Journal.open(path, max_bytes=64 * MIB)
    many = [
        Delivery(seq, seq, webhook(b"x"), MqttMessage("a"), HOME, None, "route", 1)
        for seq in range(1, MOST_REMOVALS + 1)
    ]
    journal.add(many)
    await journal.flush()
    before = journal.state.commits
    for one in many:
        journal.remove(one)
    await eventually(lambda: journal.state.commits > before)
    await journal.close()


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_the_daemon_stays_subscribed_and_what_it_kept_survives_a_kill(
    tmp_path: Path, policy: str
) -> None:
    count = 400
    broker = Broker(tmp_path)
    async with scripted_relay() as relay:
        routing = (
            f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
            f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
            f"journal: {{max_bytes: 1MiB, when_full: {policy}}}\n"
            "routes: [{name: ring, match: {bucket: doorbell}, send: [{mqtt: ring}]}]\n"
        )
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:
            for number in range(count):
                await relay.send(a_webhook(number, body=f'{{"n": {number}, "fill": "{"x" * 8000}"}}'))

            async def owed() -> int:
                status = await bridge.ask("status")
                conserved(status)
                home, journal = status["targets"].get(HOME, {}), status["journal"]
                calm = journal["unsaved"] == 0 and (policy == "drop_newest" or not journal["full"])
                return home["pending"] if home.get("accepted") == count and home["evicted"] and calm else 0

            left = await eventually_async(owed, 20)
            assert left > 50
            assert len(relay.connections) == 1, "the relay is not left"
            assert bridge.log_text().count("deliveries are given up") == 1
            await bridge.kill()
            async with broker, Collector(broker.port, "#", qos=1) as seen:
                await bridge.start()
                await seen.wait(left)
                assert await bridge.stop() == 0
            numbers = [json.loads(payload)["n"] for payload in seen.payloads]
            assert numbers == list(range(count - left, count) if policy == "drop_oldest" else range(left))
