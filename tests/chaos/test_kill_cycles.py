"""kill -9 of the whole daemon, at the journal's worst moments and at any other."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos import service as answers
from tests.chaos.budget import budgeted, time_limit
from tests.chaos.insider import Insider
from tests.chaos.oracle import FATAL
from tests.chaos.rig import Rig
from tests.chaos.scenario import events
from tests.chaos.world import BROKER, SERVICE, Event, Settings
from tests.support.waiting import eventually_async

POINTS = ("journal.before-commit:2", "journal.after-commit:2", "journal.burying:1")
"""Each with the time that it is reached."""
CYCLES = budgeted(4)
SHARE = 60
"""Webhooks of a cycle."""


@pytest.mark.timeout(time_limit(120))
@pytest.mark.parametrize("point", POINTS)
async def test_p1_the_daemon_dies_at_a_step(tmp_path: Path, point: str) -> None:
    async with Rig(tmp_path, Settings(window=10, linger=5)) as rig:
        sent = list(events(Random(point), SHARE, poison=0.2))
        rig.service.answer = answers.LATE  # so that there is something to store
        for part in (sent[: SHARE // 2], sent[SHARE // 2 :]):
            await rig.safe()
            await rig.dies_at(point)
            await rig.send(part)
            await rig.death()
            await rig.revive()
        await rig.settle()
        verdict = rig.oracle.judge(await rig.finish())
    assert not verdict.wrong
    assert verdict.webhooks == SHARE


@pytest.mark.timeout(time_limit(120))
async def test_p1_the_daemon_dies_again_and_again(tmp_path: Path) -> None:
    chance = Random(1)
    async with Rig(tmp_path, Settings(window=20, linger=5)) as rig:
        for number in range(CYCLES):
            await rig.send(list(events(chance, SHARE, first=number * SHARE)))
            if number % 2:
                await rig.settle()
            await rig.kill()
        # A slow delivery may be in flight at three of the kills; suspects are sent one at a time.
        rig.oracle.may_convict = CYCLES - FATAL + 1
        verdict = rig.oracle.judge(await rig.finish())
    assert not verdict.wrong
    assert verdict.webhooks == CYCLES * SHARE


async def test_p6_a_webhook_that_kills_the_process_becomes_a_dead_letter(tmp_path: Path) -> None:
    sent = [Event(n, "shop", "doom" if n == 20 else f"s{n % 4}", poison=False, size=0) for n in range(50)]
    async with Rig(tmp_path, Settings()) as rig:
        Insider(rig.bridge, fatal='"doom"')
        rig.oracle.may_convict = 1
        await rig.restart()
        await rig.send(sent)
        while await died(rig):
            assert rig.oracle.deaths <= FATAL
            await rig.revive(subscribed=False)
        status = await rig.finish()
        verdict = rig.oracle.judge(status)
    assert not verdict.wrong
    assert status["convicted"] == [("orders", 20)], "and nothing that was innocent"
    assert FATAL <= rig.oracle.deaths <= FATAL + 1, "the first may be of what no journal knew"


async def died(rig: Rig) -> bool:
    """Whether it died before everything was delivered."""

    async def over() -> bool:
        if rig.bridge.returncode is not None:
            return True
        status = await rig.bridge.try_ask("status") if await rig.all_taken() else None
        return status is not None and not any(one["pending"] for one in status["targets"].values())

    await eventually_async(over, 30)
    return rig.bridge.returncode is not None


@pytest.mark.timeout(time_limit(120))
async def test_x3_of_a_fan_out_half_done_only_the_other_half_is_sent_again(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        rig.service.answer = answers.status(503)
        await rig.safe()
        await rig.send([event for event in events(Random(2), 100) if not event.poison])
        await rig.safe()
        await rig.marked(BROKER)
        before = {place: len(numbers) for place, numbers in rig.oracle.arrived.items()}
        await rig.bridge.kill()
        rig.oracle.process_ended()
        await rig.revive()
        rig.service.answer = answers.FINE
        status = await rig.finish()
        assert {place: len(rig.oracle.arrived[place]) for place in before} == before, (
            "what was done stays done"
        )
        verdict = rig.oracle.judge(status)
    assert not verdict.wrong
    assert status["targets"][SERVICE]["delivered"] > 0
    assert status["targets"][BROKER]["delivered"] == 0
