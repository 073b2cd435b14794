"""Years of service in small: webhooks and reconnects let no memory, descriptors, threads or tasks grow."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.budget import budgeted, time_limit
from tests.chaos.insider import Insider
from tests.chaos.rig import Rig
from tests.chaos.scenario import events
from tests.chaos.usage import Usage
from tests.chaos.world import BROKER, SERVICE, Settings

ROUND = 500
"""Webhooks."""
LOSSES = 5
"""Of each connection, in a round."""
WARM_UP = 2
"""Rounds."""
ROUNDS = budgeted(4)
GROWTH_KIB = 6 * 1024
"""What allocators and caches may still take after the warm-up, however long it goes on."""


async def one_round(rig: Rig, chance: Random, number: int) -> None:
    first = number * ROUND
    for part in range(LOSSES):
        share = ROUND // LOSSES
        await rig.send(list(events(chance, share, first=first + part * share, poison=0.0)))
        rig.oracle.excuse(BROKER, rig.settings.window)
        rig.oracle.excuse(SERVICE, rig.settings.requests)
        rig.service_wire.cut(with_reset=True)
        rig.broker_wire.cut(with_reset=True)
        await rig.settle()
        rig.relay_wire.cut(with_reset=True)
        await rig.gone()
        await rig.settle()
    await rig.drained()


@pytest.mark.timeout(time_limit(120))
async def test_nothing_grows(tmp_path: Path) -> None:
    chance = Random(1)
    async with Rig(tmp_path, Settings()) as rig:
        insider = Insider(rig.bridge, hurried=True)
        await rig.restart()
        usages, tasks = [], []
        for number in range(WARM_UP + ROUNDS):
            await one_round(rig, chance, number)
            usages.append(Usage.of(rig.bridge.pid))
            tasks.append(await insider.tasks())
        verdict = await rig.verdict()
    print(  # noqa: T201  # the figures are what a long run is for
        f"{verdict.webhooks} webhooks, {len(rig.relay.connections)} connections to the relay and"
        f" {rig.broker_wire.links} to the broker; {usages[WARM_UP]} became {usages[-1]}, {set(tasks)} tasks"
    )
    assert not verdict.wrong
    warm, last = usages[WARM_UP], usages[-1]
    assert len(rig.relay.connections) > ROUNDS * LOSSES
    assert last.kib - warm.kib < GROWTH_KIB, usages
    assert last.descriptors <= warm.descriptors + 2, usages
    assert last.threads <= warm.threads + 2, usages
    assert tasks[-1] <= tasks[WARM_UP] + 2, tasks
