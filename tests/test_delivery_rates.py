"""Rates of routes on their way through the dispatcher: what waits, what is a dead letter, what is neither."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher, Limits
from bridge.delivery.rates import Rates
from bridge.delivery.retry import Retry
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, Result
from bridge.routing.rate import Excess, Rate
from bridge.routing.table import RouteTable
from tests.support.deliveries import ScriptedTarget, delivery, topic, webhook
from tests.support.routing_files import config_of, with_routes
from tests.support.waiting import eventually

HOME = "mqtt:home"
RING = "  - {{name: ring, send: [{{mqtt: ring}}], rate: {{{rate}}}{more}}}\n"
OTHER = "  - {name: other, send: [{mqtt: other}]}\n"
LIMIT = 50
"""Webhooks in a second."""
ROUNDING = 0.5


def table(rate: str, more: str = "") -> RouteTable:
    return config_of(with_routes(RING.format(rate=rate, more=more) + OTHER)).table


class TimedTarget(ScriptedTarget):
    """Knows when it was sent what."""

    def __init__(self, name: str, **settings: int) -> None:
        super().__init__(name, self.result, **settings)
        self.times: list[float] = []
        self.failures = 0

    def send(self, delivery: Delivery) -> None:
        if topic(delivery) != "other":
            self.times.append(asyncio.get_running_loop().time())
        super().send(delivery)

    def result(self, _: Delivery) -> Result:
        self.failures -= 1
        return DELIVERED if self.failures < 0 else Failure(FailureKind.CONNECTION, "refused")


class Rig:
    def __init__(self, journal: Journal, routes: RouteTable, limits: Limits) -> None:
        self.counts = Counts()
        self.journal = journal
        self.dispatcher = Dispatcher(journal, self.counts, limits=limits, rand=lambda: 0.0)
        self.home = TimedTarget(HOME, lane_window=4)
        self.home.listener = self.dispatcher
        self.use(routes)
        self.dispatcher.use({HOME: (self.home, Retry(first=0.01, longest=0.02))})
        self._webhooks = 0

    def use(self, routes: RouteTable) -> None:
        self.routes = routes
        self.dispatcher.pace(routes.rates)

    def take(self, count: int = 1) -> None:
        """So many webhooks at once; their bodies are their numbers."""
        for _ in range(count):
            hook = webhook(str(self._webhooks).encode(), id=f"log-{self._webhooks}")
            self.dispatcher.accept(hook, self.routes.route(hook).plans, 1)
            self._webhooks += 1

    async def settled(self) -> None:
        await eventually(lambda: not any(self.dispatcher.owed().values()))

    def sent(self, route: str = "ring") -> list[str]:
        return [one.webhook.text for one in self.home.taken if one.route == route]

    @property
    def limited(self) -> int:
        return self.counts.route("ring").limited

    def assert_pace(self, burst: int, each: int = 1) -> None:
        """Never more than the rate allows; the clock is read a little later than by whoever decides."""
        times = self.home.times[::each]
        for first in range(len(times)):
            for last in range(first, len(times)):
                allowed = burst + (times[last] - times[first]) * LIMIT
                assert last - first + 1 <= allowed + ROUNDING


@asynccontextmanager
async def rig(path: Path, routes: RouteTable, limits: Limits | None = None) -> AsyncIterator[Rig]:
    journal = await Journal.open(path / "journal.db", max_bytes=64 * 1024 * 1024)
    made = Rig(journal, routes, limits or Limits())
    await made.dispatcher.recover()
    made.dispatcher.available(HOME)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        owed = made.dispatcher.owed()
        for name, counts in made.counts.targets.items():
            assert counts.accepted == counts.settled + owed.get(name, 0)
        await journal.close()


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("burst", [1, 5])
async def test_more_than_the_rate_waits_in_order(tmp_path: Path, burst: int) -> None:
    async with rig(tmp_path, table(f"limit: {LIMIT}, burst: {burst}")) as made:
        made.take(20)
        await eventually(lambda: made.sent("other") == numbers(20))
        assert len(made.sent()) < 20, "what has no rate does not wait"
        await made.settled()
        assert made.sent() == numbers(20)
        made.assert_pace(burst)
        assert 0 < made.limited <= 20 - burst
        assert made.journal.state.commits > 0, "what waits is durable"


async def test_below_the_rate_nothing_waits(tmp_path: Path) -> None:
    async with rig(tmp_path, table("limit: 20")) as made:
        made.take(20)
        await made.settled()
        assert made.limited == 0


async def test_what_a_route_sends_for_one_webhook_counts_once(tmp_path: Path) -> None:
    twice = table(f"limit: {LIMIT}, burst: 2").routes[0]
    both = RING.replace("{{mqtt: ring}}", "{{mqtt: ring}}, {{mqtt: bell}}")
    routes = config_of(with_routes(both.format(rate=f"limit: {LIMIT}, burst: 2", more=""))).table
    assert routes.rates == {"ring": twice.rate}
    async with rig(tmp_path, routes) as made:
        made.take(6)
        await made.settled()
        assert made.sent() == [number for number in numbers(6) for _ in range(2)]
        made.assert_pace(2, each=2)


async def test_a_target_that_comes_back_is_not_flooded(tmp_path: Path) -> None:
    async with rig(tmp_path, table(f"limit: {LIMIT}, burst: 3")) as made:
        made.home.up = False
        made.take(12)
        await eventually(lambda: made.dispatcher.unsaved == 0)
        made.home.set_up(True)
        await made.settled()
        assert made.sent() == numbers(12)
        made.assert_pace(3)


async def test_failures_in_between_change_neither_order_nor_rate(tmp_path: Path) -> None:
    async with rig(tmp_path, table(f"limit: {LIMIT}, burst: 3")) as made:
        made.home.lane_window = 1
        made.home.failures = 4
        made.take(10)
        await made.settled()
        assert made.sent() == numbers(10)
        assert made.home.times[-1] - made.home.times[0] >= (10 - 3 - ROUNDING) / LIMIT


async def test_after_a_restart_the_rest_goes_at_the_rate(tmp_path: Path) -> None:
    routes = table(f"limit: {LIMIT}, burst: 2")
    async with rig(tmp_path, routes) as made:
        made.take(12)
        await eventually(lambda: len(made.sent()) >= 4)
    before = made.sent()
    async with rig(tmp_path, routes) as again:
        await again.settled()
        assert before + again.sent() == numbers(12)
        again.assert_pace(2)


async def test_what_waits_in_the_journal_alone_keeps_order_and_pace(tmp_path: Path) -> None:
    async with rig(tmp_path, table("limit: 500, burst: 20"), Limits(held_bytes=40_000)) as made:
        made.take(100)
        await made.settled()
        assert made.sent() == numbers(100)
        assert made.home.times[-1] - made.home.times[0] >= 79 / 500


async def test_what_waits_for_too_long_expires(tmp_path: Path) -> None:
    async with rig(tmp_path, table("limit: 1, per: 1h", ", expire_after: 1s")) as made:
        made.take(3)
        await made.settled()
        assert made.sent() == ["0"]
        assert made.counts.target(HOME).expired == 2


async def test_a_reload_changes_nothing_for_an_unchanged_rate(tmp_path: Path) -> None:
    routes = table("limit: 1, per: 1h")
    async with rig(tmp_path, routes) as made:
        made.take(2)
        made.use(table("limit: 1, per: 1h"))
        made.take(2)
        await eventually(lambda: len(made.sent("other")) == 4)
        assert made.sent() == ["0"]
        assert made.limited == 1, "the others stand behind"


@pytest.mark.parametrize("rate", ["limit: 100", "limit: 10, excess: dead"])
async def test_what_waited_for_another_rate_asks_the_new_one(tmp_path: Path, rate: str) -> None:
    async with rig(tmp_path, table("limit: 1, per: 24h")) as made:
        made.take(5)
        await eventually(lambda: made.sent() == ["0"])
        made.use(table(rate))
        await made.settled()
        assert made.sent() == numbers(5)


async def test_too_many_are_dead_letters_where_the_file_says_so(tmp_path: Path) -> None:
    async with rig(tmp_path, table("limit: 2, per: 1h, excess: dead")) as made:
        made.take(5)
        await made.settled()
        await eventually(lambda: made.dispatcher.unsaved == 0)
        letters = await made.journal.dead()
        assert made.sent() == numbers(2)
        assert [(letter.route, letter.code) for letter in letters] == [("ring", "rate")] * 3
        assert letters[0].reason == "its route sends at most 2 in 3600 s, 2 at once"
        assert made.limited == 3
        assert made.sent("other") == numbers(5)


async def test_a_repeat_uses_nothing_up_and_neither_does_another_try(tmp_path: Path) -> None:
    async with rig(tmp_path, table("limit: 2, per: 1h, excess: dead")) as made:
        hook = webhook(b"0", id="log-0")
        plans = made.routes.route(hook).plans[:1]
        for _ in range(5):
            made.dispatcher.accept(hook, plans, 1)
        assert made.counts.route("ring").duplicates == 4
        for _ in range(5):
            made.dispatcher.accept_again(hook, plans, 1)
        made.take(1)
        await made.settled()
        assert made.limited == 0
        assert len(made.sent()) == 6


def test_both_parts_of_a_webhook_share_its_fate() -> None:
    rates = Rates(Counts())
    rates.use({"route": Rate(1, 1.0, 1, Excess.DEAD)})
    parts = [delivery(seq, webhook_seq=seq // 2) for seq in range(6)]
    # The second webhook's parts are asked about before and after the next one could go.
    moments = [0.0, 0.1, 0.99, 1.01, 2.02, 2.03]
    refused = [rates.refusal(part, now) is not None for part, now in zip(parts, moments, strict=True)]
    assert refused == [False, False, True, True, False, False]


def test_what_keeps_no_order_never_waits() -> None:
    rates = Rates(Counts())
    rates.use({"route": Rate(1, 3600.0, 1)})
    assert [rates.has_to_wait(delivery(seq, order_key=None), 0.0) for seq in range(3)] == [False] * 3
    assert [rates.has_to_wait(delivery(seq), 0.0) for seq in range(3)] == [False, True, True]
    assert not rates.has_to_wait(delivery(9, target="mqtt:other"), 0.0), "each target has the rate for itself"
