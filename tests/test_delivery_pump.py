"""When an outbox sends."""

import asyncio

import pytest

from bridge.counters import Counts
from bridge.delivery.outbox import Outbox
from bridge.delivery.pump import Pump
from bridge.delivery.rates import Rates
from bridge.delivery.suspects import Suspects
from bridge.journal.flights import Flights
from bridge.message import Delivery
from tests.support.deliveries import ScriptedTarget, delivery
from tests.support.waiting import eventually

NAME = "mqtt:home"


class Mute:
    """Takes results, and does nothing about them."""

    def finished(self, delivery: Delivery, result: object) -> None:
        """Nothing."""

    def available(self, target: str) -> None:
        """Nothing."""


class Sending:
    """One outbox, its target, and how often it was let to send."""

    def __init__(self) -> None:
        self.times = 0
        self.pump = Pump(self._count)
        self.target = ScriptedTarget(NAME, lane_window=10)
        self.target.listener = Mute()
        self.outbox = Outbox(NAME, lambda _delivery, _lane: None, Suspects(Flights(None)), Rates(Counts()))
        self.outbox.target = self.target

    def _count(self, outbox: Outbox) -> None:
        assert outbox is self.outbox
        self.times += 1

    def push(self, *seqs: int, key: str | None = "route", not_before: float = 0.0) -> None:
        lane = self.outbox.lane(key)
        for seq in seqs:
            self.outbox.push(lane, delivery(seq, order_key=key))
        lane.not_before = not_before

    def sent(self) -> list[int]:
        return [one.seq for one in self.target.attempts]


@pytest.fixture
async def sending() -> Sending:
    return Sending()


async def test_a_burst_goes_out_once_in_the_next_turn(sending: Sending) -> None:
    for seq in range(1, 6):
        sending.push(seq)
        sending.pump.soon(sending.outbox)
    assert sending.sent() == []
    await asyncio.sleep(0)
    assert (sending.sent(), sending.times) == ([1, 2, 3, 4, 5], 1)
    sending.push(6)
    sending.pump.soon(sending.outbox)
    await asyncio.sleep(0)
    assert (sending.sent(), sending.times) == ([1, 2, 3, 4, 5, 6], 2)


async def test_a_lane_that_sleeps_wakes_by_itself(sending: Sending) -> None:
    wakes = asyncio.get_running_loop().time() + 0.05
    sending.push(1, not_before=wakes)
    sending.push(2, key="other", not_before=wakes - 0.03)
    sending.pump.now(sending.outbox)
    assert sending.sent() == []
    await eventually(lambda: len(sending.sent()) == 2)
    assert sending.sent() == [2, 1]
    assert asyncio.get_running_loop().time() >= wakes
    assert sending.times == 3, "no more often than there was reason to"


async def test_once_stopped_nothing_is_sent(sending: Sending) -> None:
    soon = asyncio.get_running_loop().time() + 0.01
    sending.push(1, not_before=soon)
    sending.pump.now(sending.outbox)
    sending.push(2, key="other")
    sending.pump.soon(sending.outbox)
    sending.pump.stop()
    await eventually(lambda: asyncio.get_running_loop().time() > soon + 0.02)
    assert (sending.sent(), sending.times) == ([], 1)
