"""After a death of the process: who is sent alone, and what the next process would know."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.delivery.suspects import Suspects
from bridge.journal.flights import Flights
from bridge.journal.journal import Journal
from bridge.message import DELIVERED, Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.routing.table import Plan
from tests.support.deliveries import ScriptedTarget, delivery, webhook
from tests.support.waiting import eventually

HOME, SHOP = "mqtt:home", "http:shop"
MIB = 1024 * 1024
BUSY = Failure(FailureKind.BUSY, "http-503", "busy")


def flying(path: Path) -> set[int]:
    """What a process that starts now would find."""
    return set(Flights(path).left)


async def test_of_suspects_one_flies_at_a_time_and_of_others_all(tmp_path: Path) -> None:
    suspects = Suspects(Flights(tmp_path / "flights"))
    suspects.accuse([1, 2])
    assert not suspects.must_wait(1)
    suspects.sent(1)
    assert suspects.must_wait(2)
    assert not suspects.must_wait(3)
    suspects.sent(3)
    suspects.landed(3)
    assert suspects.must_wait(2), "the end of another one's flight is not the suspect's"
    suspects.landed(1)
    assert not suspects.must_wait(2)
    suspects.sent(2)
    assert not suspects.must_wait(1), "it had its result and the process lived"
    assert flying(tmp_path / "flights") == {2}


class Watched(ScriptedTarget):
    """A target at which what is in flight is looked at whenever it is sent something."""

    def __init__(self, name: str, flights: Path, lane_window: int) -> None:
        super().__init__(name, lane_window=lane_window)
        self.flights = flights
        self.seen: list[set[int]] = []
        self.hangs = False

    def send(self, delivery: Delivery) -> None:
        self.seen.append(flying(self.flights))
        assert delivery.seq in self.seen[-1], "noted before it is sent"
        if self.hangs:
            self.in_flight += 1
        else:
            super().send(delivery)


class Bench:
    """A dispatcher that took up what two targets are owed."""

    def __init__(self, journal: Journal, flights: Path, lane_window: int) -> None:
        self.journal = journal
        self.dispatcher = Dispatcher(journal, Counts(), flights=Flights(flights), rand=lambda: 0.0)
        self.targets = {name: Watched(name, flights, lane_window) for name in (HOME, SHOP)}
        for target in self.targets.values():
            target.listener = self.dispatcher

    def use(self) -> None:
        retry = Retry(attempts=5, first=0.01, longest=0.02)
        self.dispatcher.use({name: (target, retry) for name, target in self.targets.items()})

    async def settled(self) -> None:
        await eventually(lambda: not any(self.dispatcher.owed().values()))

    def most_at_once(self, seqs: set[int]) -> int:
        """Of these deliveries, how many were in flight together."""
        return max(len(seen & seqs) for target in self.targets.values() for seen in target.seen)

    def bodies(self, name: str) -> list[str]:
        return self.targets[name].bodies()


@asynccontextmanager
async def bench(tmp_path: Path, *, lane_window: int = 1) -> AsyncIterator[Bench]:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=64 * MIB)
    made = Bench(journal, tmp_path / "flights", lane_window)
    try:
        yield made
    finally:
        await made.dispatcher.stop()
        await journal.close()


@pytest.mark.parametrize("key", ["route", None])
@pytest.mark.parametrize("lane_window", [1, 5])
async def test_suspects_of_all_targets_are_sent_one_at_a_time(
    tmp_path: Path, key: str | None, lane_window: int
) -> None:
    async with bench(tmp_path, lane_window=lane_window) as made:
        seqs = range(1, 21)
        made.journal.add([delivery(seq, target=(HOME, SHOP)[seq % 2], order_key=key) for seq in seqs])
        suspects = {seq for seq in seqs if seq % 5}
        assert await made.dispatcher.recover() == 20
        made.dispatcher.suspect(suspects)
        made.use()
        await made.settled()
        assert made.most_at_once(suspects) == 1
        for name, rest in ((HOME, 0), (SHOP, 1)):
            expected = [str(seq) for seq in seqs if seq % 2 == rest]
            assert made.bodies(name) == expected if key else sorted(made.bodies(name)) == sorted(expected)
        assert flying(tmp_path / "flights") == set()


async def test_others_do_not_wait_for_a_suspect_that_hangs(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        made.journal.add([delivery(1, target=SHOP), delivery(2, target=HOME), delivery(3, target=HOME)])
        made.targets[SHOP].hangs = True
        await made.dispatcher.recover()
        made.dispatcher.suspect([1])
        made.use()
        await eventually(lambda: made.bodies(HOME) == ["2", "3"])
        assert flying(tmp_path / "flights") == {1}


async def test_a_suspect_that_is_refused_is_acquitted(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        answers: Iterator[Result] = iter([BUSY, DELIVERED, DELIVERED])
        made.targets[HOME].answer = lambda _: next(answers)
        made.journal.add([delivery(1, target=HOME, order_key="a"), delivery(2, target=HOME, order_key="b")])
        await made.dispatcher.recover()
        made.dispatcher.suspect([1, 2])
        made.use()
        await made.settled()
        assert sorted(made.bodies(HOME)) == ["1", "2"]


async def test_after_a_death_what_comes_is_stored_before_it_is_sent(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        await made.dispatcher.recover()
        made.use()
        plan = Plan("route", HOME, "route", MqttMessage("a/b"), None, None)
        made.dispatcher.accept(webhook(b"before"), [plan], 1)
        await made.settled()
        assert made.journal.state.commits == 0

        made.dispatcher.suspect([])
        commits: list[int] = []

        def answer(_: Delivery) -> Result:
            commits.append(made.journal.state.commits)
            return DELIVERED

        made.targets[HOME].answer = answer
        for number in range(3):
            made.dispatcher.accept(webhook(b"%d" % number), [plan], 1)
        await made.settled()
        assert made.bodies(HOME) == ["before", "0", "1", "2"]
        assert min(commits) >= 1
