"""The race between delivery and journal."""

import asyncio
from collections.abc import Sequence

from bridge.delivery.linger import PATIENCE, Linger
from bridge.message import Delivery, Failure, FailureKind
from tests.support.deliveries import delivery
from tests.support.waiting import eventually

SECONDS = 0.02


class Race:
    """A linger, which of its targets take others all the time, and what it handed over, and when."""

    def __init__(self, *moving: str) -> None:
        self.moving = set(moving)
        self.handed: list[tuple[int, float]] = []
        self.loop = asyncio.get_running_loop()
        self.linger = Linger(SECONDS, self._take, self._served)

    def _served(self, target: str) -> float:
        return self.loop.time() if target in self.moving else 0.0

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        for one in deliveries:
            one.journaled = True
            self.handed.append((one.seq, self.loop.time()))

    async def pass_time(self) -> None:
        """Until what was watched has waited its own time."""
        over = self.loop.time() + 2 * SECONDS
        await eventually(lambda: self.loop.time() > over)

    async def ends(self, *seqs: int) -> list[float]:
        """The times at which these were handed over, and no others."""
        await eventually(lambda: len(self.handed) >= len(seqs), 5)
        assert [seq for seq, _ in self.handed] == list(seqs)
        return [moment for _, moment in self.handed]


async def test_what_is_not_done_in_time_is_handed_over_once() -> None:
    race = Race()
    began = race.loop.time()
    done, owed = delivery(1), delivery(2)
    race.linger.watch(done)
    race.linger.watch(owed)
    done.done = True
    assert len(race.linger) == 1
    (moment,) = await race.ends(2)
    assert moment - began >= SECONDS
    assert len(race.linger) == 0


async def test_while_the_target_takes_others_it_may_take_longer_but_not_for_ever() -> None:
    race = Race("mqtt:home")
    began = race.loop.time()
    race.linger.watch(delivery(1))
    (moment,) = await race.ends(1)
    assert moment - began >= PATIENCE * SECONDS


async def test_what_is_delivered_in_that_time_is_never_handed_over() -> None:
    race = Race("mqtt:home")
    first, last = delivery(1), delivery(2)
    race.linger.watch(first)
    await race.pass_time()
    first.done = True
    race.moving.clear()
    race.linger.watch(last)
    await race.ends(2)


async def test_a_target_that_stops_has_no_more_time() -> None:
    race = Race("mqtt:home", "mqtt:stops")
    race.linger.watch(delivery(1))
    race.linger.watch(delivery(2, target="mqtt:stops"))
    await race.pass_time()
    race.moving.remove("mqtt:stops")
    other, one = await race.ends(2, 1)
    assert other < one


async def test_what_failed_already_is_not_waited_for() -> None:
    race = Race("mqtt:home")
    failed, waiting = delivery(1), delivery(2)
    failed.trouble = Failure(FailureKind.BUSY, "http-503")
    race.linger.watch(failed)
    race.linger.watch(waiting)
    one, other = await race.ends(1, 2)
    assert one < other


async def test_what_fails_while_others_are_taken_has_the_short_time_only() -> None:
    race = Race("mqtt:home")
    failed, waiting = delivery(1), delivery(2)
    race.linger.watch(waiting)
    race.linger.watch(failed)
    await race.pass_time()
    failed.trouble = Failure(FailureKind.BUSY, "http-503")
    began = race.loop.time()
    race.linger.watch(failed)
    one, other = await race.ends(1, 2)
    assert SECONDS <= one - began < other - began


async def test_all_can_be_handed_over_at_once() -> None:
    race = Race("mqtt:home")
    first, second = delivery(1), delivery(2)
    race.linger.watch(first)
    await race.pass_time()
    race.linger.watch(second)
    first.trouble = Failure(FailureKind.BUSY, "http-503")
    race.linger.watch(first)
    assert len(race.linger) == 2
    race.linger.flush()
    await race.ends(1, 2)
    assert len(race.linger) == 0
