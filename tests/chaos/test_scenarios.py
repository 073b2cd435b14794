"""Everything breaks, and nothing is lost: 25,000 webhooks, or more, through every kind of fault."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.budget import budgeted
from tests.chaos.faults import FAULTS, Part
from tests.chaos.scenario import plan, run

SEEDS = budgeted(50)
GROUP = 10
AT_ONCE = 10
"""Runs at a time: they wait for back-offs, mostly."""


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
async def test_nothing_is_lost(tmp_path: Path, first: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> str:
        planned = plan(seed)
        async with gate:
            try:
                verdict = await run(planned, tmp_path / str(seed))
            except Exception as error:
                raise AssertionError(f"python -m tests.chaos {seed} ({planned})") from error
        assert verdict.webhooks == len(planned.events)
        return f"{planned}: {verdict.wrong[:5]}" if verdict.wrong else ""

    found = await asyncio.gather(*(one(seed) for seed in range(first, first + GROUP)), return_exceptions=True)
    errors = [one for one in found if isinstance(one, BaseException)]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} runs broke", errors)
    assert not [text for text in found if text]


def test_the_seeds_go_through_every_kind_of_fault() -> None:
    struck = {fault.name for seed in range(50) for fault in plan(seed).faults}
    assert struck == set(FAULTS)
    assert len(FAULTS) >= 20
    assert {fault.part for fault in FAULTS.values()} == set(Part)
    assert sum(len(plan(seed).events) for seed in range(50)) >= 25_000


def test_a_seed_is_a_plan() -> None:
    assert str(plan(7)) == str(plan(7))
    assert plan(7).events == plan(7).events
    assert plan(7).events != plan(8).events
