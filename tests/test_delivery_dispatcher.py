import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.delivery.retry import Retry
from bridge.errors import RenderError
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.waiting import eventually

HOME = "mqtt:home"
MIB = 1024 * 1024
QUICK = Retry(attempts=3, first=0.01, longest=0.02)


class Bench:
    """A dispatcher over a real journal, with targets in memory."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self.journal = journal
        self.counts = Counts()
        self.congestion: list[bool] = []
        self.dispatcher = Dispatcher(
            journal, self.counts, limits=limits, congested=self.congestion.append, rand=lambda: 0.0
        )
        self.targets: dict[str, ScriptedTarget] = {}
        self._accepted = 0

    def target(
        self, name: str = HOME, answer: Callable[[Delivery], Result] = lambda _: DELIVERED, **settings: int
    ) -> ScriptedTarget:
        target = self.targets[name] = ScriptedTarget(name, answer, **settings)
        target.listener = self.dispatcher
        self.dispatcher.use({name: (target, QUICK) for name, target in self.targets.items()})
        return target

    def accept(self, *targets: str, key: str | None = "route", expire_after: float | None = None) -> None:
        """One webhook whose body is its number, to each of the targets."""
        message = MqttMessage("a/b")
        plans = [Plan("route", name, key, message, None, expire_after) for name in targets or (HOME,)]
        body = str(self._accepted).encode()
        self.dispatcher.accept(webhook(body, id=f"log-{self._accepted}"), plans, 1)
        self._accepted += 1

    def conserved(self) -> None:
        owed = self.dispatcher.owed()
        for name, counts in self.counts.targets.items():
            assert counts.accepted == counts.settled + owed.get(name, 0), (name, counts, owed)

    async def settled(self) -> None:
        await eventually(lambda: not any(self.dispatcher.owed().values()))
        self.conserved()


@asynccontextmanager
async def bench(path: Path, limits: Limits | None = None) -> AsyncIterator[Bench]:
    journal = await Journal.open(path, max_bytes=64 * MIB)
    made = Bench(journal, limits or Limits())
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        made.conserved()
        await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def numbers(count: int) -> list[str]:
    return [str(n) for n in range(count)]


async def test_a_healthy_target_costs_no_write(path: Path) -> None:
    async with bench(path) as made:
        home = made.target()
        for _ in range(100):
            made.accept()
        await made.settled()
        assert home.bodies() == numbers(100)
        assert made.journal.state.commits == 0


async def test_what_is_not_delivered_in_time_is_durable_and_survives(path: Path) -> None:
    async with bench(path) as made:
        made.target().up = False
        for _ in range(20):
            made.accept()
        await eventually(lambda: made.dispatcher.unsaved == 0)
        assert made.journal.state.commits >= 1
    async with bench(path) as again:
        home = again.target()
        assert await again.dispatcher.recover() == 20
        again.dispatcher.available(HOME)
        await again.settled()
        assert home.bodies() == numbers(20)
        assert again.counts.target(HOME).accepted == 20


async def test_what_is_still_fresh_at_the_stop_is_durable(path: Path) -> None:
    async with bench(path, Limits(linger=60.0)) as made:
        made.target().up = False
        made.accept()
        assert made.dispatcher.unsaved == 1
    async with bench(path) as again:
        assert await again.dispatcher.recover() == 1


async def test_a_target_that_comes_back_gets_everything_in_order(path: Path) -> None:
    async with bench(path) as made:
        home = made.target()
        home.up = False
        for _ in range(50):
            made.accept()
        await eventually(lambda: made.dispatcher.unsaved == 0)
        home.set_up(True)
        for _ in range(50):
            made.accept()
        await made.settled()
        assert home.bodies() == numbers(100)
    async with bench(path) as again:
        assert await again.dispatcher.recover() == 0, "what was delivered is not owed any more"


async def test_a_busy_target_is_tried_again_and_the_lane_keeps_its_order(path: Path) -> None:
    refusals = iter([True, True])

    def answer(delivery: Delivery) -> Result:
        if delivery.webhook.text == "0" and next(refusals, False):
            return Failure(FailureKind.BUSY, "http-503", "busy")
        return DELIVERED

    async with bench(path) as made:
        home = made.target(answer=answer)
        for _ in range(3):
            made.accept()
        await made.settled()
        assert home.bodies() == numbers(3)
        assert made.counts.target(HOME).retries == 2


async def test_one_key_that_fails_holds_back_no_other(path: Path) -> None:
    def answer(delivery: Delivery) -> Result:
        failed = delivery.order_key == "poison"
        return Failure(FailureKind.REFUSED, "http-404", "not there") if failed else DELIVERED

    async with bench(path) as made:
        home = made.target(answer=answer)
        made.accept(key="poison")
        made.accept(key="poison")
        made.accept(key="good")
        await eventually(lambda: home.bodies() == ["2"])
        assert made.dispatcher.owed() == {HOME: 2}


async def test_a_dead_target_holds_back_no_other(path: Path) -> None:
    async with bench(path, Limits(held_bytes=64 * 1024)) as made:
        made.target("mqtt:dead").up = False
        home = made.target()
        for _ in range(500):
            made.accept("mqtt:dead", HOME)
        await eventually(lambda: len(home.taken) == 500)
        assert made.dispatcher.owed() == {"mqtt:dead": 500, HOME: 0}


async def test_exhausted_and_permanent_failures_become_dead_letters(path: Path) -> None:
    def answer(delivery: Delivery) -> Result:
        kind = FailureKind.PERMANENT if delivery.webhook.text == "0" else FailureKind.BUSY
        return Failure(kind, f"code-{kind.value}", "why")

    async with bench(path) as made:
        made.target(answer=answer)
        made.accept()
        made.accept()
        await made.settled()
        assert made.counts.target(HOME).dead == 2
        letters = await made.journal.dead()
        assert [(one.code, one.reason) for one in letters] == [
            ("code-permanent", "why"),
            ("code-busy", "why (attempt 3 of 3)"),
        ]


async def test_a_plan_that_could_not_be_rendered_is_a_dead_letter(path: Path) -> None:
    async with bench(path) as made:
        made.target()
        failed = Plan("route", HOME, "route", None, RenderError("'body.x' is undefined"), 60.0)
        made.dispatcher.accept(webhook(), [failed], 1)
        await made.settled()
        (letter,) = await made.journal.dead()
        assert (letter.code, letter.reason) == ("render", "'body.x' is undefined")


async def test_what_is_too_old_expires_and_is_counted(path: Path) -> None:
    async with bench(path) as made:
        home = made.target()
        home.up = False
        made.accept(expire_after=0.01)
        made.accept(expire_after=60.0)
        await asyncio.sleep(0.02)
        home.set_up(True)
        await made.settled()
        assert home.bodies() == ["1"]
        assert made.counts.target(HOME).expired == 1


async def test_what_expires_while_it_is_refused_is_put_before_peoples_eyes(path: Path) -> None:
    async with bench(path) as made:
        made.target(answer=lambda _: Failure(FailureKind.REFUSED, "http-401", "no"))
        made.accept(expire_after=0.05)
        await made.settled()
        assert made.counts.target(HOME).dead == 1
        (letter,) = await made.journal.dead()
        assert (letter.code, letter.reason) == ("http-401", "expired while refused: no")


async def test_beyond_its_share_of_memory_a_lane_lives_in_the_journal(path: Path) -> None:
    limits = Limits(held_bytes=64 * 1024)
    async with bench(path, limits) as made:
        home = made.target()
        home.up = False
        for _ in range(2000):
            made.accept()
        held = [outbox.held_bytes for outbox in made.dispatcher.outboxes()]
        assert all(size <= limits.held_bytes for size in held)
        await eventually(lambda: made.dispatcher.unsaved == 0)
        home.set_up(True)
        for _ in range(500):
            made.accept()
            await asyncio.sleep(0)
            assert all(outbox.held_bytes <= 2 * limits.held_bytes for outbox in made.dispatcher.outboxes())
        await made.settled()
        assert home.bodies() == numbers(len(home.taken))


async def test_many_keys_beyond_memory_all_arrive_in_order_of_their_key(path: Path) -> None:
    async with bench(path, Limits(held_bytes=32 * 1024)) as made:
        home = made.target()
        home.up = False
        for n in range(1500):
            made.accept(key=f"key-{n % 97}")
        home.set_up(True)
        await made.settled()
        assert sorted(home.bodies(), key=int) == numbers(1500)
        by_key: dict[str, list[int]] = {}
        for taken in home.taken:
            by_key.setdefault(str(taken.order_key), []).append(int(taken.webhook.text))
        assert all(bodies == sorted(bodies) for bodies in by_key.values())


async def test_poisoned_keys_that_fill_the_memory_hold_back_no_other(path: Path) -> None:
    def answer(delivery: Delivery) -> Result:
        failed = str(delivery.order_key).startswith("poison")
        return Failure(FailureKind.REFUSED, "http-404", "not there") if failed else DELIVERED

    async with bench(path, Limits(held_bytes=16 * 1024)) as made:
        home = made.target(answer=answer)
        for n in range(200):
            made.accept(key=f"poison-{n % 5}")
        for _ in range(200):
            made.accept(key="good")
        await eventually(lambda: len(home.taken) == 200)
        assert [int(body) for body in home.bodies()] == list(range(200, 400))


async def test_without_an_order_what_fails_holds_back_nothing(path: Path) -> None:
    def answer(delivery: Delivery) -> Result:
        failed = delivery.webhook.text == "0"
        return Failure(FailureKind.REFUSED, "http-404", "not there") if failed else DELIVERED

    async with bench(path) as made:
        home = made.target(answer=answer)
        for _ in range(10):
            made.accept(key=None)
        await eventually(lambda: len(home.taken) == 9)


async def test_a_target_that_no_route_names_finishes_what_it_owes(path: Path) -> None:
    async with bench(path) as made:
        old = made.target("mqtt:old")
        old.up = False
        made.accept("mqtt:old")
        del made.targets["mqtt:old"]
        made.target(HOME)
        assert made.dispatcher.idle_targets() == []
        old.set_up(True)
        await made.settled()
        assert [target.name for target in made.dispatcher.idle_targets()] == ["mqtt:old"]
        assert made.dispatcher.idle_targets() == []


async def test_deliveries_to_a_target_that_is_not_configured_wait_for_it(path: Path) -> None:
    async with bench(path) as made:
        made.target().up = False
        made.accept()
    async with bench(path) as again:
        await again.dispatcher.recover()
        assert again.dispatcher.owed() == {HOME: 1}
        home = again.target()
        await again.settled()
        assert home.bodies() == ["0"]


async def test_the_intake_is_held_while_the_journal_cannot_follow(path: Path) -> None:
    async with bench(path, Limits(linger=0.0, uncommitted_bytes=20_000)) as made:
        made.target().up = False
        for _ in range(50):
            made.accept()
        await eventually(lambda: made.congestion == [True, False])
        assert made.dispatcher.unsaved == 0
