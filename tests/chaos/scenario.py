"""A run: a seed decides webhooks, settings and faults; everything that happens is told to the oracle."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.faults import FAULTS, Fault, Part
from tests.chaos.oracle import Verdict
from tests.chaos.rig import Rig
from tests.chaos.world import BUCKETS, Event, Settings

WEBHOOKS = 500
SENDERS = 8
LONGEST_FAULT = 0.3
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed comes to."""

    seed: int
    settings: Settings
    faults: tuple[Fault, ...]
    events: tuple[Event, ...]

    def __str__(self) -> str:
        """What to say of a run that went wrong."""
        faults = ", ".join(one.name for one in self.faults)
        return f"seed {self.seed}: {len(self.events)} webhooks, {self.settings}, faults: {faults}"


def plan(seed: int) -> Plan:
    """The plan of a seed. Seeds in a row go through every fault of every part."""
    chance = Random(seed)
    faults = [_turn(part, seed) for part in Part]
    chance.shuffle(faults)
    settings = Settings(
        window=chance.choice((1, 10, 100)),
        requests=chance.choice((1, 10)),
        qos=chance.choice((1, 1, 2)),
        linger=chance.choice((0, 20, 100)),
    )
    return Plan(seed, settings, tuple(faults), tuple(events(chance, WEBHOOKS)))


def _turn(part: Part, seed: int) -> Fault:
    """The parts have different numbers of faults, so that the pairs change from round to round."""
    kinds = [fault for fault in FAULTS.values() if fault.part is part]
    return kinds[(seed + seed // len(kinds)) % len(kinds)]


def events(chance: Random, count: int, *, first: int = 0, poison: float = 0.01) -> Iterator[Event]:
    """So many, numbered from `first`; a part of them is poison."""
    for n in range(first, first + count):
        yield Event(
            n=n,
            bucket=chance.choice(BUCKETS),
            sender=f"s{chance.randrange(SENDERS)}",
            poison=chance.random() < poison,
            size=chance.choice((0, 0, 100, 1000)) if chance.random() > 0.005 else 50_000,
        )


def doorbells(count: int, *, first: int = 0, size: int = 0) -> list[Event]:
    """Webhooks for the broker alone."""
    return [Event(n, "door", f"s{n % 4}", poison=False, size=size) for n in range(first, first + count)]


async def run(planned: Plan, folder: Path) -> Verdict:
    """Do it, and judge it."""
    chance = Random(~planned.seed)
    share = -(-len(planned.events) // len(planned.faults))
    async with Rig(folder, planned.settings) as rig:
        await rig.settle()
        for index, fault in enumerate(planned.faults):
            burst = list(planned.events[index * share : (index + 1) * share])
            before = chance.randrange(len(burst))
            await rig.send(burst[:before])
            async with fault.strike(rig, chance):
                await rig.send(burst[before:])
                await asyncio.sleep(chance.uniform(0.0, LONGEST_FAULT))
            await rig.settle()
        return await rig.verdict()
